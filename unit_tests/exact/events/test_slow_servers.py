"""How the reader goes on where the server is too slow for a range."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from source_posthog.exact.errors import TooSlow
from source_posthog.exact.events.port import Page, Query
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range
from unit_tests.exact.events.support import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    SECOND,
    START,
    US,
    EventsList,
    batches,
    ids_due,
    ids_read,
    spread,
    text,
)

END = START + MONTH
ON = START + 3 * DAY


def row(at: datetime, id: str = "x") -> dict[str, Any]:
    return {"id": id, "timestamp": text(at)}


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
        if query.like or query.end - query.start == US:
            raise TooSlow
        return Page([row(ON, "0"), row(ON, "1")], False)

    with pytest.raises(TooSlow):
        list(read_range(Query(7, START, END), ask, Reach()))


def test_other_failures_of_a_question_pass_through() -> None:
    def ask(query: Query) -> Page:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        list(read_range(Query(7, START, END), ask, Reach()))


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
