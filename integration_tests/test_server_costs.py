"""The embedded PostHog itself: what it charges for queries."""

from typing import Any

import requests

from integration_tests.harness.asking import PATH, START, asked, column, ids, listed, posthog
from integration_tests.stored import BY_DAY, BY_NAME, HALF, PERSON, dense, hogql
from posthog_server import (
    KEY,
    SECOND,
    PostHog,
    PostHogServer,
    Reply,
    account_with,
)
from posthog_server.faults import as_refusal, queries_budget_exceeded, queries_quota_exceeded

BYTES_READ, BUDGET_LEFT = "X-PostHog-Query-Bytes-Read", "X-PostHog-Query-Budget-Remaining-Bytes"


def read(reply: Reply) -> int:
    assert reply.status == 200, reply.body
    return int(reply.headers[BYTES_READ])


def test_costs_are_not_told_unless_they_are_counted() -> None:
    server = posthog(dense(10))
    assert BYTES_READ not in asked(server).headers
    assert server.bytes_read == {}
    server.counts_bytes = True
    reply = asked(server)
    assert BUDGET_LEFT not in reply.headers
    assert server.bytes_read == {7: read(reply)}
    assert server.requests[-1].bytes_read == read(reply) > 0
    assert BYTES_READ not in listed(server).headers


def test_the_newest_of_a_dense_day_cost_the_whole_day_however_short_the_range() -> None:
    server = posthog(dense(), counts_bytes=True, granule=64)
    wide: dict[str, Any] = {"select": ["uuid", "properties"], "limit": 500}
    whole = read(asked(server, **wide))
    assert whole > 3000 * 500
    assert read(asked(server, **wide, before="2026-10-01T12:00:00Z")) > 0.9 * whole
    of_name = asked(server, **wide, where=["event = 'name 3'"])
    assert len(column(of_name)) == 300
    assert 300 * 500 < read(of_name) < 0.2 * whole
    of_hash = read(asked(server, **wide, where=["event = 'name 3'", f"{PERSON} < {HALF // 2}"]))
    assert of_hash < read(of_name) / 2
    hidden = read(asked(server, **wide, where=["event = 'name 3'", f"cityHash64(distinct_id) < {HALF // 2}"]))
    assert of_hash < hidden < read(of_name)
    assert read(hogql(server, BY_NAME)) < 0.1 * whole
    assert read(hogql(server, BY_DAY)) < read(hogql(server, BY_NAME))


def test_by_its_keys_a_page_reads_no_more_than_what_the_index_leaves() -> None:
    server = posthog(dense(), counts_bytes=True, granule=64)
    wide: dict[str, Any] = {"select": ["uuid", "properties"], "limit": 500, "orderBy": ["event ASC"]}
    assert read(asked(server, **wide)) > 3000 * 500
    assert 300 * 500 < read(asked(server, **wide, where=["event = 'name 3'"])) < 600 * 500


def test_an_answer_from_the_cache_is_not_charged() -> None:
    server = posthog(dense(10), counts_bytes=True)
    first = asked(server, refresh="blocking")
    again = asked(server, refresh="blocking")
    assert again.json()["is_cached"] is True
    assert BYTES_READ not in again.headers
    assert server.bytes_read == {7: read(first)}


def test_the_budget_of_a_project_refuses_when_it_is_empty_and_refills() -> None:
    now = [START / SECOND + 40 * 86400]
    events = dense(100)
    server = PostHog(account_with({7: events, 8: events}), clock=lambda: now[0])
    server.counts_bytes = True
    each = read(asked(server))
    server.read_budget, server.budget_hours = each * 2, 1.5
    replies = [asked(server) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert [int(reply.headers[BUDGET_LEFT]) for reply in replies[:3]] == [each * 2, each, 0]
    refused = replies[3].json()
    assert refused["code"] == "api_queries_budget_exceeded"
    assert refused == as_refusal(queries_budget_exceeded()).reply.json()
    assert 1 <= int(replies[3].headers["Retry-After"]) <= 2
    assert asked(server, path="/api/projects/8/query/").status == 200
    assert len(ids(listed(server))) == 100
    now[0] += int(replies[3].headers["Retry-After"])
    assert asked(server).status == 200  # the query that empties it runs whole
    refused_again = asked(server)
    assert refused_again.status == 429
    now[0] += int(refused_again.headers["Retry-After"]) - 1
    assert asked(server).status == 429
    now[0] += 1
    assert asked(server).status == 200
    now[0] += 365 * 86400  # it holds what it held at first
    assert int(asked(server).headers[BUDGET_LEFT]) == each * 2


def test_a_debt_is_at_most_what_an_hour_brings() -> None:
    now = [START / SECOND + 40 * 86400]
    server = posthog(dense(1000), clock=lambda: now[0], read_budget=100, budget_hours=1)
    assert read(asked(server)) > 1000
    assert 3600 <= int(asked(server).headers["Retry-After"]) <= 3700


def test_the_quota_of_a_month_is_used_up_for_good() -> None:
    server = posthog(dense(100), read_quota=1)
    assert asked(server).status == 200
    reply = asked(server)
    assert (reply.status, reply.json()) == (402, as_refusal(queries_quota_exceeded()).reply.json())
    assert reply.json()["code"] == "api_queries_quota_exceeded"


def test_a_query_that_reads_too_much_is_too_slow_however_short_its_range() -> None:
    server = posthog(dense(), granule=64, most_bytes_read=400_000)
    wide: dict[str, Any] = {"select": ["uuid", "properties"], "limit": 500}
    for before in ("2026-10-02T00:00:00Z", "2026-10-01T00:30:00Z"):
        reply = asked(server, **wide, before=before, after="2026-09-30T23:59:59.999999Z")
        assert (reply.status, reply.json()["code"]) == (504, "clickhouse_timeout")
    assert server.bytes_read == {7: 800_000}
    assert asked(server, **wide, where=["event = 'name 3'"]).status == 200
    assert hogql(server, BY_NAME).status == 200


def test_the_headers_are_there_over_http_and_the_statistics_too() -> None:
    server = PostHogServer(account_with({7: dense(10)}), read_budget=10**9, clock=lambda: 1.8e9)
    with server:
        body: Any = {"query": {"kind": "HogQLQuery", "query": BY_NAME}, "refresh": "force_blocking"}
        reply = requests.post(f"{server.url}{PATH}", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
        stats = requests.get(f"{server.url}/__stats__", timeout=10).json()
        requests.get(f"{server.url}/__reset__", timeout=10)
    bytes_read = int(reply.headers[BYTES_READ])
    assert int(reply.headers[BUDGET_LEFT]) == 24 * 10**9 - bytes_read < 24 * 10**9
    assert stats["bytes_read"] == {"7": bytes_read}
    assert server.posthog.bytes_read == {}
