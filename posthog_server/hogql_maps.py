"""Maps of a range: the HogQLQueries that count events by the columns they are stored by, answered without ClickHouse.

SELECT toDate(timestamp), count() FROM events WHERE timestamp >= toDateTime('...Z') AND timestamp < toDateTime('...Z')
GROUP BY toDate(timestamp)
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from posthog_server.clickhouse import Answer

from .conditions import GREATEST_HASH, masked, split
from .conditions import key as key_of
from .data import FAR, Event, Project
from .hogql import INSTANT, Dialect, instant, where
from .hogql_select import DEFAULT_LIMIT
from .selection import Selection, all_rows
from .traffic import Refusal, invalid
from .values import EPOCH

_SELECT = re.compile(
    r"\s*select\s+(?P<items>.+?)\s+from\s+events\s+where\s+(?P<where>.+?)(?:\s+group\s+by\s+(?P<keys>.+?))?"
    r"(?:\s+order\s+by\s+(?P<order>.+?))?(?:\s+limit\s+(?P<limit>\d+))?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_ALIASED = re.compile(r"(.+?)\s+as\s+`?(\w+)`?", re.IGNORECASE | re.DOTALL)
_ORDERED = re.compile(r"(.+?)(?:\s+(asc|desc))?", re.IGNORECASE | re.DOTALL)
_DIVIDED = re.compile(r"intDiv\((.+),\s*(\d+)\s*\)", re.DOTALL)
_AGGREGATE = re.compile(r"(min|max)\((.+)\)", re.DOTALL)
_BOUND = re.compile(rf"timestamp\s*(>=|>|<=|<)\s*({INSTANT})")
_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {"min": min, "max": max}


@dataclass(frozen=True)
class Item:
    """A column of the answer.

    Attributes:
        value: of an event.
        column: of the table, that it is made of; empty for `count()`.
        aggregate: makes one value of those of a group; without it they are the same in all of the group.
    """

    name: str
    text: str
    type: str
    value: Callable[[Event], Any]
    column: str
    aggregate: Callable[[list[Any]], Any] | None = None


@dataclass(frozen=True, kw_only=True)
class MapQuery(Selection):
    """Groups of the events of a range.

    Attributes:
        order: of the answer's columns, by their places, each with whether the greatest comes first.
        limited: whether `limit` was asked for. Else the answer says whether there are more rows.
    """

    sql: str
    dialect: Dialect
    items: tuple[Item, ...]
    groups: tuple[Item, ...]
    order: tuple[tuple[int, bool], ...]
    limited: bool


def parsed(sql: str, dialect: Dialect, now: int, cap: int) -> MapQuery | None:
    """The map that `sql` asks for, its limit clamped to `cap`; None for anything else. Raises Refusal (400)."""
    dialect.require_known_in(sql)
    match = _SELECT.fullmatch(masked(sql))
    if not match:
        return None
    part = {name: sql[slice(*match.span(name))] if match[name] else "" for name in match.groupdict()}
    items = [_item(text, dialect) for text in split(part["items"], ",")]
    named = {name: item for item in items if item for name in (item.name, item.text)}
    groups = [named.get(_plain(text)) or _item(text, dialect) for text in _parts(part["keys"])]
    order = [_ordered(text, [item.text if item else "" for item in items], named) for text in _parts(part["order"])]
    if None in items or None in groups or None in order:
        return None
    known, by = [item for item in items if item], [item for item in groups if item]
    if any(not item.aggregate and item.text not in {one.text for one in by} for item in known):
        return None
    after, before, conditions = _range(part["where"], dialect)
    return MapQuery(
        after=after,
        before=before,
        where=where(conditions, dialect),
        now=now,
        limit=min(int(part["limit"] or DEFAULT_LIMIT), cap),
        limited=bool(part["limit"]),
        sql=sql,
        dialect=dialect,
        items=tuple(known),
        groups=tuple(by),
        order=tuple(one for one in order if one),
    )


def found(project: Project, query: MapQuery, rng: random.Random) -> Answer:
    """What there is as of now: one row more than the limit where none was asked for. Without an order it is any."""
    groups: dict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for event in all_rows(project, query):
        groups[tuple(key.value(event) for key in query.groups)].append(event)
    if not query.groups:
        groups.setdefault((), [])
    rows = [[_value(item, events) for item in query.items] for events in groups.values()]
    rng.shuffle(rows)
    for place, greatest_first in reversed(query.order):
        rows.sort(key=lambda row, place=place: row[place], reverse=greatest_first)  # type: ignore[misc]
    rows = rows[: query.limit + (not query.limited)]
    shown = [[_SHOWN.get(item.type, int)(cell) for item, cell in zip(query.items, row, strict=True)] for row in rows]
    return Answer([item.name for item in query.items], [item.type for item in query.items], shown, 0, 0)


def bounds(sql: str, dialect: Dialect) -> tuple[int, int]:
    """The exclusive bounds (microseconds) of a map's range; (0, 0) for anything else."""
    try:
        query = parsed(sql, dialect, FAR, 1)
    except Refusal:
        return 0, 0
    return (query.after, query.before) if query else (0, 0)


