"""How a project's time is cut, and what is skipped."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.windows import (
    Plan,
    Range,
    cut,
    empty_ends,
    first_event,
    in_turns,
    is_long,
    last_event,
    lay_out,
)
from source_posthog.exact.instants import iso
from unit_tests.exact.events.support import DAY, HOUR, START, US

OneEvent = Callable[[datetime, datetime], datetime | None]

NOW = START + 100 * DAY
PLAN = Plan(START, NOW, NOW, 30 * DAY, HOUR)


@pytest.mark.parametrize("length", [0 * DAY, US, 30 * DAY, 30 * DAY + US, 100 * DAY], ids=str)
def test_windows_meet_without_gap_or_overlap(length: timedelta) -> None:
    windows = list(cut(START, START + length, 30 * DAY))
    assert [stop for _, stop in windows[:-1]] == [start for start, _ in windows[1:]]
    assert all(start < stop <= start + 30 * DAY for start, stop in windows)
    assert not windows if not length else (windows[0][0], windows[-1][1]) == (START, START + length)


def test_there_is_no_window_from_a_start_after_the_end() -> None:
    assert list(cut(NOW, START, DAY)) == []


def test_projects_take_turns_until_all_are_at_their_end() -> None:
    assert list(in_turns([iter("abc"), iter(""), iter("1"), iter("xy")])) == ["a", "1", "x", "b", "y", "c"]


@pytest.mark.parametrize(
    ("start", "timestamp", "expected"),
    [
        (START, None, START),
        (START, START + DAY, START + DAY - HOUR),
        (START, START + HOUR, START),
        (START, START + HOUR / 2, START),
        (START, START - DAY, START),
        (None, START, START - HOUR),
        (None, None, None),
    ],
)
def test_reading_begins_a_lookback_before_the_state_but_not_before_the_start(
    start: datetime | None, timestamp: datetime | None, expected: datetime | None
) -> None:
    assert Plan(start, NOW, NOW, DAY, HOUR).start_of(timestamp) == expected


# --- laying out


def windows_of(
    entry: dict[str, Any] | None, plan: Plan = PLAN, *, keep_since: bool = True
) -> tuple[list[Range], Ledger]:
    ledger = Ledger("timestamp")
    ledger.begin({"7": entry} if entry else {})
    return [(one.start, one.end) for one in lay_out(ledger, "7", plan, by_hand=not keep_since)], ledger


def entry(timestamp: datetime, since: datetime | None = None) -> dict[str, str]:
    return {"timestamp": iso(timestamp), **({"since": iso(since)} if since else {})}


def since_after_reading(known: dict[str, str] | None, start_date: datetime) -> str | None:
    """What an entry's `since` is once all of its windows are read, an event in each."""
    windows, ledger = windows_of(known, Plan(start_date, NOW, NOW, 30 * DAY, HOUR))
    for start, end in windows:
        ledger.cover("7", start, end, iso(end - US), 1)
    since: str | None = ledger.state()["7"].get("since")
    return since


def test_a_project_without_a_state_is_read_from_the_start_on_oldest_window_first() -> None:
    windows, ledger = windows_of(None)
    assert windows == list(cut(START, NOW, 30 * DAY))
    assert ledger.planned("7") == (START, NOW)
    assert since_after_reading(None, START) == iso(START)


def test_a_project_is_read_on_from_its_state() -> None:
    windows, ledger = windows_of(entry(START + 50 * DAY, START))
    assert windows == list(cut(START + 50 * DAY - HOUR, NOW, 30 * DAY))
    assert ledger.planned("7") == (START + 50 * DAY - HOUR, NOW)
    assert since_after_reading(entry(START + 50 * DAY, START), START) == iso(START)


def test_an_entry_without_since_is_taken_to_begin_at_the_start() -> None:
    assert since_after_reading(entry(START + 50 * DAY), START) == iso(START)


def test_an_earlier_start_date_adds_the_range_before_since_newest_window_first() -> None:
    windows, ledger = windows_of(entry(START + 90 * DAY, START + 40 * DAY))
    assert windows == [
        (START + 90 * DAY - HOUR, NOW),
        (START + 30 * DAY, START + 40 * DAY),
        (START, START + 30 * DAY),
    ]
    assert ledger.planned("7") == (START + 90 * DAY - HOUR, NOW)
    assert since_after_reading(entry(START + 90 * DAY, START + 40 * DAY), START) == iso(START)


def test_the_lookback_does_not_reach_into_the_range_before_since() -> None:
    windows, _ = windows_of(entry(START + 5 * DAY + HOUR / 2, START + 5 * DAY))
    assert windows == [*cut(START + 5 * DAY, NOW, 30 * DAY), (START, START + 5 * DAY)]


