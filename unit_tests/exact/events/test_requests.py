"""What reading costs: requests, and the rows that a stop loses."""

import random
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pytest

from posthog_server import Event
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.port import Batch, Page, Query
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range
from source_posthog.exact.instants import instant
from unit_tests.exact.events.support import (
    DAY,
    HOUR,
    MINUTE,
    MONTH,
    START,
    EventsList,
    batches,
    ids_due,
    ids_read,
    spread,
    text,
    us,
)

END = START + MONTH


def require_all(events: list[Event], cap: int = 100, start: datetime = START, end: datetime = END) -> EventsList:
    """Read [start, end) and compare the ids exactly; returns the server, which knows its requests."""
    server = EventsList(events, cap)
    assert ids_read(server, start, end) == ids_due(events, start, end)
    return server


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


def most_in_hand(reading: Iterable[Batch]) -> int:
    """The most rows that were emitted while no state covered them yet."""
    ledger, most = Ledger("timestamp"), 0
    ledger.begin({})
    ledger.plan("7", START, END, settled=END)
    in_hand: dict[str, datetime] = {}
    for batch in reading:
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
    assert most_in_hand(batches(server, START, END)) <= pages * 100


@pytest.mark.slow
def test_parts_cost_at_most_3_percent_more_requests_for_150_000_events() -> None:
    events = density("uniform", 150_000)
    whole, parts = EventsList(events), EventsList(events)
    for server, in_parts in ((whole, False), (parts, True)):
        assert len({row["id"] for one in batches(server, START, END, in_parts=in_parts) for row in one.rows}) == 150_000
    assert whole.requests <= 1.01 * 150
    assert parts.requests <= 1.03 * whole.requests


@dataclass
class Pages:
    """A server that has an event at each of `instants`, and gives pages of up to `size` rows."""

    instants: list[datetime]
    size: int
    requests: int = 0

    def ask(self, query: Query) -> Page:
        self.requests += 1
        assert self.requests < 1000, "it does not get on"
        low, high = bisect_left(self.instants, query.start), bisect_left(self.instants, query.end)
        first = max(low, high - self.size)
        rows = [{"id": f"{place}", "timestamp": text(self.instants[place])} for place in range(high - 1, first - 1, -1)]
        return Page(rows, complete=first == low)


def bursts(*parts: tuple[float, float, int]) -> list[datetime]:
    """Instants evenly at random from a day of the month to another, so many of each part."""
    rng = random.Random(5)
    return sorted(START + rng.uniform(first, last) * DAY for first, last, number in parts for _ in range(number))


BURSTS = {
    "an hour of the month": bursts((15, 15.05, 20_000)),
    "its end": bursts((27, 30, 20_000)),
    "its beginning": bursts((0, 3, 20_000)),
    "an hour of a thin month": bursts((0, 30, 2000), (20, 20.05, 20_000)),
    "half an hour of a thin month": bursts((0, 30, 500), (20, 20.02, 20_000)),
    "two hours far apart": bursts((4, 4.05, 10_000), (25, 25.05, 10_000)),
    "more each day": bursts(*((day, day + 1, 50 * day) for day in range(30))),
}


@pytest.mark.slow
@pytest.mark.parametrize("instants", BURSTS.values(), ids=BURSTS)
def test_bursts_are_found_for_few_requests_and_read_in_parts_too(instants: list[datetime]) -> None:
    server = Pages(instants, 100)
    assert most_in_hand(read_range(Query(7, START, END), server.ask, Reach())) <= 26 * 100
    most = 1.14 if instants is BURSTS["two hours far apart"] else 1.12
    assert server.requests <= most * len(instants) / 100


@pytest.mark.slow
@pytest.mark.parametrize("size", [10_000, pytest.param(20_000, marks=pytest.mark.only_long)])
def test_large_pages_are_read_in_parts_too_for_few_requests(size: int) -> None:
    server = Pages(bursts((0, 30, 400_000)), size)
    assert most_in_hand(read_range(Query(7, START, END), server.ask, Reach())) <= 105_000
    assert server.requests <= 106 * len(server.instants) / 1_000_000


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
