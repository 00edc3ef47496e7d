"""A clock of ours, or of a device, that is wrong loses no event: no window ends after PostHog's own present."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest
import requests

from integration_tests.harness.connector import catalog, config, expected_keys, run
from integration_tests.harness.in_process import URL, answers_from, now_is, sync
from posthog_server import DAY, SECOND, PostHog, account_with, event, isoformat, make_events
from posthog_server import microseconds as at
from source_posthog import SourcePosthog
from source_posthog.api import clock
from source_posthog.api.clock import Clock
from source_posthog.api.errors import PostHogError

HOUR = 3600 * SECOND
FIRST = at("2026-03-01T12:00:00.250000Z")  # PostHog's present at the first sync
SECOND_SYNC = FIRST + 13 * HOUR


@pytest.mark.parametrize("hours", [12, 2, 0, -2], ids=["12 h ahead", "2 h ahead", "right", "2 h behind"])
@pytest.mark.parametrize("dated_ahead", [True, False], ids=["an event dated ahead", "no event dated ahead"])
def test_two_syncs_lose_no_event_however_wrong_our_clock_is(hours: int, dated_ahead: bool) -> None:
    rng = random.Random(hours)
    before = make_events(300, rng, start=FIRST - 20 * DAY, span=20 * DAY)
    between = make_events(400, rng, start=FIRST, span=13 * HOUR)
    ahead = [event(isoformat(FIRST + max(hours, 1) * HOUR - 60 * SECOND))] if dated_ahead else []
    account = account_with({1: [*before, *ahead]})
    present = FIRST
    posthog = PostHog(account, clock=lambda: present / SECOND)
    with answers_from(posthog), now_is(FIRST + hours * HOUR):
        first = sync(start_date="2026-02-01T00:00:00Z")
    assert (first.status, first.errors) == (0, [])
    reached = at(first.states[-1]["1"]["timestamp"])
    assert reached <= FIRST
    account = account_with({1: [*before, *ahead, *between]})
    posthog = PostHog(account, clock=lambda: present / SECOND)
    present = SECOND_SYNC
    with answers_from(posthog), now_is(SECOND_SYNC + max(hours, 0) * HOUR):
        second = sync(first.state, start_date="2026-02-01T00:00:00Z")
    assert sorted({*first.keys("events"), *second.keys("events")}) == expected_keys(account)["events"]
    assert at(second.states[-1]["1"]["timestamp"]) <= SECOND_SYNC


DAYS_APART = [-20 * DAY, -DAY - 60 * SECOND, DAY + 60 * SECOND, 20 * DAY, -FIRST, at("9999-12-31T23:59:59Z") - FIRST]


@pytest.mark.matrix
@pytest.mark.parametrize("difference", DAYS_APART, ids=lambda one: f"{one / DAY:.4g} days")
@pytest.mark.parametrize("stream", ["events", "cohorts"])
def test_a_clock_that_is_wrong_by_more_than_a_day_fails_the_sync_with_both(stream: str, difference: int) -> None:
    account = account_with({1: make_events(3, random.Random(0), start=FIRST - DAY, span=DAY)})
    posthog = PostHog(account, clock=lambda: (FIRST + difference) / SECOND)
    with answers_from(posthog), now_is(FIRST):
        got = run("read", config=config(URL, start_date="2026-02-01T00:00:00Z"), catalog=catalog(stream))
        checked = run("check", config=config(URL, start_date="2026-02-01T00:00:00Z"))
        source = SourcePosthog()
        (events,) = [one for one in source.streams(config(URL)) if one.name == "events"]
        with pytest.raises(PostHogError, match="differ by more than a day"):
            list(events.generate_partitions())
    shown = isoformat(FIRST + difference)[:19]
    sentence = (
        f"PostHog's clock and that of this computer differ by more than a day: PostHog says {shown}Z, this computer "
        f"{isoformat(FIRST)[:19]}Z. Set the one that is wrong, and run the sync again."
    )
    assert (got.status, list(got.of("RECORD"))) == (1, [])
    assert [one.startswith(sentence) for one in got.errors] == [True]
    assert checked.connection[0] == "FAILED"
    assert checked.connection[1].startswith(sentence)


@pytest.mark.parametrize("difference", [-DAY + 60 * SECOND, DAY - 60 * SECOND], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong_by_less_than_a_day_is_none_of_our_business(difference: int) -> None:
    account = account_with({1: make_events(3, random.Random(0), start=FIRST - 5 * DAY, span=DAY)})
    with answers_from(PostHog(account, clock=lambda: (FIRST + difference) / SECOND)), now_is(FIRST):
        got = sync(start_date="2026-02-01T00:00:00Z")
    assert (got.status, len(got.records("events"))) == (0, 3)


# --- the clock itself

NOW = datetime(2026, 3, 1, 12, 0, 0, 400_000, timezone.utc)


class Times:
    """Our two clocks, which the tests move."""

    ours = NOW
    passed = 1000.0

    def go(self, seconds: float) -> None:
        self.ours += timedelta(seconds=seconds)
        self.passed += seconds


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    moved = Times()
    monkeypatch.setattr(clock, "now", lambda: moved.ours)
    monkeypatch.setattr(clock, "seconds", lambda: moved.passed)
    return moved


def answer(headers: Mapping[str, str], took: float = 0.0) -> requests.Response:
    response = requests.Response()
    response.headers.update(headers)
    response.elapsed = timedelta(seconds=took)
    return response


def dated(text: str, took: float = 0.0) -> requests.Response:
    return answer({"Date": f"Sun, 01 Mar 2026 {text} GMT"}, took)


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "soon"}, {"Date": "Sun, 41 Mar 2026 12:00:00 GMT"}])
def test_without_a_valid_date_our_own_clock_is_the_present(times: Times, headers: dict[str, str]) -> None:
    made = Clock()
    assert made.present() == NOW
    made.learn(answer(headers))
    assert made.present() == NOW


@pytest.mark.parametrize(
    ("date", "took"), [("12:00:00", 0.0), ("11:59:58", 2.0), ("14:00:00", 0.0)], ids=["now", "slow answer", "behind"]
)
def test_our_clock_is_the_present_where_it_is_behind_or_cannot_be_told_from_posthogs(
    times: Times, date: str, took: float
) -> None:
    made = Clock()
    made.learn(dated(date, took))
    assert made.present() == NOW
    times.go(3600)
    assert made.present() == NOW + timedelta(hours=1)


def test_posthogs_clock_is_the_present_where_ours_is_ahead_and_goes_on_with_the_time_that_passes(times: Times) -> None:
    made = Clock()
    made.learn(dated("10:00:00"))
    times.go(90)
    assert made.present() == datetime(2026, 3, 1, 10, 1, 30, tzinfo=timezone.utc)


def test_a_clock_of_ours_that_jumps_ahead_in_the_middle_of_a_sync_does_not_move_the_present(times: Times) -> None:
    made = Clock()
    made.learn(dated("12:00:00"))
    times.ours += timedelta(hours=5)
    assert made.present() == datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def test_an_old_answer_of_a_cache_does_not_move_the_present_back(times: Times) -> None:
    made = Clock()
    made.learn(dated("12:00:00"))
    made.learn(dated("03:00:00"))
    assert made.present() == NOW


def test_clocks_are_compared_as_of_now_and_not_as_of_the_answer(times: Times) -> None:
    made = Clock()
    made.require_agreement()
    made.learn(answer({"Date": "Mon, 02 Mar 2026 11:00:00 GMT"}))
    made.require_agreement()
    times.go(50 * 3600)
    made.require_agreement()
    times.ours += timedelta(days=2)
    with pytest.raises(PostHogError, match=r"PostHog says 2026-03-02T11:00:00Z, this computer 2026-03-05T14:00:00Z"):
        made.require_agreement()
