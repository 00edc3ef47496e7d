"""The order in which ClickHouse stores the events of a project, and its index.

By day in UTC, then by event (byte by byte), then by cityHash64(distinct_id), then by cityHash64(uuid).
"""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .conditions import Box, Condition, Interval, hash_of_distinct_id, hash_of_id, stored
from .data import Event, EventTable
from .values import DAY

StoredKey = tuple[int, bytes, int, int]
KEY_COLUMNS = ("timestamp", "event", "distinct_id", "uuid")
_ANY = Interval()


@dataclass(frozen=True)
class StoredDay:
    """The rows of a day: an unmerged event is two. `places`: of each event, by its identity, that of its first row."""

    keys: list[StoredKey]
    events: list[Event]
    places: dict[int, int]


class StorageOrder:
    """The rows of `events` (oldest first), a day of them sorted when it is first needed."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._lock = threading.Lock()
        self._events: dict[int, list[Event]] = {}
        for event in events:
            self._events.setdefault(event.at // DAY, []).extend([event] * (1 + event.unmerged))
        self._days: dict[int, StoredDay] = {}
        self._sizes: dict[tuple[int, int, str], int] = {}
        self._numbers = list(self._events)
        self._starts = [0, *accumulate(len(self._events[day]) for day in self._numbers)]
        self._first = dict(zip(self._numbers, self._starts, strict=False))

    def __len__(self) -> int:
        """How many rows there are."""
        return self._starts[-1]

    def days(self, first: int, last: int) -> range:
        """The rows of the days from `first` to `last` (days since the epoch), as places in the order."""
        inside = [day for day in self._numbers if first <= day <= last]
        if not inside:
            return range(0)
        return range(self._first[inside[0]], self._first[inside[-1]] + len(self._events[inside[-1]]))

    def key(self, place: int) -> StoredKey:
        day, inside = self._found(place)
        return day.keys[inside]

    def rows(self, places: range) -> Iterator[Event]:
        place = places.start
        while place < places.stop:
            day, inside = self._found(place)
            found = day.events[inside : inside + places.stop - place]
            yield from found
            place += len(found)

    def size(self, granule: range, column: str, length: Callable[[Event, str], int]) -> int:
        """The sum of `length` of a column over the rows of a granule; it is added up once."""
        key = granule.start, granule.stop, column
        if key not in self._sizes:
            self._sizes[key] = sum(length(event, column) for event in self.rows(granule))
        return self._sizes[key]

    def place_of(self, event: Event) -> int | None:
        """Where the first row of an event is; None where it is not in here."""
        day = event.at // DAY
        inside = self._day(day).places.get(id(event)) if day in self._events else None
        return None if inside is None else self._first[day] + inside

    def granules(self, days: tuple[int, int], condition: Condition, size: int) -> list[range]:
        """The rows of each granule of `size` rows that the index leaves for `days` (the first and the last)."""
        there = self.days(*days)
        if not there:
            return []
        whole = range(there.start // size, (there.stop - 1) // size + 1)
        granules = [range(number * size, min((number + 1) * size, len(self))) for number in whole]
        if condition.reads().isdisjoint(KEY_COLUMNS):
            return granules  # without sorting the days
        asked = Interval(*days)
        return [one for one in granules if self._may_hold(one, asked, condition)]

    def _may_hold(self, granule: range, days: Interval, condition: Condition) -> bool:
        first = self.key(granule.start)
        last = self.key(min(granule.stop, len(self) - 1))  # the index knows where the next one begins
        return any(days.meets(box[0]) and condition.may_hold(box) for box in boxes(first, last))

    def _found(self, place: int) -> tuple[StoredDay, int]:
        number = bisect_right(self._starts, place) - 1
        return self._day(self._numbers[number]), place - self._starts[number]

    def _day(self, day: int) -> StoredDay:
        with self._lock:
            if day not in self._days:
                self._days[day] = _sorted(self._events[day])
            return self._days[day]


def in_storage_order(events: EventTable) -> StorageOrder:
    return events.made_once(StorageOrder)


def boxes(first: StoredKey, last: StoredKey) -> Iterator[Box]:
    """What lies from one key to another, as ClickHouse's index sees it: parts with a range in each column."""
    same = next((place for place in range(4) if first[place] != last[place]), 4)
    points = [Interval(value, value) for value in first[:same]]
    if same < 4:
        closed = same == 3
        yield _box([*points, Interval(first[same], last[same], not closed, not closed)])
        if not closed:
            yield from _edge(points, first, same, lower=True)
            yield from _edge(points, last, same, lower=False)
    else:
        yield _box(points)


def _edge(points: list[Interval], key: StoredKey, place: int, *, lower: bool) -> Iterator[Box]:
    """What has the value of `key` at `place`, and comes not before (`lower`) or not after the key."""
    points = [*points, Interval(key[place], key[place])]
    for following in range(place + 1, 4):
        value, is_last = key[following], following == 3
        bound = Interval(value, None, not is_last) if lower else Interval(None, value, False, not is_last)
        yield _box([*points, bound])
        points = [*points, Interval(value, value)]


def _box(intervals: list[Interval]) -> Box:
    day, event, person, id = [*intervals, _ANY, _ANY, _ANY][:4]
    return day, event, person, id


def _sorted(events: list[Event]) -> StoredDay:
    keyed = sorted(
        (((one.at // DAY, stored(one.event), hash_of_distinct_id(one), hash_of_id(one)), one) for one in events),
        key=lambda pair: pair[0],
    )
    places: dict[int, int] = {}
    for place, (_, event) in enumerate(keyed):
        places.setdefault(id(event), place)
    return StoredDay([key for key, _ in keyed], [event for _, event in keyed], places)
