"""What the reader does at the edges: pages, ties, answers that cannot be believed, and slow servers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from posthog_server import Event, EventTable
from source_posthog.exact.errors import OtherInstants, TooSlow, UntrueAnswer
from source_posthog.exact.events.names import Names
from source_posthog.exact.events.port import Batch, Page, Query
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range, require_true_instant
from source_posthog.exact.instants import MILLISECOND
from unit_tests.exact.events.support import (
    DAY,
    HOUR,
    LIMIT,
    MINUTE,
    MONTH,
    SECOND,
    START,
    US,
    EventsList,
    EventsQuery,
    batches,
    ids_due,
    ids_read,
    scripted,
    spread,
    text,
    ties,
    us,
)

END = START + MONTH
ON = START + 3 * DAY  # where the ties of the tests are


def require_all(events: list[Event], cap: int = 100, start: datetime = START, end: datetime = END) -> EventsList:
    """Read [start, end) and compare the ids exactly; returns the server, which knows its requests."""
    server = EventsList(events, cap)
    assert ids_read(server, start, end) == ids_due(events, start, end)
    return server


def row(at: datetime, id: str = "x") -> dict[str, Any]:
    return {"id": id, "timestamp": text(at)}


def test_ties_of_a_millisecond_are_covered_up_to_the_newest_of_them() -> None:
    """By query a millisecond is read as one instant, also where its events differ in microseconds."""
    events = [Event(f"{number:032x}", us(ON) + number) for number in range(150)]
    *_, last = [one for one in batches(EventsQuery(events, 100), ON, ON + MILLISECOND) if one.newest]
    assert last.newest == text(ON + 149 * US)


# --- pages


@pytest.mark.parametrize("number", [0, 1, 49, 50, 51, 99, 100, 101, 199, 200, 300])
def test_so_many_events_in_a_window_are_all_read(number: int) -> None:
    require_all(spread(number, START, END))


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_pages_that_are_exactly_full_with_nothing_older_end_the_window(pages: int) -> None:
    require_all(spread(100 * pages, ON, ON + DAY))


@pytest.mark.parametrize("burst", [499, 500, 700, 999, 1000])
@pytest.mark.parametrize(
    "width", [50 * SECOND, 4 * MINUTE, 14 * MINUTE, 59 * MINUTE, 5 * HOUR, 23 * HOUR], ids=lambda width: f"{width}"
)
def test_events_behind_a_burst_at_the_end_are_read_where_next_is_a_lie(burst: int, width: timedelta) -> None:
    require_all(spread(burst, END - width, END) + spread(1500, START, ON), cap=LIMIT)


def test_a_server_whose_pages_hold_more_than_asked_for_is_read_whole() -> None:
    require_all(spread(2300, START, END), cap=20_000)


def test_events_on_both_bounds_of_the_window_and_a_microsecond_beside_them() -> None:
    around = [one for bound in (START, END) for shift in (-US, 0 * US, US) for one in ties(3, bound + shift)]
    server = EventsList(around)
    assert ids_read(server, START, END) == ids_due(around, START, END)
    assert len(ids_due(around, START, END)) == 9


def test_a_window_of_a_microsecond_is_read() -> None:
    require_all(ties(250, START) + ties(5, START + US), start=START, end=START + US)


def test_a_row_that_comes_twice_in_a_page_and_again_in_the_next_is_emitted_once() -> None:
    newest, edge, oldest = row(ON + US, "a"), row(ON, "b"), row(START, "c")
    ask = scripted(Page([newest, newest, edge, edge], False), Page([edge, edge, oldest, oldest], True))
    assert [[one["id"] for one in batch.rows] for batch in read_range(Query(7, START, END), ask, Reach())] == [
        ["a", "b"],
        ["c"],
    ]


def test_a_batch_says_what_is_covered_and_the_newest_instant_in_it() -> None:
    server = EventsList([*spread(100, ON, ON + DAY), *ties(1, START)], cap=100)
    read_batches = list(batches(server, START, END))
    assert read_batches[0].end == END
    assert read_batches[-1].start == START
    assert all(newer.start == older.end for newer, older in pairwise(read_batches))
    assert read_batches[0].newest == read_batches[0].rows[0]["timestamp"]
    assert list(batches(EventsList([]), START, END)) == [Batch([], START, END, None)]


# --- ties


@pytest.mark.parametrize("cap", [100, 250, 1000])
@pytest.mark.parametrize("more", [-1, 0, 1], ids=["cap - 1", "cap", "cap + 1"])
def test_ties_around_the_size_of_a_page_are_read_whole(cap: int, more: int) -> None:
    require_all(ties(cap + more, ON) + ties(1, ON - US) + ties(2, ON + US), cap)


@pytest.mark.parametrize("pages", [2, 3, 7])
def test_ties_of_several_pages_are_read_whole_with_older_events_behind_them(pages: int) -> None:
    require_all(ties(100 * pages + 1, ON) + spread(120, START, ON))


@pytest.mark.parametrize("at", [START, ON, END - US], ids=["first microsecond", "inside", "last microsecond"])
@pytest.mark.parametrize("number", [99, 100, 101, 230])
def test_ties_at_an_end_of_the_window_are_read_once(at: datetime, number: int) -> None:
    require_all(ties(number, at) + spread(60, ON, ON + DAY))


def test_ties_on_adjacent_microseconds_are_not_mixed() -> None:
    require_all([one for shift in range(4) for one in ties(130 + shift, ON + shift * US)])


def test_ties_whose_ids_end_alike_in_eleven_digits_are_told_apart_by_the_twelfth() -> None:
    require_all(ties(150, ON, alike=11) + ties(90, START))


@pytest.mark.parametrize("digits", [1, 3, 31], ids=lambda digits: f"ids that differ in digit {digits} and those after")
def test_ties_that_were_counted_in_front_of_their_ids_are_told_apart_there(digits: int) -> None:
    numbered = [Event(f"{number:0{digits + 3}x}"[:32].ljust(32, "7"), us(ON)) for number in range(1500)]
    server = require_all(numbered + ties(90, START), cap=LIMIT)
    assert server.requests < 400


@pytest.mark.parametrize("place", [0, -1])
def test_copies_of_one_event_that_fill_pages_are_emitted_once_and_do_not_hide_the_others(place: int) -> None:
    tied = sorted(ties(60, ON), key=lambda one: one.id)
    require_all([*[tied[place]] * 250, *tied, *spread(30, START, ON)])


def test_ties_of_one_id_that_do_not_fit_a_page_are_refused_and_what_is_newer_stands() -> None:
    same = [Event("a" * 32, us(ON), event=f"event {number}") for number in range(150)]
    server = EventsList(same + spread(5, ON + DAY, END), cap=100)
    reading = batches(server, START, END)
    first = next(reading)
    with pytest.raises(UntrueAnswer, match="cannot be distinguished by their ids"):
        list(reading)
    assert first.start == ON + US
    assert len(first.rows) == 100


def test_ids_of_other_digits_are_not_split() -> None:
    """A digit that is not asked for would be lost."""
    with pytest.raises(UntrueAnswer, match="no UUIDs"):
        list(batches(EventsList([Event(chr(200 + place), us(ON)) for place in range(120)], 100), START, END))


def test_ids_of_different_lengths_are_not_split() -> None:
    with pytest.raises(UntrueAnswer, match="ids of different lengths"):
        list(batches(EventsList([Event("a" * length, us(ON)) for length in range(1, 120)], 100), START, END))


@pytest.mark.parametrize("other", [("b", "a"), ("a", "b")], ids=["another name", "another distinct_id"])
@pytest.mark.parametrize("cap", [1000, 100], ids=["on one page", "on two pages"])
def test_two_events_of_one_id_are_both_emitted_on_one_page_and_on_two(other: tuple[str, str], cap: int) -> None:
    pair = [Event("a" * 32, us(ON), *names) for names in (("a", "a"), other)]
    events = [*pair, *ties(99, ON), *spread(40, START, ON)]
    found = [row for batch in batches(EventsList(events, cap), START, END) for row in batch.rows]
    assert sorted(row["id"] for row in found) == sorted(one.id for one in events)


def test_two_events_of_one_id_on_two_days_are_both_emitted_where_one_page_has_both() -> None:
    events = [Event("a" * 32, us(ON)), Event("a" * 32, us(ON + DAY))]
    assert ids_read(EventsList(events), START, END) == ["a" * 32] * 2


def test_copies_of_an_event_at_two_times_of_a_day_are_one() -> None:
    events = [Event("a" * 32, us(ON)), Event("a" * 32, us(ON + HOUR))]
    assert ids_read(EventsList(events), START, END) == ["a" * 32]


def test_the_newest_instant_of_ties_that_fill_pages_is_theirs() -> None:
    server = EventsList(ties(250, ON), cap=100)
    covered = [one for one in batches(server, START, END) if one.newest]
    assert [(one.start, one.end, one.newest) for one in covered] == [(ON, ON + US, text(ON))]


# --- answers that cannot be believed


def test_a_row_that_cannot_be_told_from_others_is_refused() -> None:
    with pytest.raises(UntrueAnswer, match="is not a string"):
        next(read_range(Query(7, START, END), scripted(Page([{**row(ON), "event": ["a"]}], True)), Reach()))


@pytest.mark.parametrize("number", [150, 1000])
def test_a_server_that_shows_a_wall_time_behind_utc_is_noticed_at_the_second_page(number: int) -> None:
    """It shows eight hours less than it stores and filters by."""
    server = EventsList(spread(number, START + DAY, END), cap=100, shown_late=-8 * HOUR)
    with pytest.raises(OtherInstants, match="is not found at that instant"):
        ids_read(server, START, END)


def test_so_is_one_whose_pages_are_full_of_ties() -> None:
    server = EventsList(ties(250, ON), cap=100, shown_late=-8 * HOUR)
    with pytest.raises(OtherInstants):
        ids_read(server, START, END)


def test_a_wall_time_ahead_of_utc_is_outside_the_range() -> None:
    server = EventsList(spread(150, START, END), cap=100, shown_late=9 * HOUR)
    with pytest.raises(OtherInstants, match="outside the requested range"):
        ids_read(server, START, END)


@pytest.mark.parametrize("at", [ON, ON - US], ids=["the oldest row of the page", "the row after it"])
def test_an_event_that_is_deleted_between_two_pages_is_no_fault(at: datetime) -> None:
    events = [*spread(99, ON + US, ON + DAY), *ties(1, ON), *ties(1, ON - US), *spread(50, START, START + DAY)]
    server = EventsList(events, cap=100)
    reading = batches(server, START, END)
    emitted = [row["id"] for row in next(reading).rows]
    server.project.events = EventTable(one for one in events if one.at != us(at))
    emitted += [row["id"] for batch in reading for row in batch.rows]
    assert set(ids_due(server.project.events, START, END)) <= set(emitted)
    assert len(emitted) == len(set(emitted))


def answers(*pages: Page) -> tuple[list[Query], Callable[[Query], Page]]:
    """What is asked, and an `ask` that gives `pages` one after the other."""
    asked: list[Query] = []

    def ask(query: Query) -> Page:
        asked.append(query)
        return pages[len(asked) - 1]

    return asked, ask


def test_an_event_is_found_at_the_instant_that_it_shows() -> None:
    shown = row(ON + 137 * US, "a1")
    asked, ask = answers(Page([row(ON + 150 * US, "b2"), shown], True))
    require_true_instant(ask, Query(7, START, START), shown, MILLISECOND)
    assert [(one.start, one.end, one.like) for one in asked] == [(ON, ON + MILLISECOND, "")]


def test_among_more_events_of_that_instant_than_a_page_holds_it_need_not_be_seen() -> None:
    asked, ask = answers(Page([row(ON, "b2")], False))
    require_true_instant(ask, Query(7, START, START), row(ON, "a1"), US)
    assert len(asked) == 1


def test_an_event_that_is_not_found_there_was_deleted_or_is_at_another_instant() -> None:
    asked, ask = answers(Page([], True), Page([], True))
    require_true_instant(ask, Query(7, START, START), row(ON, "a1"), US)
    assert (asked[1].start, asked[1].end, asked[1].like) == (ON - DAY, ON + DAY, "a1")
    _, ask = answers(Page([row(ON, "b2")], True), Page([row(ON, "a1")], True))
    with pytest.raises(OtherInstants):
        require_true_instant(ask, Query(7, START, START), row(ON, "a1"), US)


def test_where_the_server_is_too_slow_to_say_whether_an_event_was_deleted_the_window_fails() -> None:
    def ask(query: Query) -> Page:
        if query.like:
            raise TooSlow
        return Page([row(ON)], False) if query.end == END else Page([], True)

    with pytest.raises(OtherInstants):
        list(read_range(Query(7, START, END), ask, Reach()))


def test_an_event_that_does_not_come_again_on_an_empty_page_is_looked_for() -> None:
    last = row(ON, "b")
    pages = Page([row(ON + HOUR, "a"), last], False), Page([], True)
    asked, ask = answers(*pages, Page([], True))  # it was deleted
    assert [one["id"] for batch in read_range(Query(7, START, END), ask, Reach()) for one in batch.rows] == ["a", "b"]
    assert asked[2].like == "b"
    _, ask = answers(*pages, Page([last], True))
    with pytest.raises(OtherInstants):
        list(read_range(Query(7, START, END), ask, Reach()))


def test_within_a_millisecond_nothing_is_asked_for_beyond_the_bounds_and_what_is_shown_below_them_is_believed() -> None:
    start, end = ON + 500 * US, ON + DAY + 500 * US
    newest = row(ON + DAY, "a")  # which is at most a millisecond older than it is stored
    full = Page([newest, newest], False, MILLISECOND)
    asked, ask = answers(full, Page([newest], True, MILLISECOND), Page([row(ON, "b")], True, MILLISECOND))
    read = [one["id"] for batch in read_range(Query(7, start, end), ask, Reach()) for one in batch.rows]
    assert read == ["a", "b"]
    assert (min(one.start for one in asked), max(one.end for one in asked)) == (start, end)


@pytest.mark.parametrize("number", range(600, 1200, 40))
def test_parts_of_a_dense_range_meet_at_whole_milliseconds_and_end_with_it(number: int) -> None:
    server = EventsQuery([Event(f"{place:032x}", us(ON) + 13 * place) for place in range(number)], 100)
    asked: list[Query] = []

    def ask(query: Query) -> Page:
        asked.append(query)
        return server.ask(query)

    end = ON + (13 * number + 300) * US
    read = [one["id"] for batch in read_range(Query(7, ON, end), ask, Reach(), rows_in_hand=300) for one in batch.rows]
    assert sorted(read) == ids_due(server.project.events, ON, end)
    assert all(at == end or at.microsecond % 1000 == 0 for one in asked for at in (one.start, one.end))
    assert max(one.end for one in asked) == end


UNTRUE = {
    "a row at the end of the range": (Page([row(END)], True), "outside the requested range"),
    "a row before the range": (Page([row(START - US)], True), "outside the requested range"),
    "a newer row behind an older": (Page([row(ON), row(ON + US)], True), "out of order"),
    "a row without a timestamp": (Page([{"id": "x"}], True), "None as its timestamp"),
    "a second row without a timestamp": (Page([row(ON), {"id": "x"}], True), "None as its timestamp"),
    "null for a timestamp": (Page([{"id": "x", "timestamp": None}], True), "None as its timestamp"),
    "a timestamp that is none": (Page([{"id": "x", "timestamp": "yesterday"}], True), "'yesterday' as its timestamp"),
    "a number for a timestamp": (Page([{"id": "x", "timestamp": 5}], True), "5 as its timestamp"),
    "an empty page with more": (Page([], False), "an empty page says that there is more"),
}


@pytest.mark.parametrize(("page", "reason"), UNTRUE.values(), ids=UNTRUE.keys())
def test_an_answer_that_would_lose_events_is_refused(page: Page, reason: str) -> None:
    with pytest.raises(UntrueAnswer, match=reason):
        next(read_range(Query(7, START, END), scripted(page), Reach()))


def test_rows_on_both_ends_of_the_range_are_believed() -> None:
    page = Page([row(END - US, "a"), row(START, "b")], True)
    assert next(read_range(Query(7, START, END), scripted(page), Reach())).rows == page.rows


def test_an_answer_that_ignores_the_filter_by_id_is_refused() -> None:
    tied = Page([row(ON, f"{digit}") for digit in "0123456789"], False)
    with pytest.raises(UntrueAnswer, match="the filter by id was ignored"):
        list(read_range(Query(7, START, END), scripted(tied, tied, tied), Reach()))


def test_an_answer_that_ignores_the_filter_by_name_is_refused() -> None:
    for names in (Names(frozenset("a"), left_out=False), Names(frozenset("b"))):
        query = Query(7, START, END, names=names)
        page = Page([{**row(ON), "event": "a"}, {**row(ON, "y"), "event": "b"}], True)
        with pytest.raises(UntrueAnswer, match="the filter by name was ignored"):
            list(read_range(query, scripted(page), Reach()))


def test_an_event_that_did_not_come_again_is_looked_for_by_its_name_too() -> None:
    """Its id can be that of another event, which is not wanted."""
    asked: list[Query] = []

    def ask(query: Query) -> Page:
        asked.append(query)
        return Page([], True)

    names = Names(frozenset("a"))
    require_true_instant(ask, Query(7, START, END, names=names), row(ON), US)
    assert [one.names for one in asked] == [names, names]


def test_ties_out_of_their_microsecond_are_refused() -> None:
    tied = Page([row(ON, "00"), row(ON, "11")], False)
    with pytest.raises(UntrueAnswer, match="outside the requested range"):
        list(read_range(Query(7, START, END), scripted(tied, Page([row(ON - US)], False)), Reach()))


@pytest.mark.parametrize(("length", "expected"), [(SECOND, True), (SECOND + US, False)], ids=str)
def test_a_second_is_the_shortest_range_that_is_asked_for(length: timedelta, expected: bool) -> None:
    assert Query(7, START, START + length).is_shortest is expected


def test_an_id_that_is_left_out_does_not_fit() -> None:
    query = Query(7, START, END, like="_1", unlike=("a1",))
    assert [query.fits(id) for id in ("a1", "b1", "b2", "b11")] == [False, True, False, False]


def test_a_range_whose_instants_become_coarser_while_it_is_read_in_parts_has_each_event_once() -> None:
    """The list is gone after some pages, and by query a part would reach to the end of its millisecond."""
    start, end = START + 100 * US, START + 100 * US + 2 * MILLISECOND
    events = spread(1200, start, end)
    server = EventsQuery(events, 100, gone_after=4)
    found = read_range(Query(7, start, end), server.ask, Reach(), rows_in_hand=800)
    assert sorted(row["id"] for batch in found for row in batch.rows) == ids_due(events, start, end)
