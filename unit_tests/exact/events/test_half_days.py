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
    assert made.half_day("7") == HALF
    assert made.rows_to_emit("7") == 50


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


def test_it_stays_until_the_day_is_reached_and_goes_when_it_is_read_in_another_way() -> None:
    state = {"7": {"timestamp": text(START + DAY), "since": iso(START), "arrived": iso(END), "day": written(HALF)}}
    made = ledger(state, START + DAY)
    made.cover("7", START + DAY, START + DAY + HOUR, text(START + DAY + HOUR - US), 5)
    assert made.half_day("7") == HALF
    made.cover("7", START + DAY + HOUR, HALF.start + HOUR, text(HALF.start + HOUR - US), 5)
    assert made.half_day("7") is None


def test_a_range_of_keys_knows_which_names_it_may_have() -> None:
    keys = Keys(Cut("b", 5), Cut("d"))
    assert [keys.may_have(name) for name in ("a", "b", "c", "d", "\ufffd")] == [False, True, True, False, True]
    assert [Keys(Cut("b", HASHES), Cut("d", 1)).may_have(name) for name in ("b", "c", "d", "e")] == [
        *(False, True, True, False)
    ]
    assert (Keys().may_have("x"), Keys().is_bounded, keys.is_bounded) == (True, False, True)


def test_what_was_planned_before_has_to_be_emitted_for_a_day_to_be_the_oldest() -> None:
    made = ledger()
    assert made.is_oldest("7", START)
    assert not made.is_oldest("7", START + DAY)
    assert not made.is_oldest("8", START)
    made.plan_late("7", START - DAY, START, END)
    assert not made.is_oldest("7", START)
