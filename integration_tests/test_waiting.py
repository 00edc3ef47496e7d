"""Waits that PostHog asks for, waits of our own, and answers that never end."""

import random
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest
from airbyte_cdk.sources.streams.call_rate import CallRateLimitHit

from integration_tests.harness import in_process
from integration_tests.harness.connector import expected_keys
from integration_tests.harness.in_process import answers_from, now_is
from posthog_server import (
    DAY,
    SECOND,
    Fault,
    PostHog,
    PostHogServer,
    account_with,
    drip,
    make_events,
    make_persons,
    make_rows,
    microseconds,
    throttled,
)
from source_posthog.api.client import MovingWindow
from source_posthog.streams.lists import ListRetriever

START = microseconds("2026-10-01T00:00:00Z")


def some() -> Any:
    rng = random.Random(6)
    return account_with(
        {7: make_events(20, rng, start=START, span=40 * DAY)}, cohorts={7: make_rows("cohorts", 5, rng, 7)}
    )


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(some(), cap=100) as running:
        yield running


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z", events_time_step=91)


def in_days(days: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(days=days), usegmt=True)


# --- what is asked for (7)

# Dates, made when the test runs: the names of tests must not depend on the time.
IN_31_DAYS, IN_2_DAYS = "in 31 days", "in 2 days"
DAYS = {IN_31_DAYS: 31, IN_2_DAYS: 2}


@pytest.mark.parametrize(
    ("status", "requested", "length"),
    [
        (429, "2592000", "30 days"),
        (429, "99999999999", "more than 1000 days"),
        (429, "9" * 400, "more than 1000 days"),
        (429, "25200", "7 hours"),
        (429, IN_31_DAYS, "31 days"),
        (503, "86400", "24 hours"),
        (503, "601", "10 minutes"),
        (503, IN_2_DAYS, "48 hours"),
    ],
)
@pytest.mark.parametrize("stream", ["events", "cohorts"])
def test_a_wait_that_does_not_fit_into_a_sync_ends_the_stream_at_once_and_says_how_long_it_is(
    server: PostHogServer, waits: list[float], stream: str, status: int, requested: str, length: str
) -> None:
    asked = in_days(DAYS[requested]) if requested in DAYS else requested
    server.posthog.faults.add(Fault(stream=stream, times=None, status=status, headers={"Retry-After": asked}))
    output = read(server.url, stream)
    assert output.status == 1
    assert f"Stream {stream}, project 7" in output.errors[0]
    assert f"PostHog asks for a wait of {length} (HTTP {status})" in output.errors[0]
    assert waits == []


@pytest.mark.parametrize(
    ("status", "seconds", "as_date"), [(429, 20_000, False), (503, 500, False), (429, 17_000, True), (503, 0, True)]
)
def test_a_wait_that_fits_is_waited_for(
    server: PostHogServer, waits: list[float], status: int, seconds: int, as_date: bool
) -> None:
    requested = in_days(seconds / 86_400) if as_date else str(seconds)
    server.posthog.faults.add(Fault(stream="cohorts", times=1, status=status, headers={"Retry-After": requested}))
    assert read(server.url, "cohorts").status == 0
    assert len(waits) == 1
    # A date is compared with the clock when the answer comes, so some of the time is over by then.
    assert seconds - (600 if as_date else 0) <= waits[0] <= seconds * 1.1 + 20


def test_waits_that_fit_one_by_one_but_not_together_end_the_stream(server: PostHogServer, waits: list[float]) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", times=None, status=503, headers={"Retry-After": "250"}))
    output = read(server.url, "cohorts")
    assert output.status == 1
    assert sum(waits) < 700
    assert len(waits) == 2


@pytest.mark.parametrize("odd", ["", "soon", "-5", "1.5", "1e9", "٣", "Wed, 99 Nov 2026 00:00:00 GMT"])
def test_a_wait_that_makes_no_sense_is_as_good_as_none(server: PostHogServer, waits: list[float], odd: str) -> None:
    headers = {"Retry-After": odd.encode().decode("latin-1")}
    server.posthog.faults.add(Fault(stream="cohorts", times=2, status=429, headers=headers))
    assert read(server.url, "cohorts").status == 0
    assert max(waits) < 10


# --- answers that do not end (8)