@pytest.mark.parametrize(
    "start_date", [START + 50 * DAY - HOUR / 2, START + 60 * DAY], ids=["in the lookback", "after"]
)
def test_since_moves_to_a_start_date_that_cuts_off_what_would_be_read(start_date: datetime) -> None:
    assert since_after_reading(entry(START + 50 * DAY, START), start_date) == iso(start_date)


def test_since_stays_where_start_date_moves_later_within_what_is_covered() -> None:
    assert since_after_reading(entry(START + 50 * DAY, START), START + 20 * DAY) == iso(START)


def test_without_since_the_state_keeps_its_old_form() -> None:
    windows, ledger = windows_of(entry(START + 50 * DAY, START + 40 * DAY), keep_since=False)
    assert windows == list(cut(START + 50 * DAY - HOUR, NOW, 30 * DAY))
    ledger.cover("7", *windows[0], iso(NOW - DAY), 1)
    assert ledger.since("7") == START + 40 * DAY
    windows, ledger = windows_of(None, keep_since=False)
    ledger.cover("7", *windows[0], iso(START), 1)
    assert ledger.state() == {"7": {"timestamp": iso(START)}}


def test_without_a_start_a_project_is_read_from_its_state_and_one_without_a_state_not_at_all() -> None:
    plan = Plan(None, NOW, NOW, 30 * DAY, HOUR)
    windows, ledger = windows_of(entry(START + 90 * DAY), plan)
    assert windows == [(START + 90 * DAY - HOUR, NOW)]
    ledger.cover("7", *windows[0], iso(NOW - US), 1)
    assert ledger.state() == {"7": entry(NOW - US)}
    assert windows_of(None, plan)[0] == []


def test_an_empty_window_of_the_last_day_does_not_move_the_state() -> None:
    windows, ledger = windows_of(entry(NOW - 3 * DAY, START))
    assert not ledger.cover("7", *windows[0], None)
    assert ledger.cover("7", windows[0][0], NOW - DAY, None)
    assert ledger.state()["7"]["timestamp"] == iso(NOW - DAY)


# --- an end before the present


def test_nothing_from_an_end_on_is_planned_and_an_empty_project_is_done_with_it() -> None:
    plan = Plan(START, START + 40 * DAY, NOW, 30 * DAY, HOUR)
    windows, ledger = windows_of(None, plan)
    assert windows == [(START, START + 30 * DAY), (START + 30 * DAY, START + 40 * DAY)]
    for start, end in windows:
        ledger.cover("7", start, end, None)
    assert ledger.state()["7"]["timestamp"] == iso(START + 40 * DAY)
    assert windows_of(ledger.state()["7"], replace(plan, lookback=0 * DAY))[0] == []


def test_an_empty_window_before_an_end_of_the_last_day_does_not_move_the_state() -> None:
    windows, ledger = windows_of(entry(NOW - 3 * DAY, START), Plan(START, NOW - HOUR, NOW, 30 * DAY, HOUR))
    assert not ledger.cover("7", *windows[0], None)
    assert ledger.cover("7", windows[0][0], NOW - DAY, None)


@pytest.mark.parametrize("end", [START + 50 * DAY, START + 90 * DAY - HOUR], ids=["long before", "at the lookback"])
def test_a_state_after_an_end_is_not_read_on_and_stays(end: datetime) -> None:
    known = entry(START + 90 * DAY, START)
    windows, ledger = windows_of(known, Plan(START, end, NOW, 30 * DAY, HOUR))
    assert (windows, ledger.state()) == ([], {"7": known})


def test_an_end_before_what_the_state_covers_bounds_the_range_before_it_too() -> None:
    """`since` cannot follow, since what lies between that end and it is not read: `before` covers that range."""
    known = entry(START + 90 * DAY, START + 60 * DAY)
    plan = Plan(START, START + 40 * DAY, NOW, 30 * DAY, HOUR)
    windows, ledger = windows_of(known, plan)
    assert windows == [(START, START + 30 * DAY), (START + 30 * DAY, START + 40 * DAY)]
    assert all(ledger.cover("7", start, end, iso(end - US), 1) for start, end in windows)
    before = {**entry(START + 40 * DAY - US, START), "arrived": iso(NOW)}
    assert ledger.state() == {"7": {**known, "before": before}}
    again, _ = windows_of(ledger.state()["7"], plan)
    assert again == [(START + 40 * DAY - US - HOUR, START + 40 * DAY)]


def test_a_since_in_the_future_is_remembered_too() -> None:
    """As of a state that was edited, or of clocks that were ahead: it covers nothing yet."""
    known = entry(START + 90 * DAY, NOW + DAY)
    windows, ledger = windows_of(known)
    assert windows == list(cut(START, NOW, 30 * DAY))
    for start, end in windows:
        ledger.cover("7", start, end, iso(end - US), 1)
    before = {**entry(NOW - US, START), "arrived": iso(NOW)}
    assert ledger.state() == {"7": {**known, "before": before}}
    assert windows_of(ledger.state()["7"])[0] == [(NOW - US - HOUR, NOW)]


