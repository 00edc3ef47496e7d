"""What the state says: never more than was emitted, never less than before."""

from datetime import datetime
from typing import Any

import pytest

from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.tracks import Backfill
from source_posthog.exact.instants import iso
from unit_tests.exact.events.support import DAY, HOUR, MONTH, SECOND, START, US, text

END = START + MONTH
SETTLED = END - DAY


def ledger(state: dict[str, Any] | None = None, start: datetime = START, since: datetime | None = None) -> Ledger:
    """A ledger of project 7, of which [start, END) is going to be read."""
    made = Ledger("timestamp")
    made.begin(state or {})
    made.plan("7", start, END, SETTLED, since)
    return made


def entry(timestamp: datetime, since: datetime | None = None) -> dict[str, str]:
    return {"timestamp": iso(timestamp), **({"since": iso(since)} if since else {})}


# --- the timestamp


def test_the_timestamp_moves_to_the_newest_event_of_what_is_covered_from_the_start_as_the_server_wrote_it() -> None:
    made = ledger()
    assert made.cover("7", START, START + DAY, "2026-01-01T12:00:00+00:00", 3)
    assert made.state() == {"7": {"timestamp": "2026-01-01T12:00:00+00:00"}}
    assert made.timestamp("7") == "2026-01-01T12:00:00+00:00"
    assert made.projects == ["7"]


def test_the_timestamp_waits_for_the_oldest_range_that_is_not_covered() -> None:
    made = ledger()
    assert not made.cover("7", START + DAY, START + 2 * DAY, text(START + 2 * DAY - US), 5)
    assert not made.cover("7", START + 3 * DAY, END, text(END - US), 5)
    assert made.state() == {}
    assert made.cover("7", START, START + DAY, None)
    assert made.state() == {"7": {"timestamp": text(START + 2 * DAY - US)}}
    assert made.cover("7", START + 2 * DAY, START + 3 * DAY, None)
    assert made.state() == {"7": {"timestamp": text(END - US)}}


def test_an_empty_range_moves_the_timestamp_to_its_end_if_that_is_settled() -> None:
    made = ledger()
    assert made.cover("7", START, SETTLED, None)
    assert made.state() == {"7": entry(SETTLED)}
    assert not made.cover("7", SETTLED, SETTLED + US, None)
    assert not made.cover("7", SETTLED + US, END, None)
    assert made.state() == {"7": entry(SETTLED)}


def test_events_of_the_last_day_move_the_timestamp() -> None:
    made = ledger()
    assert made.cover("7", START, END, text(END - US), 1)
    assert made.state() == {"7": {"timestamp": text(END - US)}}


def test_the_timestamp_never_moves_back() -> None:
    made = ledger({"7": entry(START + 9 * DAY)}, start=START + 8 * DAY)
    assert not made.cover("7", START + 8 * DAY, START + 9 * DAY, text(START + 9 * DAY - US), 1)
    assert not made.cover("7", START + 9 * DAY, START + 9 * DAY + US, text(START + 9 * DAY), 1)
    assert made.state() == {"7": entry(START + 9 * DAY)}
    assert made.cover("7", START + 9 * DAY + US, START + 10 * DAY, text(START + 9 * DAY + US), 1)


def test_instants_are_compared_as_instants() -> None:
    made = ledger({"7": {"timestamp": "2026-01-02T01:00:00+02:00"}})
    assert not made.cover("7", START, START + DAY - HOUR, None)
    assert made.cover("7", START + DAY - HOUR, START + DAY, "2026-01-01T23:00:00.000001+00:00", 1)


def test_what_is_covered_twice_stays_covered() -> None:
    made = ledger()
    made.cover("7", START, START + 5 * DAY, None)
    assert not made.cover("7", START + DAY, START + 2 * DAY, None)
    assert made.unread("7", START, END) == (START + 5 * DAY, END)
    assert made.cover("7", START + 5 * DAY, START + 6 * DAY, None)


def test_an_empty_cover_does_nothing() -> None:
    made = ledger()
    assert not made.cover("7", START, START, text(START), 1)
    assert not made.cover("7", END, START, text(START), 1)
    assert made.state() == {}


def test_a_window_that_was_not_planned_stands_for_itself() -> None:
    made = Ledger("timestamp")
    assert made.cover("9", START, END, None)
    assert made.state() == {"9": entry(END)}
    assert not made.cover("9", START, START + DAY, None)
    assert made.planned("9") is None
    assert made.unread("9", START, END) == (START, END)
    assert made.may_read_on("9", START, END, 1, 0)


def test_to_begin_forgets_what_was_planned_and_covered() -> None:
    made = ledger()
    made.plan_backfill("7", START - DAY, START)
    made.cover("7", START + DAY, END, text(END - US), 1)
    made.begin({"8": entry(START)})
    assert made.state() == {"8": entry(START)}
    assert made.planned("7") is None
    assert made.cover("7", START - DAY, START, text(START - DAY), 1)  # neither planned nor a backfill