def test_a_body_that_drips_is_given_up_and_asked_for_again(
    server: PostHogServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10_000_000))
    monkeypatch.setattr("source_posthog.api.client.monotonic", lambda: float(next(ticks)))  # a second with each look
    dripping = server.posthog.faults.add(Fault(stream="cohorts", times=1, **drip(0.001)))
    output = read(server.url, "cohorts")
    assert output.keys("cohorts") == expected_keys(server.posthog.account)["cohorts"]
    assert (output.status, dripping.used, len(waits)) == (0, 1, 1)


# --- our own request budget


def test_waiting_for_the_request_budget_is_announced_and_counted(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    refusals = iter([5, 500, 0])

    def try_acquire(policy: MovingWindow, request: Any, weight: int) -> None:
        seconds = next(refusals, 0) if "/events/" in request.url else 0
        if seconds:
            raise CallRateLimitHit("full", request, 1, "1140/1h", timedelta(seconds=seconds))

    monkeypatch.setattr(MovingWindow, "try_acquire", try_acquire)
    posthog = PostHog(some(), cap=100)
    with answers_from(posthog):
        output = read("https://us.posthog.com", "events")
    assert output.keys("events") == expected_keys(posthog.account)["events"]
    assert waits == [5, 500]
    assert [line for line in output.logs if "used up" in line] == [
        "Stream events: waiting 500 s: the requests that PostHog's cloud allows per minute or hour are used up"
    ]
    (line,) = [line for line in output.logs if line.startswith("Stream events: 20 records")]
    assert line.endswith(", 505 s waited")


@pytest.mark.parametrize(
    ("url", "stream", "limits"),
    [
        ("https://us.posthog.com", "events", {"1140 per 1:00:00", "228 per 0:01:00"}),
        ("https://app.posthog.com", "insights", {"1140 per 1:00:00", "228 per 0:01:00"}),
        ("https://us.posthog.com", "persons", {"228 per 0:01:00"}),
        ("https://eu.posthog.com", "cohorts", {"456 per 0:01:00", "4560 per 1:00:00"}),
        ("https://posthog.example.com", "events", set()),
    ],
)
def test_the_budget_fits_the_addresses_that_are_asked(
    monkeypatch: pytest.MonkeyPatch, url: str, stream: str, limits: set[str]
) -> None:
    spent: list[str] = []

    def try_acquire(policy: MovingWindow, request: Any, weight: int) -> None:
        spent.extend(f"{request.path_url.partition('?')[0]} {rate.limit} per {rate.interval}" for rate in policy.rates)

    monkeypatch.setattr(MovingWindow, "try_acquire", try_acquire)
    with answers_from(PostHog(some(), cap=100)):
        read(url, stream)
    taken = " ".join(line for line in spent if f"/{stream}" in line.split()[0])
    assert set(re.findall(r"\d+ per [\d:]+", taken)) == limits


def test_persons_take_from_the_minute_of_events_and_insights_and_not_from_their_hour(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: now + sum(waits))
    rng = random.Random(1)
    made = account_with({7: []}, persons=make_persons(200, rng), insights=make_rows("insights", 110, rng))
    posthog = PostHog(made, cloud_throttles=True, clock=lambda: now + sum(waits))
    monkeypatch.setattr(ListRetriever, "_params", lambda _, start, rows: {"limit": 1, "offset": start})
    with answers_from(posthog), now_is(int(now * SECOND)):
        output = read("https://us.posthog.com", "persons", "insights")
    assert posthog.count("persons") + posthog.count("insights") == 310
    assert (output.status, output.errors) == (0, [])
    assert {seen.status for seen in posthog.requests} == {200}
    assert 0 < sum(waits) < 200


# --- what the log says of waits


def test_seconds_waited_are_those_of_the_wall_and_not_of_all_workers_together(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: 0.0)  # all workers wait at the same time
    projects = range(1, 11)
    made = account_with({project: [] for project in projects})
    with PostHogServer(made) as server:
        server.posthog.faults.add(Fault(stream="cohorts", times=10, **throttled(600)))
        output = read(server.url, "cohorts")
    (line,) = [line for line in output.logs if line.startswith("Stream cohorts: 0 records")]
    assert 600 <= int(line.rsplit(", ")[-1].split()[0]) <= 700
    assert len(waits) == 10