NESTED = {**entry(START + 90 * DAY, START + 60 * DAY), "before": entry(START + 40 * DAY, START + 20 * DAY)}


def test_what_lies_between_two_ranges_is_read_again_with_the_earlier_one_which_then_is_part_of_the_later() -> None:
    windows, ledger = windows_of(NESTED)
    assert windows[-2:] == [(START + 30 * DAY, START + 60 * DAY), (START, START + 30 * DAY)]
    ledger.cover("7", *windows[-2], None)
    ledger.cover("7", *windows[-1], None)
    state = ledger.state()["7"]
    assert (state["since"], "before" in state) == (iso(START), True)
    assert "before" not in windows_of(state)[1].state()["7"]


@pytest.mark.parametrize(
    ("start", "end", "first", "kept"),
    [
        (START, START + 50 * DAY, START + 40 * DAY - HOUR, True),
        (START, START + 20 * DAY, START, True),
        (START, START + 60 * DAY - US, START + 40 * DAY - HOUR, True),
        (START, START + 10 * DAY, START, False),
        (START + 45 * DAY, START + 50 * DAY, START + 45 * DAY, True),
    ],
    ids=["goes on", "reaches it from below", "ends just below since", "lies below it", "lies above it"],
)
def test_one_range_before_since_is_remembered(start: datetime, end: datetime, first: datetime, kept: bool) -> None:
    windows, ledger = windows_of(NESTED, Plan(start, end, NOW, 30 * DAY, HOUR))
    assert windows[0][0] == first
    assert ("before" in ledger.state()["7"]) is kept
    for bounds in windows:
        ledger.cover("7", *bounds, iso(bounds[1] - US), 1)
    assert ledger.since("7") == start
    assert ledger.state()["7"]["timestamp"] == NESTED["timestamp"]


def test_the_entry_for_all_projects_does_not_stand_for_a_range_before_since() -> None:
    ledger = Ledger("timestamp")
    ledger.begin({"timestamp": iso(START + 30 * DAY), "7": entry(START + 90 * DAY, START + 60 * DAY)})
    assert next(lay_out(ledger, "7", replace(PLAN, end=START + 40 * DAY))).start == START


def test_an_end_at_since_reaches_it() -> None:
    windows, ledger = windows_of(entry(START + 90 * DAY, START + 60 * DAY), replace(PLAN, end=START + 60 * DAY))
    for bounds in windows:
        ledger.cover("7", *bounds, None)
    assert ledger.state() == {"7": entry(START + 90 * DAY, START)}


def test_an_entry_that_does_not_say_how_far_it_covers_has_no_range_before_it() -> None:
    windows, ledger = windows_of({"since": iso(START + 60 * DAY)}, Plan(START, START + 40 * DAY, NOW, 30 * DAY, HOUR))
    assert windows == [(START, START + 30 * DAY), (START + 30 * DAY, START + 40 * DAY)]
    ledger.cover("7", *windows[0], None)
    assert ledger.state()["7"] == {**entry(START + 30 * DAY, START), "arrived": iso(NOW)}


# --- empty history


def asked(
    *events: datetime, knows_order: bool = True
) -> tuple[dict[str, Callable[[datetime, datetime], datetime | None]], list[Range]]:
    """The two questions for an event of a range, and the ranges that were asked for."""
    ranges: list[Range] = []

    def ask(start: datetime, end: datetime, pick: Callable[[list[datetime]], datetime]) -> datetime | None:
        ranges.append((start, end))
        within = [at for at in events if start <= at < end]
        return pick(within) if within else None

    return {
        "oldest": lambda start, end: ask(start, end, min if knows_order else max),
        "newest": lambda start, end: ask(start, end, max),
    }, ranges


@pytest.mark.parametrize("first", [START + US, START + 5 * DAY, START + 1000 * DAY])
def test_history_before_the_first_event_is_skipped(first: datetime) -> None:
    ask, ranges = asked(first, first + DAY)
    assert first_event(START, START + 2000 * DAY, **ask) == first
    assert all(end - start <= 365 * DAY for start, end in ranges)


def test_an_event_at_the_very_start_means_that_nothing_is_skipped() -> None:
    ask, ranges = asked(START)
    assert first_event(START, NOW, **ask) == START
    assert len(ranges) == 1


def test_a_first_event_that_is_not_the_first_means_that_nothing_is_skipped() -> None:
    """A server that does not know the order gives the newest."""
    ask, _ = asked(START + DAY, START + 50 * DAY, knows_order=False)
    assert first_event(START, NOW, **ask) == START