def test_projects_do_not_mix() -> None:
    made = ledger()
    made.plan("8", START, END, SETTLED)
    made.cover("8", START, START + DAY, None)
    made.cover("7", START + DAY, END, None)
    assert made.state() == {"8": entry(START + DAY)}


def test_the_state_is_a_copy() -> None:
    given: dict[str, Any] = {"7": {"timestamp": text(START)}}
    made = ledger(given)
    made.state()["7"]["timestamp"] = "changed"
    given["7"]["timestamp"] = "changed"
    assert made.state() == {"7": {"timestamp": text(START)}}


# --- what is left, and what may be read


def test_what_is_left_of_a_window_begins_where_all_before_is_emitted() -> None:
    made = ledger()
    made.cover("7", START, START + 5 * DAY, None)
    made.cover("7", START + 6 * DAY, START + 7 * DAY, None)
    assert made.planned("7") == (START, END)
    assert made.unread("7", START, START + 5 * DAY) == (START + 5 * DAY, START + 5 * DAY)
    assert made.unread("7", START, START + 6 * DAY) == (START + 5 * DAY, START + 6 * DAY)
    assert made.unread("7", START + 8 * DAY, END) == (START + 8 * DAY, END)
    assert made.unread("7", START, START + 3 * DAY) == (START + 3 * DAY, START + 3 * DAY)
    assert made.unread("7", START - DAY, START) == (START - DAY, START)  # of the backfill


def test_the_oldest_window_may_read_on_and_the_others_until_too_many_rows_are_ahead() -> None:
    made = ledger()
    later = START + 10 * DAY, START + 20 * DAY
    assert made.may_read_on("7", *later, 1, 10)
    assert not made.may_read_on("7", *later, 1, 0)
    made.cover("7", START + 15 * DAY, START + 20 * DAY, text(START + 16 * DAY), 9)
    assert made.may_read_on("7", *later, 1, 10)
    made.cover("7", START + 10 * DAY, START + 15 * DAY, text(START + 11 * DAY), 1)
    assert not made.may_read_on("7", *later, 1, 10)
    assert made.may_read_on("7", START, START + 10 * DAY, 1, 10)
    made.cover("7", START, START + 10 * DAY, None, 50)
    assert made.may_read_on("7", START + 20 * DAY, END, 1, 10)  # the oldest now, and none is ahead


def test_pages_under_way_count_as_ahead_but_not_that_of_the_oldest_window_nor_its_own() -> None:
    made = ledger()
    second, third = (START + 10 * DAY, START + 20 * DAY), (START + 20 * DAY, END)
    made.expect("7", START, 100)
    made.expect("7", third[0], 3)
    assert made.may_read_on("7", *third, 10, 10)
    assert made.may_read_on("7", *second, 7, 10)
    assert not made.may_read_on("7", *second, 8, 10)
    made.expect("7", third[0], 0)
    assert made.may_read_on("7", *second, 10, 10)
    made.expect("9", START, 1)  # which was not planned
    assert made.may_read_on("9", START, END, 1, 0)


def test_ties_that_fit_no_page_count_as_ahead_until_they_are_covered() -> None:
    made = ledger()
    at, later = START + 15 * DAY, (START + 10 * DAY, START + 20 * DAY)
    for _ in range(2):
        assert not made.cover("7", at, at, None, 4)
    assert not made.may_read_on("7", *later, 1, 8)
    assert made.may_read_on("7", *later, 2, 10)
    made.cover("7", at, at + US, text(at))
    assert not made.may_read_on("7", *later, 1, 8)
    made.cover("7", START, at, None, 1)
    assert made.rows_to_emit("7") == 9
    made.cover("7", START - DAY, START - DAY, None, 100)  # of a backfill
    assert made.may_read_on("7", END - DAY, END, 1, 1)


def test_a_state_is_due_for_the_rows_that_it_covers_and_the_last_one_did_not() -> None:
    made = ledger({"7": entry(START, START)})
    made.plan_backfill("7", START - MONTH, START)
    made.cover("7", START + DAY, START + 2 * DAY, None, 5)
    assert made.rows_to_emit("7") == 0
    made.cover("7", START, START + DAY, None, 3)
    made.cover("7", START - DAY, START, None, 20)
    assert (made.rows_to_emit("7"), made.rows_to_emit("8")) == (28, 0)
    made.emitted()
    assert made.rows_to_emit("7") == 0
    made.cover("7", START + 2 * DAY, START + 3 * DAY, None, 2)
    assert made.rows_to_emit("7") == 2


