"""What a sync tells the people who watch it."""

import random
from typing import Any

import pytest

from integration_tests.harness.connector import Output, catalog, config, run
from posthog_server import (
    DAY,
    Account,
    Fault,
    PostHog,
    PostHogServer,
    account_with,
    make_events,
    microseconds,
    throttled,
)

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
    assert sum(line.startswith("Stream events: asking again in 4") for line in output.logs) == 2
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