@pytest.mark.parametrize("answer", [START - US, NOW], ids=["before the range", "after it"])
def test_a_first_event_out_of_the_range_means_that_nothing_is_skipped(answer: datetime) -> None:
    assert first_event(START, NOW, oldest=lambda start, end: answer, newest=lambda start, end: None) == START


def test_what_was_empty_is_skipped_where_a_later_range_is_not_proved() -> None:
    ask, _ = asked(START + 400 * DAY, START + 500 * DAY, knows_order=False)
    assert first_event(START, START + 800 * DAY, **ask) == START + 365 * DAY


def test_the_last_day_is_never_skipped() -> None:
    ask, ranges = asked()
    assert first_event(START, NOW, **ask) == NOW - DAY
    assert ranges == [(START, NOW - DAY)]
    assert first_event(START, START + DAY / 2, **ask) == START


LONG_AGO = START - 2000 * DAY
MS = timedelta(milliseconds=1)


@pytest.mark.parametrize("last", [LONG_AGO, LONG_AGO + DAY, START - 700 * DAY, START - 90 * DAY])
def test_time_after_the_last_event_is_skipped(last: datetime) -> None:
    ask, ranges = asked(LONG_AGO, last)
    assert last_event(LONG_AGO, START, 30 * DAY, ask["newest"]) == last + MS
    assert all(end - start <= 365 * DAY for start, end in ranges)
    assert ranges[0] == (START - 2 * DAY, START - DAY)


def test_an_event_shown_with_milliseconds_is_within_what_is_read() -> None:
    last, shown = START - 500 * DAY + US, START - 500 * DAY

    def newest(start: datetime, end: datetime) -> datetime | None:
        return shown if start <= last < end else None

    assert last < last_event(LONG_AGO, START, DAY, newest) == shown + MS


@pytest.mark.parametrize("days", [2, 30, 59])
def test_where_few_windows_follow_the_last_event_they_are_read(days: int) -> None:
    ask, ranges = asked(START - days * DAY)
    assert last_event(LONG_AGO, START, 30 * DAY, ask["newest"]) == START - (1 if days == 2 else 2) * DAY
    assert len(ranges) <= 2


def test_where_nothing_is_there_all_but_the_last_day_is_skipped() -> None:
    ask, ranges = asked()
    assert last_event(LONG_AGO, START, 30 * DAY, ask["newest"]) == LONG_AGO
    assert sorted(ranges) == ranges[::-1]


def test_where_the_event_that_is_given_is_not_the_newest_nothing_after_it_is_skipped() -> None:
    """A server that shows other instants than it filters by, or that gives any event of the range."""
    ask, _ = asked(START - 700 * DAY, START - 600 * DAY)
    assert last_event(LONG_AGO, START, 30 * DAY, ask["oldest"]) > START - 600 * DAY
    assert last_event(LONG_AGO, START, 30 * DAY, lambda start, end: LONG_AGO - DAY) == START - DAY


@pytest.mark.parametrize(
    ("length", "step", "expected"),
    [
        (91 * DAY, 30 * DAY, False),
        (150 * DAY, 30 * DAY, True),
        (5 * DAY, 30 * DAY, False),
        (4 * DAY, DAY, False),
        (5 * DAY, DAY, True),
        (366 * DAY, 61 * DAY, False),
        (366 * DAY, 60 * DAY, True),
    ],
)
def test_the_first_event_is_asked_for_where_that_takes_fewer_requests_than_reading(
    length: timedelta, step: timedelta, expected: bool
) -> None:
    """365 days take two questions a year and one more; 6 windows may take 6 requests or more."""
    assert is_long(START, START + length, step) is expected


# --- empty ends, by what PostHog counts


@pytest.mark.parametrize(
    ("days", "hidden", "bounds"),
    [
        ({5: 1, 7: 3}, (), (5, 8)),
        ({5: 1, 7: 0}, (), (5, 6)),
        ({5: 1}, (2,), (0, 6)),
        ({5: 1}, (20,), (5, 29)),
        ({}, (), (29, 29)),
        ({}, (3,), (0, 29)),
        ({0: 1, 40: 1}, (), (0, 29)),
    ],
    ids=[
        "both ends",
        "a day without",
        "one before that is not counted",
        "one after",
        "none",
        "none but one",
        "outside",
    ],
)
def test_empty_ends_are_those_that_are_not_counted_and_are_not_there(
    days: dict[int, int], hidden: tuple[int, ...], bounds: tuple[int, int]
) -> None:
    there = [START + day * DAY for day in hidden]

    def newest(start: datetime, end: datetime) -> datetime | None:
        return max((at for at in there if start <= at < end), default=None)

    counted = {(START + day * DAY).date(): number for day, number in days.items()}
    first, last = empty_ends(START, START + 30 * DAY, counted, newest)
    assert ((first - START) / DAY, (last - START) / DAY) == bounds
