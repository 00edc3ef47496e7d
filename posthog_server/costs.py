"""What ClickHouse reads for a query over the events of a project: whole granules, column by column.

The index leaves granules by the day, and by the keys that the conditions name. Of those the timestamp is read, of those
with rows in the range the columns of conditions, and of those with a match the rest: the wide columns are what counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .conditions import stored
from .data import Event, Project
from .event_query import EventsQuery, Found, Query
from .hogql_maps import MapQuery
from .storage_order import StorageOrder, in_storage_order
from .values import DAY, encode

GRANULE = 8192

# Bytes of a row in memory, where they do not depend on it: a string has its own and eight more.
_FIXED = {"team_id": 8, "timestamp": 8, "created_at": 8, "uuid": 16, "person_id": 16}
_OFFSET = 8
_SORTED_BY = ("event", "distinct_id", "uuid")  # what the presorting of a page reads, beside the timestamp
_ALL = ("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at")
_MADE_OF = {"*": _ALL, "person": ("distinct_id",), "person.id": ("person_id",), "pdi.person_id": ("person_id",)}


@dataclass(frozen=True)
class Cost:
    """Rows and bytes (as they are in memory) that are read."""

    rows: int
    bytes: int


def cost(project: Project, query: Query, found: Found, granule: int = GRANULE) -> Cost:
    """What `query` read to give what it `found`, in granules of so many rows."""
    return _Reading(in_storage_order(project.events), query, granule).cost(found)


class _Reading:
    def __init__(self, order: StorageOrder, query: Query, granule: int) -> None:
        self._order, self._query, self._granule = order, query, granule
        # `timestamp < midnight` leaves the day that begins then, and `timestamp > 23:59:59.999999` that one.
        first = query.after if isinstance(query, EventsQuery) else query.after + 1
        self._left = order.granules((first // DAY, query.before // DAY), query.where, granule)
        days = (query.after + 1) // DAY, (query.before - 1) // DAY
        self._inside = order.granules(days, query.where, granule)

    def cost(self, found: Found) -> Cost:
        query, conditions = self._query, self._query.where.reads()
        if not isinstance(query, EventsQuery):
            columns = conditions | ({item.column for item in query.items} if isinstance(query, MapQuery) else set())
            return Cost(_rows(self._left), self._narrow(columns))
        selected = {part for column in query.columns for part in _MADE_OF.get(column, (column,))}
        selected |= conditions | {key.column for key, _ in query.by_keys}
        page = self._granules_of(found.events)
        if query.by_keys or query.dialect.age.is_of_2024:
            matched = self._inside if found.more else page
            rest = self._bytes(matched, selected - conditions - {"timestamp"})
            return Cost(_rows(self._left), self._narrow(conditions) + rest)
        sorting = self._narrow(conditions | set(_SORTED_BY))
        wide = self._bytes(page, selected | {"team_id", "timestamp", *_SORTED_BY})
        return Cost(_rows(self._left) + _rows(page), sorting + wide)

    def _narrow(self, columns: Iterable[str]) -> int:
        """The timestamps of the granules that the index leaves, and `columns` of those with rows in the range."""
        there = {*columns, "team_id"} - {"timestamp", ""}
        return _rows(self._left) * _FIXED["timestamp"] + self._bytes(self._inside, there)

    def _granules_of(self, events: list[Event]) -> list[range]:
        places = [self._order.place_of(event) for event in events]
        numbers = sorted({place // self._granule for place in places if place is not None})  # it can have gone since
        size, end = self._granule, len(self._order)
        return [range(number * size, min((number + 1) * size, end)) for number in numbers]

    def _bytes(self, granules: list[range], columns: Iterable[str]) -> int:
        rows = _rows(granules)
        return sum(
            rows * _FIXED[column]
            if column in _FIXED
            else rows * _OFFSET + sum(self._order.size(granule, column, _length) for granule in granules)
            for column in columns
        )


def _length(event: Event, column: str) -> int:
    """The bytes of a String of an event."""
    if column == "properties":
        return len(encode(event.properties))
    return len(stored(getattr(event, column)))


def _rows(granules: list[range]) -> int:
    return sum(map(len, granules))