def test_entries_of_projects_that_are_not_read_do_not_count() -> None:
    made = ledger({"7": entry(START), "8": entry(START), "9": entry(START), "timestamp": text(START)})
    made.read_only({"7", "10"})
    assert made.entries == 3
    made.cover("10", START, START + DAY, None)
    assert made.entries == 4
    made.begin(made.state())
    assert made.entries == 6


def test_of_a_backfill_only_the_newest_window_may_read_on() -> None:
    made = ledger({"7": entry(START, START)})
    made.plan_backfill("7", START - 2 * MONTH, START)
    newest, older = (START - MONTH, START), (START - 2 * MONTH, START - MONTH)
    assert made.may_read_on("7", *newest, 1, 0)
    assert not made.may_read_on("7", *older, 1, 1000)
    made.cover("7", *newest, None)
    assert made.may_read_on("7", *older, 1, 0)


# --- since


def test_since_is_written_with_the_first_move_of_a_new_project() -> None:
    made = ledger(since=START)
    assert not made.cover("7", START + DAY, START + 2 * DAY, None)
    assert made.state() == {}
    assert made.cover("7", START, START + DAY, None)
    assert made.state() == {"7": entry(START + 2 * DAY, START)}
    assert made.since("7") == START


def test_an_older_entry_gets_its_since_though_its_timestamp_does_not_move() -> None:
    made = ledger({"7": entry(END - HOUR)}, start=END - 2 * HOUR, since=START)
    assert made.since("7") is None
    assert made.cover("7", END - 2 * HOUR, END, text(END - HOUR), 1)
    assert made.state() == {"7": entry(END - HOUR, START)}
    assert not made.cover("7", END - 2 * HOUR, END, text(END - HOUR), 1)


def test_since_does_not_pass_the_timestamp_where_a_gap_is_not_read() -> None:
    made = ledger({"7": entry(START - DAY, START - MONTH)}, since=START)
    assert not made.cover("7", START + DAY, END, text(END - US), 1)
    assert made.state() == {"7": entry(START - DAY, START - MONTH)}
    assert made.cover("7", START, START + DAY, None)
    assert made.state() == {"7": {"timestamp": text(END - US), "since": iso(START)}}


def test_the_entry_for_all_projects_stays_and_gets_no_since() -> None:
    made = ledger({"timestamp": text(END - HOUR)}, start=END - 2 * HOUR, since=START)
    assert not made.cover("7", END - 2 * HOUR, END, text(END - HOUR), 1)
    assert made.state() == {"timestamp": text(END - HOUR)}
    assert made.cover("7", END - 2 * HOUR, END, text(END - US), 1)
    assert made.state() == {
        "timestamp": text(END - HOUR),
        "7": {"timestamp": text(END - US), "since": iso(START)},
    }
    assert made.projects == ["7"]


def test_a_ledger_knows_whether_an_entry_does_not_say_since_when_it_covers() -> None:
    made = ledger({"7": entry(START, START), "8": entry(START, START)})
    assert (made.has_entry_without_since, made.entries) == (False, 3)
    assert ledger({"7": entry(START, START), "8": entry(START)}).has_entry_without_since
    assert not ledger({"timestamp": text(START), "7": {}}).has_entry_without_since


def test_further_keys_of_an_entry_are_kept() -> None:
    made = ledger({"7": {"timestamp": text(START), "another": "x"}})
    made.cover("7", START, START + DAY, None)
    assert made.state() == {"7": {"another": "x", "timestamp": iso(START + DAY)}}


def test_since_follows_a_backfill_from_its_end_downwards() -> None:
    made = ledger({"7": entry(START + DAY, START)}, start=START + DAY)
    assert made.backfill("7") is None
    made.plan_backfill("7", START - MONTH, START)
    assert made.backfill("7") == (START - MONTH, START)
    assert not made.cover("7", START - 3 * DAY, START - 2 * DAY, text(START - 3 * DAY), 1)
    assert made.since("7") == START
    assert made.cover("7", START - 2 * DAY, START - DAY, None) is False
    assert made.cover("7", START - DAY, START, None)
    assert made.state() == {"7": entry(START + DAY, START - 3 * DAY)}
    assert made.cover("7", START - MONTH, START - 3 * DAY, None)
    assert made.state() == {"7": entry(START + DAY, START - MONTH)}


def test_a_backfill_does_not_move_the_timestamp_and_the_rest_does_not_move_since() -> None:
    made = ledger({"7": entry(START + DAY, START)}, start=START + DAY)
    made.plan_backfill("7", START - MONTH, START)
    assert made.cover("7", START + DAY, START + 2 * DAY, None)
    assert made.state() == {"7": entry(START + 2 * DAY, START)}


