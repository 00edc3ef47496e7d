"""What the reader does at the edges: pages, ties, answers that cannot be believed, and slow servers."""

import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from integration_tests.posthog_server import Event
from source_posthog.events.instants import instant
from source_posthog.events.ledger import Ledger
from source_posthog.events.reading import Batch, Page, Query, Reach, TooSlow, UntrueAnswer, read
from unit_tests.events.support import (
    DAY,
    HOUR,
    LIMIT,
    MINUTE,
    MONTH,
    SECOND,
    START,
    US,
    EventsList,
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
    assert [[one["id"] for one in batch.rows] for batch in read(Query(7, START, END), ask, Reach())] == [
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


def test_ties_whose_ids_end_alike_in_twelve_digits_are_refused_and_what_is_newer_stands() -> None:
    server = EventsList(ties(150, ON, alike=12) + spread(5, ON + DAY, END), cap=100)
    reading = batches(server, START, END)
    first = next(reading)
    with pytest.raises(UntrueAnswer, match="cannot be told apart by their ids"):
        list(reading)
    assert first.start == ON + US
    assert len(first.rows) == 100


def test_the_newest_instant_of_ties_that_fill_pages_is_theirs() -> None:
    server = EventsList(ties(250, ON), cap=100)
    covered = [one for one in batches(server, START, END) if one.newest]
    assert [(one.start, one.end, one.newest) for one in covered] == [(ON, ON + US, text(ON))]


# --- answers that cannot be believed


UNTRUE = {
    "a row at the end of the range": (Page([row(END)], True), "out of the range"),
    "a row before the range": (Page([row(START - US)], True), "out of the range"),
    "a newer row behind an older": (Page([row(ON), row(ON + US)], True), "out of order"),
    "a row without a timestamp": (Page([{"id": "x"}], True), "None for a timestamp"),
    "a second row without a timestamp": (Page([row(ON), {"id": "x"}], True), "None for a timestamp"),
    "null for a timestamp": (Page([{"id": "x", "timestamp": None}], True), "None for a timestamp"),
    "a timestamp that is none": (Page([{"id": "x", "timestamp": "yesterday"}], True), "'yesterday' for a timestamp"),
    "a number for a timestamp": (Page([{"id": "x", "timestamp": 5}], True), "5 for a timestamp"),
    "an empty page with more": (Page([], False), "an empty page says that there is more"),
}


@pytest.mark.parametrize(("page", "reason"), UNTRUE.values(), ids=UNTRUE.keys())
def test_an_answer_that_would_lose_events_is_refused(page: Page, reason: str) -> None:
    with pytest.raises(UntrueAnswer, match=reason):
        next(read(Query(7, START, END), scripted(page), Reach()))


def test_rows_on_both_ends_of_the_range_are_believed() -> None:
    page = Page([row(END - US, "a"), row(START, "b")], True)
    assert next(read(Query(7, START, END), scripted(page), Reach())).rows == page.rows


def test_an_answer_that_ignores_the_filter_by_id_is_refused() -> None:
    tied = Page([row(ON, f"{digit}") for digit in "0123456789"], False)
    with pytest.raises(UntrueAnswer, match="the filter by id was ignored"):
        list(read(Query(7, START, END), scripted(tied, tied, tied), Reach()))


def test_ties_out_of_their_microsecond_are_refused() -> None:
    tied = Page([row(ON, "0"), row(ON, "1")], False)
    with pytest.raises(UntrueAnswer, match="out of the range"):
        list(read(Query(7, START, END), scripted(tied, Page([row(ON - US)], False)), Reach()))


# --- slow servers


@pytest.mark.parametrize("longest", [DAY, 7 * HOUR, MINUTE * 30], ids=["a day", "7 h", "30 min"])
def test_a_range_that_is_too_slow_is_halved_and_read_once(longest: timedelta) -> None:
    events = spread(333, START, START + 3 * DAY)
    server = EventsList(events, longest=longest)
    assert ids_read(server, START, START + 3 * DAY) == ids_due(events, START, START + 3 * DAY)


def test_a_second_that_is_too_slow_is_a_fault_like_any_other() -> None:
    server = EventsList([], longest=0 * SECOND)
    with pytest.raises(TooSlow):
        list(batches(server, START, START + 2 * SECOND))
    assert server.requests == 2  # two seconds, and the newer of them


def test_a_range_above_a_second_is_halved_to_a_second() -> None:
    events = spread(40, START, START + 2 * SECOND)
    server = EventsList(events, longest=SECOND)
    assert ids_read(server, START, START + 1.5 * SECOND) == ids_due(events, START, START + 1.5 * SECOND)
    assert Query(7, START, START + SECOND).is_shortest
    assert not Query(7, START, START + SECOND + US).is_shortest


def test_ties_that_are_too_slow_are_a_fault_like_any_other() -> None:
    def ask(query: Query) -> Page:
        if query.suffix or query.end - query.start == US:
            raise TooSlow
        return Page([row(ON, "0"), row(ON, "1")], False)

    with pytest.raises(TooSlow):
        list(read(Query(7, START, END), ask, Reach()))


def test_other_failures_of_a_question_pass_through() -> None:
    def ask(query: Query) -> Page:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        list(read(Query(7, START, END), ask, Reach()))


def test_a_reach_is_halved_by_what_was_too_slow_and_never_below_a_second() -> None:
    reach = Reach()
    assert reach.start_of(START, END) == START
    reach.too_slow(MONTH)
    assert reach.longest == MONTH / 2
    assert reach.start_of(START, END) == END - MONTH / 2
    assert reach.start_of(END - DAY, END) == END - DAY
    reach.too_slow(20 * DAY)  # asked before the other window of the project was too slow
    assert reach.longest == 10 * DAY
    reach.too_slow(MONTH)
    assert reach.longest == 10 * DAY
    reach.too_slow(1.5 * SECOND)
    assert reach.longest == SECOND


def test_a_reach_is_tried_twice_as_long_after_eight_answers_of_its_length() -> None:
    reach = Reach()
    reach.answered(MONTH)
    assert reach.longest is None
    reach.too_slow(2 * DAY)
    for _ in range(7):
        reach.answered(DAY)
    reach.answered(DAY - US)  # a shorter range says nothing
    assert reach.longest == DAY
    reach.answered(DAY)
    assert reach.longest == 2 * DAY
    assert reach.answers == 0


def test_a_longer_reach_that_failed_is_tried_half_as_often_each_time() -> None:
    reach = Reach()
    reach.too_slow(2 * DAY)
    tries = []
    for answer in range(10_000):
        reach.answered(DAY)
        if reach.longest == 2 * DAY:
            tries.append(answer)
            reach.too_slow(2 * DAY)
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert tries[0] == 7
    assert gaps[:7] == [16, 32, 64, 128, 256, 512, 1024]
    assert set(gaps[7:]) == {1024}


def test_a_longer_reach_that_is_answered_is_soon_tried_longer_still() -> None:
    reach = Reach(longest=DAY, patience=1024)
    for length in (DAY, 2 * DAY):
        for _ in range(1024 if length == DAY else 8):
            assert reach.longest == length
            reach.answered(length)
    assert reach.longest == 4 * DAY


def test_a_range_that_another_window_had_asked_for_before_is_no_second_try() -> None:
    reach = Reach(longest=2 * DAY, trying=True)
    reach.too_slow(2 * DAY)
    reach.too_slow(2 * DAY)
    assert (reach.longest, reach.patience) == (DAY, 16)


def test_a_window_that_is_too_slow_makes_the_others_of_its_project_ask_for_less() -> None:
    reach, server = Reach(), EventsList(spread(30, START, START + 2 * MONTH), longest=DAY)
    list(batches(server, START, END, reach))
    before = server.requests
    list(batches(server, END, END + MONTH, reach))
    assert server.requests - before <= 1.2 * 32


@pytest.mark.parametrize("shortest", [MINUTE, HOUR], ids=["to a minute", "to an hour"])
def test_a_slow_spell_that_passes_costs_few_requests(shortest: timedelta) -> None:
    """However short the ranges became in it: after it they grow again."""
    server = EventsList(spread(90, START, START + 12 * MONTH), longest=None, spell=(18, shortest))
    reach = Reach()
    for month in range(12):
        list(batches(server, START + month * MONTH, START + (month + 1) * MONTH, reach))
    assert server.requests <= 300


def test_a_server_that_answers_a_day_at_a_time_costs_at_most_1_3_requests_a_day_for_a_year() -> None:
    events = spread(365 * 24, START, START + 365 * DAY)
    server, reach, emitted = EventsList(events, longest=DAY), Reach(), 0
    for month in range(12):
        end = min(START + (month + 1) * MONTH, START + 365 * DAY)
        emitted += sum(len(one.rows) for one in batches(server, START + month * MONTH, end, reach))
    emitted += sum(len(one.rows) for one in batches(server, START + 360 * DAY, START + 365 * DAY, reach))
    assert emitted == len(events)
    assert server.requests <= 1.3 * 365


# --- what it costs


@pytest.mark.parametrize("number", [0, 1, 49, 50, 51, 499, 500, 501, 750, 999])
def test_a_window_of_less_than_a_page_of_spread_events_takes_one_request(number: int) -> None:
    server = EventsList(spread(number, START, END))
    assert ids_read(server, START, END) == ids_due(spread(number, START, END), START, END)
    assert server.requests == 1


def density(shape: str, number: int) -> list[Event]:
    """`number` events of a month: evenly at random, four of five by day, or two thirds in clusters of some hours."""
    rng = random.Random(shape)
    events = []
    for place in range(number):
        at = rng.random() * MONTH
        if shape == "day and night" and rng.random() < 0.8:
            at = (at // DAY) * DAY + (at % DAY) / 2
        if shape == "harsh clusters" and rng.random() < 2 / 3:
            at = rng.choice((3, 17, 21)) * DAY + rng.random() * rng.choice((1, 5)) * HOUR
        events.append(Event(f"{place:032x}", us(START + at)))
    return events


def most_in_hand(server: EventsList) -> int:
    """The most rows that were emitted while no state covered them yet."""
    ledger, most = Ledger("timestamp"), 0
    ledger.begin({})
    ledger.plan("7", START, END, settled=END)
    in_hand: dict[str, datetime] = {}
    for batch in batches(server, START, END):
        in_hand |= {one["id"]: instant(one["timestamp"]) for one in batch.rows}
        most = max(most, len(in_hand))
        if ledger.cover("7", batch.start, batch.end, batch.newest, len(batch.rows)):
            read_to = ledger.unread("7", START, END)[0]
            in_hand = {id: at for id, at in in_hand.items() if at >= read_to}
    return most


@pytest.mark.parametrize(
    ("shape", "pages"), [("uniform", 25), ("day and night", 25), ("harsh clusters", 40)], ids=lambda value: f"{value}"
)
def test_a_stop_in_a_dense_window_costs_no_more_than_so_many_pages(shape: str, pages: int) -> None:
    server = EventsList(density(shape, 15_000), cap=100)
    assert most_in_hand(server) <= pages * 100


def test_parts_cost_at_most_3_percent_more_requests_for_150_000_events() -> None:
    events = density("uniform", 150_000)
    whole, parts = EventsList(events), EventsList(events)
    for server, in_parts in ((whole, False), (parts, True)):
        assert len({row["id"] for one in batches(server, START, END, in_parts=in_parts) for row in one.rows}) == 150_000
    assert whole.requests <= 1.01 * 150
    assert parts.requests <= 1.03 * whole.requests


def test_without_parts_coverage_grows_from_the_end_downwards() -> None:
    covered = list(batches(EventsList(density("uniform", 4000), cap=100), START, END, in_parts=False))
    assert covered[0].end == END
    assert all(newer.start == older.end for newer, older in pairwise(covered))


def test_parts_are_read_oldest_first() -> None:
    covered = list(batches(EventsList(density("uniform", 4000), cap=100), START, END))
    assert covered[0].end == END
    assert next(one for one in covered if one.start == START).end < covered[0].start
    assert covered[-1].end < END


def test_a_window_of_few_pages_is_not_cut() -> None:
    covered = list(batches(EventsList(density("uniform", 1200), cap=100), START, END))
    assert all(newer.start == older.end for newer, older in pairwise(covered))


@pytest.mark.parametrize(("burst", "behind", "requests"), [(150, 200, 5), (250, 40, 4), (120, 40, 2)])
def test_a_burst_in_the_first_page_does_not_make_a_sparse_window_many_parts(
    burst: int, behind: int, requests: int
) -> None:
    server = require_all([*spread(burst, END - MINUTE, END), *spread(behind, START, END - MINUTE)])
    assert server.requests <= requests
