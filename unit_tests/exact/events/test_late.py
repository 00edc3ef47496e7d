"""What arrived late: where it is looked for, and what the state says of it."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from source_posthog.exact.events.late import Emitted
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.port import Batch, Page, Query
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range
from source_posthog.exact.events.windows import Plan, Window, cut, lay_out
from source_posthog.exact.instants import EARLIEST, MICROSECOND, iso
from unit_tests.exact.events.support import DAY, HOUR, MONTH, START, US, text

NOW = START + 100 * DAY
PLAN = Plan(START, NOW, NOW, 30 * DAY, HOUR)
LATE = replace(PLAN, late=20 * DAY)


def entry(timestamp: datetime, since: datetime) -> dict[str, str]:
    return {"timestamp": iso(timestamp), "since": iso(since)}


def with_arrival(timestamp: datetime, since: datetime, arrived: datetime) -> dict[str, str]:
    return {**entry(timestamp, since), "arrived": iso(arrived)}


# --- laying out


def laid_out(known: dict[str, str] | None, plan: Plan = LATE) -> tuple[list[Window], Ledger]:
    ledger = Ledger("timestamp")
    ledger.begin({"7": known} if known else {})
    return list(lay_out(ledger, "7", plan)), ledger


def test_what_arrived_since_the_last_sync_less_the_margin_is_looked_for_before_the_state() -> None:
    windows, ledger = laid_out(with_arrival(START + 90 * DAY, START, START + 95 * DAY))
    assert windows == [
        Window(START + 70 * DAY, START + 90 * DAY, START + 95 * DAY - HOUR),
        Window(START + 90 * DAY, NOW),
    ]
    assert ledger.planned("7") == (START + 90 * DAY, NOW)


def test_a_project_without_a_state_has_no_late_days_and_remembers_when_its_first_sync_began() -> None:
    windows, ledger = laid_out(None)
    assert windows == [Window(*bounds) for bounds in cut(START, NOW, 30 * DAY)]
    ledger.cover("7", START, START + DAY, None)
    assert ledger.state() == {"7": with_arrival(START + DAY, START, NOW)}


def test_an_entry_that_does_not_say_when_its_sync_began_means_its_timestamp_and_says_so_before_that_moves() -> None:
    windows, ledger = laid_out(entry(START + 90 * DAY, START))
    assert windows[0] == Window(START + 70 * DAY, START + 90 * DAY, START + 90 * DAY - HOUR)
    ledger.cover("7", START + 90 * DAY, START + 95 * DAY, None)
    assert ledger.state() == {"7": with_arrival(START + 95 * DAY, START, START + 90 * DAY)}


def test_the_entry_for_all_projects_gives_a_project_one_of_its_own_that_says_when_its_sync_began() -> None:
    ledger = Ledger("timestamp")
    ledger.begin({"timestamp": iso(START + 90 * DAY)})
    assert next(lay_out(ledger, "7", LATE)).arrived_from == START + 90 * DAY - HOUR
    assert ledger.state() == {"timestamp": iso(START + 90 * DAY)}
    ledger.cover("7", START + 90 * DAY, START + 91 * DAY, iso(START + 91 * DAY - HOUR), 1)
    # Not when this sync began: what arrived late is not read yet.
    assert ledger.state()["7"] == with_arrival(START + 91 * DAY - HOUR, START, START + 90 * DAY)


def test_an_older_entry_whose_timestamp_moves_first_still_says_from_when_late_events_are_missing() -> None:
    windows, ledger = laid_out(entry(START + 90 * DAY, START), LATE)
    ledger.cover("7", START + 90 * DAY, START + 91 * DAY, iso(START + 91 * DAY - HOUR), 1)
    assert ledger.arrived("7") == START + 90 * DAY
    assert ledger.cover_late("7", windows[0].start, windows[0].end)
    assert ledger.arrived("7") == NOW
    ledger.cover("7", START + 91 * DAY, START + 92 * DAY, iso(START + 92 * DAY - HOUR), 1)
    assert ledger.arrived("7") == NOW


def test_an_arrival_in_the_future_counts_as_unknown_also_if_the_sync_stops_before_the_late_days_is_read() -> None:
    known = with_arrival(START + 90 * DAY, START, NOW + MICROSECOND)
    windows, ledger = laid_out(known, LATE)
    assert windows[0].arrived_from == START + 90 * DAY - HOUR
    assert ledger.state() == {"7": entry(START + 90 * DAY, START)}
    ledger.cover("7", START + 90 * DAY, START + 91 * DAY, iso(START + 91 * DAY - HOUR), 1)
    assert ledger.arrived("7") == START + 90 * DAY


def test_an_arrival_at_the_present_is_known() -> None:
    windows, _ = laid_out(with_arrival(START + 90 * DAY, START, NOW), LATE)
    assert windows[0].arrived_from == NOW - HOUR


def test_an_arrival_in_the_future_by_a_clock_that_was_ahead_heals_with_the_next_sync() -> None:
    known = with_arrival(START + 90 * DAY, START, NOW + DAY)
    windows, ledger = laid_out(known, LATE)
    assert ledger.cover_late("7", windows[0].start, windows[0].end)
    ledger.cover("7", START + 90 * DAY, START + 91 * DAY, iso(START + 91 * DAY - HOUR), 1)
    assert ledger.arrived("7") == NOW


@pytest.mark.parametrize("start_date", [START + 80 * DAY, START + 70 * DAY], ids=["within", "at the horizon"])
def test_a_start_date_that_cuts_off_the_late_days_moves_since_together_with_arrived(start_date: datetime) -> None:
    known = with_arrival(START + 90 * DAY, START, START + 95 * DAY)
    windows, ledger = laid_out(known, replace(LATE, start=start_date))
    assert windows[0] == Window(start_date, START + 90 * DAY, START + 95 * DAY - HOUR)
    assert ledger.cover_late("7", start_date, START + 90 * DAY)
    assert ledger.state() == {"7": with_arrival(START + 90 * DAY, start_date, NOW)}


def test_an_end_before_the_timestamp_cuts_off_the_late_days_and_leaves_arrived() -> None:
    known = with_arrival(START + 90 * DAY, START, START + 95 * DAY)
    windows, ledger = laid_out(known, replace(LATE, end=START + 80 * DAY))
    assert windows == [Window(START + 70 * DAY, START + 80 * DAY, START + 95 * DAY - HOUR)]
    ledger.cover_late("7", START + 70 * DAY, START + 80 * DAY)
    assert ledger.state() == {"7": known}


def test_a_start_date_before_the_horizon_leaves_since() -> None:
    known = with_arrival(START + 90 * DAY, START, START + 95 * DAY)
    windows, ledger = laid_out(known, replace(LATE, start=START + 60 * DAY))
    assert windows[0].start == START + 70 * DAY
    ledger.cover_late("7", START + 70 * DAY, START + 90 * DAY)
    assert ledger.since("7") == START


def test_the_late_days_does_not_reach_into_the_range_before_since() -> None:
    windows, _ = laid_out(with_arrival(START + 90 * DAY, START + 85 * DAY, START + 95 * DAY))
    assert windows[0] == Window(START + 85 * DAY, START + 90 * DAY, START + 95 * DAY - HOUR)
    assert windows[-1] == Window(START, START + 30 * DAY)


@pytest.mark.parametrize("start_date", [START + 90 * DAY, START + 92 * DAY], ids=["at the state", "after the state"])
def test_where_start_date_leaves_nothing_before_the_state_all_that_is_covered_is_read_in_this_sync(
    start_date: datetime,
) -> None:
    known = with_arrival(START + 90 * DAY, START, START + 91 * DAY)
    windows, ledger = laid_out(known, replace(LATE, start=start_date))
    assert windows == [Window(start_date, NOW)]
    ledger.cover("7", start_date, NOW, iso(NOW - HOUR), 1)
    assert ledger.state() == {"7": with_arrival(NOW - HOUR, start_date, NOW)}


def test_with_no_days_the_lookback_is_read_again_and_arrived_stays() -> None:
    known = with_arrival(START + 90 * DAY, START, START + 91 * DAY)
    windows, ledger = laid_out(known, PLAN)
    assert windows == [Window(START + 90 * DAY - HOUR, NOW)]
    ledger.cover("7", windows[0].start, NOW, iso(NOW - HOUR), 1)
    assert ledger.state() == {"7": with_arrival(NOW - HOUR, START, START + 91 * DAY)}


def test_a_timestamp_of_the_first_centuries_has_a_late_days_all_the_same() -> None:
    year_one = datetime(1, 1, 1, tzinfo=timezone.utc)
    windows, _ = laid_out({"timestamp": iso(year_one)}, replace(LATE, start=year_one))
    assert windows[0].arrived_from is None
    windows, _ = laid_out(entry(EARLIEST, EARLIEST - DAY), replace(LATE, start=EARLIEST - DAY))
    assert windows[0] == Window(EARLIEST - DAY, EARLIEST, EARLIEST - HOUR)


# --- the state

END = START + MONTH


def late_ledger(since: datetime | None = None) -> Ledger:
    """A ledger of project 7 whose last sync began at END; of [START, START + DAY) what arrived since is to be read."""
    made = Ledger("timestamp")
    made.begin({"7": with_arrival(START + DAY, START, END)})
    made.plan("7", START + DAY, END, END - DAY)
    made.plan_late("7", START, START + DAY, END + HOUR, since)
    return made


def test_arrived_moves_when_the_whole_late_days_is_covered_in_whatever_order() -> None:
    made = late_ledger()
    assert not made.cover_late("7", START + HOUR, START + DAY)
    assert not made.cover_late("7", START, START + HOUR / 2)
    assert not made.cover_late("7", START, START)
    assert made.arrived("7") == END
    assert made.cover_late("7", START + HOUR / 2, START + HOUR)
    assert made.state() == {"7": with_arrival(START + DAY, START, END + HOUR)}


def test_what_arrived_late_moves_no_timestamp_and_what_is_new_does_not_move_arrived() -> None:
    made = late_ledger()
    made.cover_late("7", START, START + DAY)
    assert made.cover("7", START + DAY, START + 2 * DAY, None)
    assert made.state() == {"7": with_arrival(START + 2 * DAY, START, END + HOUR)}
    made = late_ledger()
    assert made.cover("7", START + DAY, START + 2 * DAY, None)
    assert made.arrived("7") == END


def test_since_moves_with_arrived_where_less_is_looked_at() -> None:
    made = late_ledger(since=START + HOUR)
    assert made.since("7") == START
    made.cover_late("7", START, START + DAY)
    assert (made.since("7"), made.arrived("7")) == (START + HOUR, END + HOUR)


def test_a_late_days_that_was_not_planned_moves_nothing() -> None:
    made = Ledger("timestamp")
    made.begin({"7": entry(START + DAY, START)})
    assert not made.cover_late("7", START, START + DAY)
    assert made.state() == {"7": entry(START + DAY, START)}


@pytest.mark.parametrize("late_first", [True, False])
def test_nothing_is_read_before_all_that_arrived_late_is_or_is_left(late_first: bool) -> None:
    """If the timestamp moved before `arrived`, all that is new would count as late in the next sync."""
    made = late_ledger()
    made.plan_backfill("7", START - DAY, START)
    windows = (START + DAY, END), (START - DAY, START)
    made.cover_late("7", START + HOUR, START + DAY)
    assert not any(made.may_read_on("7", *window, 1, 10) for window in windows)
    if late_first:
        made.cover_late("7", START, START + HOUR)
    else:
        made.leave_late("7")
        assert not made.cover_late("7", START, START + DAY)
    assert all(made.may_read_on("7", *window, 1, 10) for window in windows)
    assert made.arrived("7") == (END + HOUR if late_first else END)


# --- a filter that is refused on a later page


def row(id: str, at: datetime, event: str = "e") -> dict[str, str]:
    return {"id": id, "timestamp": text(at), "event": event, "distinct_id": "d"}


def test_what_is_emitted_of_a_range_is_known_by_how_far_down_it_goes_and_by_the_events_of_one_instant() -> None:
    emitted = Emitted(END)
    emitted.add(Batch([row("1", END - HOUR), row("2", END - 2 * HOUR)], END - 2 * HOUR + US, END))
    assert emitted.down_to == END - 2 * HOUR + US
    emitted.add(Batch([row("3", END - 2 * HOUR)], END - 2 * HOUR, END - 2 * HOUR))  # of ties, by their ids
    again = Batch([row(id, END - 2 * HOUR) for id in "1234"], START, END - 2 * HOUR + US)
    emitted.take_from(again)
    assert [one["id"] for one in again.rows] == ["1", "4"]
    emitted.add(Batch([row("5", END - 3 * HOUR)], END - 3 * HOUR + US, END - 2 * HOUR))
    assert (emitted.down_to, len(emitted.below)) == (END - 3 * HOUR + US, 1)
    emitted.add(Batch([row("6", END - 3 * HOUR)], END - 3 * HOUR + US, END - 3 * HOUR + US))
    assert len(emitted.below) == 2
    emitted.add(Batch([], START, END - 3 * HOUR + US))
    assert (emitted.down_to, emitted.below) == (START, set())


def test_two_events_with_one_id_are_two() -> None:
    emitted = Emitted(END)
    emitted.add(Batch([row("1", START)], START + US, END))
    again = Batch([row("1", START, "another"), row("1", START)], START, START + US)
    emitted.take_from(again)
    assert [one["event"] for one in again.rows] == ["another"]


def test_ties_of_late_events_are_asked_for_by_their_arrival_too() -> None:
    """Else all events of that microsecond would come again, not only those that arrived since."""
    asked: list[Query] = []

    def ask(query: Query) -> Page:
        """Sixteen events at START, of which a page holds two."""
        asked.append(query)
        if query.end <= START:
            return Page([], complete=True)
        return Page([{"id": id, "timestamp": iso(START)} for id in query.like or "01"], complete=bool(query.like))

    batches = read_range(Query("7", START - DAY, START + DAY, arrived_from=START + HOUR), ask, Reach())
    assert sorted(row["id"] for batch in batches for row in batch.rows) == sorted("0123456789abcdef")
    assert [one.like[-1] for one in asked if one.like] == list("0123456789abcdef")
    assert all(one.arrived_from == START + HOUR for one in asked)