def test_overlapping_covers_of_a_backfill_count_once() -> None:
    backfill = Backfill(START, END)
    backfill.cover(END - 2 * DAY, END - DAY)
    backfill.cover(END - 3 * DAY, END - DAY)
    backfill.cover(END - 2 * DAY, END - DAY)
    assert backfill.read_from == END
    backfill.cover(END - HOUR, END)
    backfill.cover(END - DAY - HOUR, END - HOUR)
    assert backfill.read_from == END - 3 * DAY


# --- states of all hands

FORMS = [
    "2026-01-02T00:00:00.000000Z",
    "2026-01-02T00:00:00+00:00",
    "2026-01-02T02:00:00+0200",
    "2026-01-02T00:00:00",
    "2026-01-02T00:00:00.000000000Z",
    "20260102T000000Z",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_timestamp_of_any_form_is_understood_and_kept_until_it_moves(form: str) -> None:
    made = ledger({"7": {"timestamp": form}, "8": {"timestamp": form}})
    assert not made.cover("7", START, START + DAY, None)
    assert made.cover("7", START + DAY, START + DAY + US, None)
    assert made.state() == {"7": entry(START + DAY + US), "8": {"timestamp": form}}


@pytest.mark.parametrize("own", [None, {}, {"timestamp": None}], ids=["no entry", "an empty entry", "null"])
def test_the_old_form_stands_for_projects_without_a_timestamp_of_their_own(own: dict[str, Any] | None) -> None:
    state: dict[str, Any] = {"timestamp": text(START), "8": {"timestamp": text(END)}}
    made = ledger(state if own is None else {**state, "7": own})
    assert made.timestamp("7") == text(START)
    assert made.timestamp("8") == text(END)
    assert made.since("7") is None


def test_a_project_without_any_timestamp_has_none() -> None:
    assert ledger({"8": entry(START)}).timestamp("7") is None
    assert ledger({"timestamp": None}).timestamp("7") is None


BAD = {
    "for all projects": {"timestamp": "yesterday"},
    "of project 7": {"7": {"timestamp": "2026-01-01"}},
    "of project 8": {"7": {"timestamp": None}, "8": {"timestamp": 5}},
    "of project 9": {"9": {"timestamp": "2026-01-01T00:00:00Z", "since": "x"}},
    "of project 12": {"12": {"timestamp": "2026-01-01T00:00:00Z", "arrived": "x"}},
    "of project 13": {"13": {"timestamp": "2026-01-01T00:00:00Z", "before": {"timestamp": "x"}}},
    "of project 14": {"14": {"timestamp": "2026-01-01T00:00:00Z", "before": {"arrived": 5}}},
    "of project 15": {"15": {"timestamp": "2026-01-01T00:00:00Z", "before": "2026-01-01T00:00:00Z"}},
    "of project 10": {"10": "2026-01-01T00:00:00Z"},
    "of project 11": {"11": None},
}


@pytest.mark.parametrize(("whose", "state"), BAD.items(), ids=BAD.keys())
def test_an_entry_that_is_not_iso_8601_is_named(whose: str, state: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=whose) as refused:
        Ledger("timestamp").begin(state)
    assert refused.value.args == (whose, "timestamp")


def test_the_most_rows_ahead_are_those_that_no_state_covers() -> None:
    made = ledger()
    for place in range(5, 0, -1):
        made.cover("7", START + place * DAY, START + (place + 1) * DAY, text(START + place * DAY), 10)
    later = END - SECOND, END
    assert made.may_read_on("7", *later, 1, 51)
    assert not made.may_read_on("7", *later, 1, 50)


def test_it_counts_entries_and_knows_those_that_do_not_say_since_when_they_cover() -> None:
    made = ledger({"7": entry(START, START), "timestamp": iso(START)})
    assert (made.entries, made.has_entry_without_since) == (3, False)
    made = ledger({"7": entry(START, START), "8": {"timestamp": iso(START)}, "9": {}})
    assert (made.entries, made.has_entry_without_since) == (4, True)


def test_what_lies_in_a_range_that_was_found_empty_is_not_read() -> None:
    """From START a project has 30 days to be read; days 5 to 20 are known to be empty."""
    ledger = Ledger("timestamp")
    ledger.begin({})
    ledger.plan("7", START, START + 30 * DAY, START + 30 * DAY)
    ledger.cover("7", START + 5 * DAY, START + 20 * DAY, None)

    def left(start: int, end: int) -> tuple[int, int]:
        first, last = ledger.unread("7", START + start * DAY, START + end * DAY)
        return (first - START) // DAY, (last - START) // DAY

    assert left(0, 3) == (0, 3)
    assert left(0, 10) == (0, 5)
    assert left(10, 15) == (15, 15)
    assert left(10, 25) == (20, 25)
    assert left(20, 25) == (20, 25)
    assert left(0, 30) == (0, 30)
