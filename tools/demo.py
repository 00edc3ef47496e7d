"""`make demo`: the whole connector against the embedded PostHog, and what came of it."""

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from integration_tests.harness.connector import Output, catalog, config, expected_keys, run_command
from posthog_server import Account, Event, PostHogServer, demo_account, event
from posthog_server.api import STREAMS
from posthog_server.clickhouse import ClickHouse, Engine
from posthog_server.demo import BUSY, GAP
from posthog_server.extra import EXTRA

Run = Callable[..., Output]


def arrive(account: Account, now: datetime) -> dict[str, list[Event]]:
    """Let events arrive as of `now`, new ones and late ones; each kind by its name."""

    def made(project: int, *ago: timedelta) -> list[Event]:
        events = [event((now - one).isoformat(), created_at=now.isoformat()) for one in ago]
        account.projects[project].add_events(events)
        return events

    seconds, days = timedelta(seconds=1), timedelta(days=1)
    return {
        "new": [*made(BUSY, 3 * seconds, 2 * seconds, 2 * seconds), *made(GAP, seconds)],
        "late": [*made(BUSY, 2 * days, 25 * days), *made(GAP, 12 * days)],
    }


def table(run: Run, options: dict[str, Any], account: Account) -> tuple[bool, list[dict[str, Any]]]:
    """Print what a first sync of each stream reads; whether it is all, and the state of events."""
    print("\n                      records  expected  seconds")
    complete, state = True, []
    expected = expected_keys(account)
    for stream in (*STREAMS, *EXTRA):
        begin = time.monotonic()
        first = run("read", config=options, catalog=catalog(stream))
        seconds = time.monotonic() - begin
        same = first.keys(stream) == expected[stream]
        complete &= same and first.status == 0
        state += first.state if stream == "events" else []
        print(
            f"{stream:<21} {len(first.keys(stream)):>7}  {len(expected[stream]):>8}  {seconds:>7.1f}"
            f"  {'ids are the same' if same else 'IDS DIFFER'}"
        )
    return complete, state


def second_sync(run: Run, options: dict[str, Any], account: Account, state: list[dict[str, Any]]) -> bool:
    """Print what the second sync of events reads after others have arrived; whether it is just these."""
    before = set(expected_keys(account)["events"])
    arrived = arrive(account, datetime.now(timezone.utc))
    second = run("read", config=options, catalog=catalog("events"), state=state)
    got = [id for _, id in second.keys("events")]
    print("\nMeanwhile, events have arrived. The second sync:\n\n                 records  expected")
    exact = second.status == 0
    for kind, note in (("new", "of the last seconds"), ("late", "happened 2 to 25 days ago, arrived now")):
        wanted = sorted(one.id for one in arrived[kind])
        exact &= sorted(id for id in got if id in wanted) == wanted
        print(f"{kind:<16} {sum(id in wanted for id in got):>7}  {len(wanted):>8}  {note}")
    again = [key for key in second.keys("events") if key in before]
    most = len(account.projects)
    exact &= len(again) <= most and len(got) == len(again) + sum(map(len, arrived.values()))
    print(f"{'again':<16} {len(again):>7}  {f'up to {most}':>8}  the newest event of a project is repeated")
    return exact


def main(run: Run = run_command) -> int:
    account = demo_account()
    with Engine() as engine, ClickHouse(engine) as clickhouse, PostHogServer(account, clickhouse=clickhouse) as server:
        options = config(server.url, extra_streams=list(EXTRA))
        print(f"An embedded PostHog runs at {server.url}, with the clamp and the paging quirks of the real one.\n")
        names = ", ".join(next(run("spec").of("SPEC"))["connectionSpecification"]["properties"])
        print(f"spec      options: {names}")
        print(f"check     {run('check', config=options).connection[0]}")
        status, sentence = run("check", config={**options, "api_key": "phx_wrong"}).connection
        print(f"check     with a wrong key: {status}\n          {sentence}")
        print(f"discover  {len(next(run('discover', config=options).of('CATALOG'))['streams'])} streams")
        complete, state = table(run, options, account)
        exact = second_sync(run, options, account, state)
    print(f"\n{'All ids are as they should be.' if complete and exact else 'SOMETHING IS MISSING OR EXTRA.'}")
    return 0 if complete and exact else 1


if __name__ == "__main__":
    sys.exit(main())
