"""A day that is read in part, and what the state says of it."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from source_posthog.exact.events.half_days import half_day, written
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.port import HASHES, Cut, HalfDay, Keys
from source_posthog.exact.instants import iso
from unit_tests.exact.events.support import DAY, HOUR, START, US, text

END = START + 10 * DAY
NEWEST = text(START + 2 * DAY + 20 * HOUR)
HALF = HalfDay(START + 2 * DAY, START + 3 * DAY, Cut("it's 😀", HASHES - 1, 7), END, NEWEST)


def ledger(state: dict[str, Any] | None = None, start: datetime = START) -> Ledger:
    made = Ledger("timestamp")
    made.begin(state or {})
    made.plan("7", start, END, END - DAY, START, END)
    return made


def test_it_is_read_as_it_was_written() -> None:
    assert half_day({"day": written(HALF)}) == HALF
    assert half_day({"day": written(replace(HALF, newest=None))}) == replace(HALF, newest=None)
    assert half_day({}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"start": "then"}, {"began": None}, {"newest": "x"}, {"newest": 5}),
        *(
            {"event": 5},
            {"event": "\ud800"},
            {"uuid": -1},
            {"uuid": "-1"},
            {"distinct_id": str(HASHES + 1)},
            {"uuid": "²"},
        ),
    ],
)
def test_what_is_none_is_refused_with_whose_it_is(wrong: dict[str, Any]) -> None:
    entry = {"timestamp": text(START), "day": {**written(HALF), **wrong}}
    for state in ({"7": entry}, {"7": {"timestamp": text(START), "since": iso(END), "before": entry}}):
        with pytest.raises(ValueError, match="day") as refused:
            Ledger("timestamp").begin(state)
        assert refused.value.args == ("of project 7", "day")


@pytest.mark.parametrize("day", ["all of it", 5, [], {}])
def test_so_is_what_has_not_its_form(day: Any) -> None:
    with pytest.raises(ValueError, match="day"):
        Ledger("timestamp").begin({"7": {"timestamp": text(START), "day": day}})


def test_a_half_day_is_in_the_state_once_all_before_it_is_emitted() -> None:
    made = ledger()
    assert not made.cover_in_part("7", HALF, 50)
    assert made.state() == {}
    made.cover("7", START, HALF.start, None)
    assert made.cover_in_part("7", HALF, 50)
    assert made.state()["7"] == {
        "timestamp": iso(HALF.start),
        "since": iso(START),
        "arrived": iso(END),
        "day": written(HALF),
    }
    assert made.half_days("7", END) == [HALF]
    assert made.rows_to_emit("7") == 50


def test_a_day_whose_reading_began_in_the_future_is_none() -> None:
    """The state was edited, or written when a clock was ahead: what has arrived since would not be looked for."""
    made = ledger({"7": {"timestamp": text(HALF.start), "since": iso(START), "day": written(HALF)}}, HALF.start)
    assert made.half_days("7", END - US) == []
    assert made.half_days("7", END) == [HALF]


def test_a_day_without_an_event_so_far_moves_the_state_once_nothing_can_be_on_its_way() -> None:
    made, empty = ledger(), replace(HALF, newest=None)
    made.cover("7", START, HALF.start, None)
    assert made.cover_in_part("7", empty, 0)
    last = replace(empty, start=END - DAY + HOUR, end=END)
    made.cover("7", HALF.start, last.start, text(END - DAY))
    assert not made.cover_in_part("7", last, 0)
    assert made.state()["7"]["timestamp"] == text(END - DAY)
    assert made.cover_in_part("7", replace(last, newest=text(last.start)), 1)


def test_a_day_of_the_lookback_that_is_read_again_leaves_the_half_after_it() -> None:
    state = {"7": {"timestamp": text(HALF.start), "since": iso(START), "day": written(HALF)}}
    made = ledger(state, HALF.start - DAY)
    assert not made.cover_in_part("7", replace(HALF, start=HALF.start - DAY, end=HALF.start), 50)
    made.cover("7", HALF.start - DAY, HALF.start, NEWEST)
    assert made.half_days("7", END) == [HALF]


def test_its_entry_has_a_timestamp_also_where_one_from_before_0_1_8_stands_for_all_projects() -> None:
    made = ledger({"timestamp": text(HALF.start)}, HALF.start)
    assert made.cover_in_part("7", HALF, 50)
    assert made.state()["7"]["timestamp"] == text(HALF.start)


def test_a_half_day_that_was_not_planned_moves_nothing() -> None:
    made = ledger(start=START + 3 * DAY)
    assert not made.cover_in_part("7", HALF, 50)
    assert not made.cover_in_part("8", HALF, 50)
    assert made.state() == {}
    assert made.may_read_on("7", START + 4 * DAY, END, 1, 1)


def test_rows_of_a_half_day_that_no_state_covers_count_as_ahead() -> None:
    made = ledger()
    made.cover_in_part("7", HALF, 50)
    later = START + 5 * DAY, END
    assert made.may_read_on("7", *later, 1, 51)
    assert not made.may_read_on("7", *later, 1, 50)


def test_it_is_dropped_when_the_day_is_covered_also_where_its_only_events_are_at_midnight() -> None:
    made = ledger()
    made.cover("7", START, HALF.start, None)
    made.cover_in_part("7", HALF, 50)
    made.cover("7", HALF.start, HALF.end, text(HALF.start), 5)
    assert made.state()["7"]["timestamp"] == iso(HALF.start)
    assert "day" not in made.state()["7"]


def test_it_stays_until_the_whole_day_is_read() -> None:
    """What it says stays true while some of the day is read in another way."""
    state = {"7": {"timestamp": text(START + DAY), "since": iso(START), "arrived": iso(END), "day": written(HALF)}}
    made = ledger(state, START + DAY)
    made.cover("7", START + DAY, START + DAY + HOUR, text(START + DAY + HOUR - US), 5)
    made.cover("7", START + DAY + HOUR, HALF.end - US, text(HALF.start + HOUR - US), 5)
    assert made.half_days("7", END) == [HALF]
    made.cover("7", HALF.end - US, HALF.end, None)
    assert made.half_days("7", END) == []


def test_it_goes_where_the_sync_begins_after_it() -> None:
    made = ledger({"7": {"timestamp": text(HALF.end), "since": iso(START), "day": written(HALF)}}, HALF.end)
    made.cover("7", END - HOUR, END, None)
    assert made.half_days("7", END) == []


def test_a_range_of_keys_knows_which_names_it_may_have() -> None:
    keys = Keys(Cut("b", 5), Cut("d"))
    assert [keys.may_have(name) for name in ("a", "b", "c", "d", "\ufffd")] == [False, True, True, False, True]
    assert [Keys(Cut("b", HASHES), Cut("d", 1)).may_have(name) for name in ("b", "c", "d", "e")] == [
        *(False, True, True, False)
    ]
    assert (Keys().may_have("x"), Keys().is_bounded, keys.is_bounded) == (True, False, True)


def test_next_is_the_oldest_of_what_is_new_and_the_newest_of_the_backfill() -> None:
    made = ledger()
    made.plan_backfill("7", START - 3 * DAY, START)
    assert made.is_next("7", START, START + DAY)
    assert not made.is_next("7", START + DAY, START + 2 * DAY)
    assert made.is_next("7", START - DAY, START)
    assert not made.is_next("7", START - 2 * DAY, START - DAY)
    assert made.is_next("8", START, END)  # not planned
    made.plan_late("7", START - DAY, START, END)
    assert not made.is_next("7", START, START + DAY)
    assert not made.is_next("7", START - DAY, START)


# --- before what the state covers

EARLIER = replace(HALF, start=START - DAY, end=START)
COVERED = {"timestamp": text(START + DAY), "since": iso(START), "arrived": iso(END)}


def backfilling(**entry: Any) -> Ledger:
    made = ledger({"7": {**COVERED, **entry}}, START + DAY)
    made.plan_backfill("7", START - 9 * DAY, START)
    return made


def test_a_half_day_of_a_backfill_stands_in_before_beside_that_of_a_new_day() -> None:
    made = backfilling(day=written(HALF))
    assert made.cover_in_part("7", EARLIER, 50)
    assert made.state()["7"] == {**COVERED, "day": written(HALF), "before": {"day": written(EARLIER)}}
    assert made.half_days("7", END) == [HALF, EARLIER]
    assert made.half_days("7", END - US) == []
    assert made.rows_to_emit("7") == 50


def test_it_waits_for_what_is_after_it() -> None:
    made = backfilling()
    earlier = replace(EARLIER, start=START - 2 * DAY, end=START - DAY)
    assert not made.cover_in_part("7", earlier, 50)
    assert made.state()["7"] == COVERED
    made.cover("7", START - DAY, START, None)
    assert made.cover_in_part("7", earlier, 50)


def test_it_is_dropped_once_that_day_is_read_and_not_by_what_is_new() -> None:
    made = backfilling(before={"day": written(EARLIER)})
    made.cover("7", START + DAY, END, text(END - US))
    assert made.half_days("7", END) == [EARLIER]
    made.cover("7", START - DAY + HOUR, START, None)
    assert made.half_days("7", END) == [EARLIER]
    made.cover("7", START - DAY, START - DAY + HOUR, None)
    assert made.state()["7"] == {**COVERED, "timestamp": text(END - US), "since": iso(START - DAY)}


def test_a_range_before_what_the_state_covers_and_a_half_day_stand_beside_each_other() -> None:
    entry = {"timestamp": text(START - 6 * DAY), "since": iso(START - 9 * DAY)}
    made = backfilling(before=entry)
    made.cover_in_part("7", EARLIER, 50)
    assert made.state()["7"]["before"] == {**entry, "day": written(EARLIER)}
    made.cover("7", START - DAY, START, None)
    assert made.state()["7"]["before"] == entry


def test_a_half_day_stays_where_the_range_beside_it_is_of_no_use_any_more() -> None:
    range_ = {"timestamp": text(START), "since": iso(START - 9 * DAY)}
    made = backfilling(before={**range_, "day": written(EARLIER)})
    made.turn_to("7", END)
    assert made.state()["7"] == {**COVERED, "before": {"day": written(EARLIER)}}
    made.turn_to("7", END)
    assert made.half_days("7", END) == [EARLIER]


def test_a_sync_of_the_range_before_notes_no_half_day_before_that() -> None:
    range_ = {"timestamp": text(START - DAY), "since": iso(START - 3 * DAY)}
    made = ledger({"7": {**COVERED, "before": range_}})
    made.turn_to("7", START - DAY)
    made.plan("7", START - 3 * DAY, START - DAY, END)
    made.plan_backfill("7", START - 9 * DAY, START - 3 * DAY)
    assert not made.cover_in_part("7", replace(HALF, start=START - 4 * DAY, end=START - 3 * DAY), 50)
    assert made.state()["7"] == {**COVERED, "before": range_}
