"""A dense day that an earlier sync may have read in part: what is asked, emitted and said to be covered."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from source_posthog.api.once import Switch
from source_posthog.exact.errors import NotAccepted, TooSlow
from source_posthog.exact.events.port import HASHES, Batch, Cut, HalfDay, Keys, Page, Query, identity
from source_posthog.exact.events.reach import Reach
from source_posthog.streams.mapped import MappedReading
from unit_tests.exact.events.stored import Stored, keys_of, new_row, random_rows, within
from unit_tests.exact.events.support import DAY, HOUR, START, US

TODAY = Query(7, START, START + DAY)
BEGAN = START + 3 * DAY
HALF = HalfDay(START, START + DAY, Cut("b", HASHES // 2), BEGAN)


@dataclass
class Reader:
    """Reads the days of `stored`, and stands for the slicer, the transport and the lane of the reading."""

    stored: Stored
    halves: list[HalfDay] = field(default_factory=list)
    refused: Any = lambda _: False  # whether a question is
    lookback = HOUR
    present = BEGAN + DAY
    rows_in_hand = 60_000

    def __post_init__(self) -> None:
        self.sizes = SimpleNamespace(of=lambda _: SimpleNamespace(usual=self.stored.cap, limit=self.stored.cap))
        self.reach, self.late_reach = Reach(), Reach()

    def half_days(self, _: str) -> list[HalfDay]:
        return self.halves

    def is_next(self, *_: object) -> bool:
        return False

    def ask(self, query: Query) -> Page:
        if self.refused(query):
            raise NotAccepted("unknown function")
        return self.stored.ask(query)

    def batches(self, query: Query = TODAY, *, backwards: bool = False) -> list[Batch]:
        here: Any = self
        days = Counter(row["at"].date() for row in self.stored.rows)
        reading = MappedReading("events", 7, here, here, here, self.ask, self.ask, self.stored.count, days, Switch())
        return list(reading.read(query, backwards=backwards))


def rows_of(batches: list[Batch]) -> Counter[Any]:
    return Counter(identity(row) for batch in batches for row in batch.rows)


def stored(number: int = 300, arrived_late: int = 9) -> Stored:
    """A day, of which so many rows arrived after the earlier sync began."""
    rng = random.Random(number)
    rows = [new_row(f"{n}", rng.choice("abc"), rng.randrange(HASHES), n, START + n * US) for n in range(number)]
    for row in rng.sample(rows, arrived_late):
        row["created"] = BEGAN + HOUR
    return Stored(rows, cap=20)


def unread(table: Stored) -> set[Any]:
    """What a sync emits that goes on with HALF."""
    read = replace(TODAY, keys=Keys(None, HALF.reached))
    return keys_of([row for row in table.rows if row["created"] > BEGAN or not within(row, read)])


@pytest.mark.parametrize("backwards", [False, True], ids=["new", "backfill"])
def test_of_a_day_that_is_read_in_part_the_rest_is_read_and_what_has_arrived(backwards: bool) -> None:
    table = stored()
    batches = Reader(table, [HALF]).batches(backwards=backwards)
    assert rows_of(batches) == Counter(unread(table))
    halves = [batch.half for batch in batches if batch.half]
    assert len(halves) > 5
    assert all(half.began == Reader.present for half in halves)
    assert (batches[-1].start, batches[-1].end) == (START, START + DAY)


def test_what_has_arrived_meanwhile_may_be_the_newest_of_the_day() -> None:
    late = new_row("late", "a", 5, 5, START + 23 * HOUR)
    late["created"] = BEGAN
    table = Stored([*stored().rows, late], cap=20)
    assert Reader(table, [HALF]).batches()[-1].newest == late["timestamp"]


def test_a_range_that_ends_within_the_day_does_not_end_with_the_newest_of_the_rest() -> None:
    """Else the state would claim what lies between: windows may end at any time of the day."""
    late = new_row("late", "a", 0, 0, START + 23 * HOUR)
    table = Stored([*stored().rows, late, new_row("later", "c", 0, 0, START + 22 * HOUR)], cap=20)
    half = replace(HALF, newest=late["timestamp"])
    batches = Reader(table, [half]).batches(replace(TODAY, end=START + 21 * HOUR))
    assert batches[-1].newest == max(row["timestamp"] for row in stored().rows if row["event"] == "c")
    assert Reader(table, [half]).batches()[-1].newest == late["timestamp"]


def test_the_half_of_another_day_is_none() -> None:
    table = stored()
    other = replace(HALF, start=START - DAY, end=START)
    assert rows_of(Reader(table, [other]).batches()) == Counter(keys_of(table.rows))


def test_where_posthog_cannot_tell_what_has_arrived_the_day_is_read_again() -> None:
    table = stored()
    batches = Reader(table, [HALF], refused=lambda query: query.arrived_from).batches()
    assert rows_of(batches) == Counter(keys_of(table.rows))


def test_where_it_can_tell_some_of_it_the_next_sync_asks_again() -> None:
    table = stored(arrived_late=200)
    with pytest.raises(NotAccepted):
        Reader(table, [HALF], refused=lambda query: query.arrived_from and len(table.asked) > 1).batches()


@pytest.mark.parametrize("backwards", [False, True], ids=["new", "backfill"])
def test_where_the_order_is_refused_a_day_is_covered_bit_by_bit_as_it_is_read_by_time(backwards: bool) -> None:
    table = stored()
    batches = Reader(table, [HALF], refused=lambda query: query.keys.is_bounded).batches(backwards=backwards)
    assert rows_of(batches) == Counter(keys_of(table.rows))
    covered = [(batch.start, batch.end) for batch in batches if batch.start < batch.end]
    assert len(covered) > 10


def test_a_range_that_is_too_slow_although_it_has_no_events_has_the_rest_read_by_time() -> None:
    """Its events were deleted meanwhile, and for a moment the server is too slow for whatever it is asked."""
    table, slow = stored(), list[Query]()

    def refused(query: Query) -> bool:
        if query.keys.low and not query.keys.high and not slow:
            slow.append(query)
            table.rows = [row for row in table.rows if not within(row, query)]
            raise TooSlow
        return False

    batches = Reader(table, refused=refused).batches()
    assert slow
    assert rows_of(batches) == Counter(keys_of(table.rows))
    assert (batches[-1].start, batches[-1].end) == (START, START + DAY)


def test_events_that_cannot_be_cut_are_read_by_time_behind_what_was_read() -> None:
    rows = stored(100).rows + [new_row(f"x{n}", "b\ufffd", n, n, START + n * US) for n in range(50)]
    batches = Reader(Stored(rows, cap=20)).batches()
    assert rows_of(batches) == Counter(keys_of(rows))
    assert any(batch.half for batch in batches)
    assert [(batch.start, batch.end) for batch in batches if batch.start < batch.end] == [(START, START + DAY)]


@pytest.mark.parametrize("seed", range(20))
def test_several_days_are_read_once_in_either_direction(seed: int) -> None:
    rng = random.Random(seed)
    rows = random_rows(rng, 200)
    for row in rows:
        day = START + rng.choice((0, 0, 1, 3)) * DAY
        row["at"] = day + rng.randrange(86_400_000_000) * US
        row["timestamp"] = new_row("", "", 0, 0, row["at"])["timestamp"]
    table = Stored(rows, cap=rng.randint(10, 60))
    query = Query(7, START + 5 * HOUR, START + 4 * DAY)
    batches = Reader(table).batches(query, backwards=bool(seed % 2))
    expected = keys_of([row for row in rows if row["at"] >= query.start])
    assert rows_of(batches) == Counter(expected)
    covered = [(batch.start, batch.end) for batch in batches if batch.start < batch.end]
    if seed % 2:
        assert all(end == start for (start, _), (_, end) in pairwise(covered))
    covered.sort()
    reached = list(accumulate((end for _, end in covered), max))
    assert (covered[0][0], reached[-1]) == (query.start, query.end)
    assert all(start <= end for (start, _), end in zip(covered[1:], reached, strict=False))