_OF_NONE = {"String": b""}  # the least and the greatest of no rows
_SHOWN: dict[str, Callable[[Any], Any]] = {
    "String": lambda value: value.decode(errors="replace"),
    "Date": lambda value: (EPOCH + timedelta(days=value)).date().isoformat(),
}


def _value(item: Item, events: list[Event]) -> Any:
    if not item.aggregate:
        return item.value(events[0])
    values = [item.value(event) for event in events]
    return item.aggregate(values) if values or item.aggregate is len else _OF_NONE.get(item.type, 0)


def _item(text: str, dialect: Dialect) -> Item | None:
    aliased = _ALIASED.fullmatch(text.strip())
    written = (aliased[1] if aliased else text).strip()
    name, plain = aliased[2] if aliased else written, _plain(written)
    if plain == "count()":
        return Item(name, plain, "UInt64", lambda event: 1, "", len)
    if (aggregate := _AGGREGATE.fullmatch(written)) and (of := key_of(aggregate[2], dialect.shown_in)):
        return Item(name, plain, of.type, of.value, of.column, _AGGREGATES[aggregate[1]])
    if divided := _DIVIDED.fullmatch(written):
        key, by = key_of(divided[1], dialect.shown_in), int(divided[2])
        if key and key.type == "UInt64" and 0 < by <= GREATEST_HASH:
            of_hash = key.value
            return Item(name, plain, "UInt64", lambda event: of_hash(event) // by, key.column)
        return None
    key = key_of(written, dialect.shown_in)
    return Item(name, plain, key.type, key.value, key.column) if key else None


def _ordered(text: str, texts: list[str], named: dict[str, Item]) -> tuple[int, bool] | None:
    match = _ORDERED.fullmatch(text.strip())
    item = named.get(_plain(match[1])) if match else None
    return (texts.index(item.text), (match[2] or "").lower() == "desc") if match and item else None


def _range(text: str, dialect: Dialect) -> tuple[int, int, list[str]]:
    """The exclusive bounds of the timestamp, and the other conditions. Raises Refusal (400) where one is missing."""
    after, before, others = -FAR, FAR, []
    for part in split(text, r"\band\b"):
        match = _BOUND.fullmatch(part.strip())
        if not match:
            others.append(part)
            continue
        at = instant(match[2], dialect)
        if match[1][0] == ">":
            after = max(after, at - (match[1] == ">="))
        else:
            before = min(before, at + (match[1] == "<="))
    if after == -FAR or before == FAR:
        raise invalid("A range of the timestamp is required.")
    return after, before, others


def _parts(text: str) -> list[str]:
    return [part for part in split(text, ",") if part.strip()]


def _plain(text: str) -> str:
    return "".join(text.split())
