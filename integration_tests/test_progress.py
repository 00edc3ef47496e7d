"""What a sync tells the people who watch it."""

import random
from itertools import count
from typing import Any

import pytest

from integration_tests.harness.connector import Output, catalog, config, run
from integration_tests.harness.in_process import URL, answers_from
from posthog_server import (
    DAY,
    Account,
    Fault,
    PostHog,
    PostHogServer,
    account_with,
    make_events,
    make_persons,
    make_rows,
    microseconds,
    throttled,
)
from posthog_server.clickhouse import ClickHouse
from source_posthog.streams.lists import ListRetriever

START = microseconds("2026-09-01T00:00:00Z")


def read(made: Account, *faults: Fault, **options: Any) -> tuple[Output, PostHog]:
    with PostHogServer(made, cap=100) as server:
        for fault in faults:
            server.posthog.faults.add(fault)
        settings = config(server.url, start_date="2026-09-01T00:00:00Z", **options)
        return run("read", config=settings, catalog=catalog("events", "cohorts")), server.posthog


def thousand() -> Account:
    return account_with({7: make_events(1000, random.Random(1), start=START, span=60 * DAY)})


def test_each_stream_ends_with_a_line_of_what_it_took() -> None:
    # All in one window, whose requests come one after the other: waits at the same time count once.
    throttles = Fault(stream="events", times=2, **throttled(40))
    output, posthog = read(thousand(), throttles, events_time_step=90)
    requests = posthog.count("events")
    (line,) = [line for line in output.logs if line.startswith("Stream events: 1000 records")]
    assert line.startswith(f"Stream events: 1000 records in {requests} requests (2 retried), ")
    assert sum(line.startswith("Stream events: asking again in 4") for line in output.logs) == 1, "once a minute"
    assert 80 <= int(line.rsplit(", ")[-1].split()[0]) <= 90
    assert any(line.startswith("Stream cohorts: 0 records in 1 requests (0 retried), 0 s") for line in output.logs)


def test_a_quick_sync_has_no_other_line_of_progress() -> None:
    output, _ = read(thousand())
    assert [line for line in output.logs if "windows done" in line] == []


def test_a_long_sync_says_how_far_it_is_once_a_minute_also_before_its_first_window_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with PostHogServer(thousand(), cap=100) as server:
        monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: 20.0 * server.posthog.count("events"))
        options = config(server.url, start_date="2026-09-01T00:00:00Z", events_time_step=91)
        output = run("read", config=options, catalog=catalog("events"))
        requests = server.posthog.count("events")
    lines = [line for line in output.logs if "windows done" in line]
    assert 2 <= len(lines) <= requests / 3
    assert all("Stream events, project 7, window 2026-" in line for line in lines)
    assert "0 of 1 windows done, about " in lines[0]
    assert all(line.endswith("min left") for line in lines)


def lines_of(posthog: PostHog, stream: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[str]:
    """How far a sync of `stream` says that it is, if a fifth of a second passes with each look at the clock."""
    looks = count()
    with answers_from(posthog):
        monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: next(looks) / 5)
        output = run("read", config=config(URL, **options), catalog=catalog(stream))
    assert output.status == 0
    lines = [line for line in output.logs if "so far" in line]
    assert 2 <= len(lines) <= next(looks) / 5 / 60
    return lines


@pytest.mark.parametrize("stream", ["persons", "cohorts"])
def test_a_long_list_says_how_far_it_is_once_a_minute(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    monkeypatch.setattr(ListRetriever, "_params", lambda _, start, rows: {"limit": 100, "offset": start})
    people, rows = {7: make_persons(900, rng)}, {7: make_rows("cohorts", 900, rng)}
    posthog = PostHog(account_with({7: [], 8: []}, persons=people, cohorts=rows))
    lines = lines_of(posthog, stream, monkeypatch)
    assert all(line.startswith(f"Stream {stream}, project ") for line in lines)
    read = [int(line.split(": ")[1].split()[0]) for line in lines]
    assert read == sorted(set(read))
    assert max(read) > 500
    assert all("requests so far, " in line and line.endswith(" of 2 projects done") for line in lines)


def test_a_long_query_says_how_far_it_is_once_a_minute(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    events = make_events(900, random.Random(3), start=START, span=60 * DAY)
    monkeypatch.setattr("source_posthog.streams.query_asking.FIRST_LIMIT", 100)
    monkeypatch.setattr("source_posthog.streams.query_asking.USUAL_LIMIT", 100)
    query = {"name": "mine", "query": "SELECT uuid AS id, event FROM events", "primary_key": ["id"]}
    posthog = PostHog(account_with({7: events}), clickhouse=clickhouse)
    lines = lines_of(posthog, "mine", monkeypatch, queries=[query])
    assert all(line.startswith("Stream mine, project 7: ") and "0 of 1 projects done" in line for line in lines)
