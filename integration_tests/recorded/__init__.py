"""What a real, self-hosted PostHog of January 2024 answered to 231 requests, and the account that it was loaded with.

- `dataset.json`: the account, each event as it was put in. Events named "anonymous" have distinct ids without a person.
  The last feature flag, annotation and insight of each project are deleted; its first annotation is the organization's.
- `exchanges.jsonl`: a request and its answer a line. `timings`, `hogql` and `clickhouse` are taken out of the answers;
  a long `detail` is cut, and its length is in `detail_length`; `{base}` is the server's own address. Names begin with
  "many rows" where there were 22,500 events, whose rows are left out; with "throttled" where its throttles were on;
  with "further" where more objects had been made.
- `rows.json`: an object of each kind as that server showed it, in which ids and names are then those of the account.
"""
