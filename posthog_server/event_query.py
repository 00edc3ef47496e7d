"""`POST /query/`: EventsQuery, and of HogQLQuery a count of a range."""

import json
import random
import re
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any

from posthog_server.clickhouse import Answer

from . import hogql_maps, hogql_query
from .ages import Age
from .conditions import Key
from .conditions import key as key_of
from .data import FAR, Event, Project
from .event_columns import CELLS, timestamp, type_of
from .hogql import JOINED_COLUMNS, Dialect, Where, counted_range, is_count, where
from .hogql_maps import MapQuery
from .schema_errors import schema_error
from .selection import Selection, count, first_events
from .traffic import Refusal, invalid
from .values import DAY, SECOND, Row, encode, microseconds

DEFAULT_LIMIT = 100
FORCED = ("force_blocking", "force_async")
CACHED = ("blocking", "async", "lazy_async", "async_except_on_cache_miss", "force_cache")
_DIRECTION = re.compile(r"\s*(.+?)(?:\s+(asc|desc))?\s*", re.IGNORECASE)
ORDERS = {"timestamp": True, "timestamp asc": True, "timestamp desc": False}

_FIELDS = {
    "EventsQuery": {"select", "after", "before", "orderBy", "limit", "where", "modifiers"},
    "HogQLQuery": {"query", "values", "modifiers"},
}


@dataclass(frozen=True, kw_only=True)
class EventsQuery(Selection):
    """What an EventsQuery asks for. `tells_more`: its answer says where there are more rows than the limit."""

    tells_more: bool = True
    columns: tuple[str, ...] = ("uuid", "timestamp")
    dialect: Dialect = field(default_factory=Dialect)


@dataclass(frozen=True, kw_only=True)
class CountQuery(Selection):
    """How many events there are in a range."""


Query = EventsQuery | CountQuery | MapQuery


@dataclass(frozen=True)
class Found:
    """What a query found: a page of events and whether there are more, or their number, or groups of them."""

    events: list[Event] = field(default_factory=list)
    more: bool = False
    number: int = 0
    groups: Answer | None = None


def is_forced(body: Any, age: Age = Age.CLOUD) -> bool:
    """Whether a request wants an answer that is not from the cache. Raises Refusal (400) for what is no request."""
    if age.is_of_2024:
        if not isinstance(body, dict):
            raise Refusal(400, "parse_error", "JSON parse error - Expecting value", type_="invalid_request")
        if not isinstance(body.get("query"), dict):
            raise schema_error(body.get("query"), [])
        return bool(body.get("refresh"))
    if not isinstance(body, dict) or not isinstance(body.get("query"), dict):
        raise invalid("JSON parse error or no query in the body.", "parse_error")
    _no_others(body, {"query", "refresh", "name", "client_query_id"})
    refresh = body.get("refresh", "blocking")
    if refresh not in FORCED + CACHED:
        raise invalid(f"refresh: {refresh!r} is not one of {', '.join(FORCED + CACHED)}")
    return refresh in FORCED


def bounds(body: Any, now: int, zone: tzinfo) -> tuple[int, int]:
    """The exclusive bounds (microseconds) that a request names, read in `zone` where they name none.

    The last 24 hours where absent, now where it does not parse; (0, 0) where it is no request that the server knows.
    """
    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(query, dict):
        return 0, 0
    if query.get("kind") == "EventsQuery":
        after, before = query.get("after"), query.get("before")
        first = now - DAY if after is None else -FAR if after == "all" else _date(after, now, zone)
        if isinstance(before, str) and "|" in before:  # a cursor: ties of its timestamp are told apart by id
            return first, _date(before.partition("|")[0], now, zone) + 1
        return first, now + 5 * SECOND if before is None else _date(before, now, zone)
    sql = str(query.get("query"))
    if not is_count(sql):
        return hogql_maps.bounds(sql, Dialect(zone=zone))
    try:
        start, end, _ = counted_range(sql, Dialect(zone=zone))
    except Refusal:
        return 0, 0
    return start - 1, end


def require_known_fields(query: Row, age: Age = Age.CLOUD) -> str:
    """The kind of `query`. Raises Refusal (400) for an unknown kind, and for a field that its kind does not have.

    In January 2024 the refusal names all that every kind dislikes.
    """
    kind = str(query.get("kind"))
    modifiers = query.get("modifiers") or {}
    if age.is_of_2024:
        known = _FIELDS.get(kind, set()) - ({"modifiers"} if not age.modifiers(kind) else set())
        unknown = sorted(query.keys() - {"kind"} - known)
        if isinstance(modifiers, dict) and "modifiers" in known:
            unknown += [f"modifiers.{name}" for name in sorted(modifiers.keys() - age.modifiers(kind))]
        if kind not in _FIELDS or unknown:
            raise schema_error(query, unknown)
        return kind
    if kind not in _FIELDS:
        raise invalid(f"Unsupported query kind: {kind}")
    _no_others(query, {"kind", *_FIELDS[kind]})
    _no_others(modifiers, age.modifiers(kind))
    return kind


def read_as(query: Row, dialect: Dialect) -> Dialect:
    """`dialect` as the modifiers of `query` change it."""
    modifiers = query.get("modifiers") or {}
    mode = modifiers.get("personsOnEventsMode")
    return replace(
        dialect,
        in_utc=modifiers.get("convertToProjectTimezone") is False,
        joins_persons=dialect.age.joins_persons if mode is None else mode == "disabled",
    )


def parse(query: Row, now: int, project: Project, cap: int, dialect: Dialect | None = None) -> Query:
    """The query, its limit clamped to `cap`; of today's cloud where no dialect is given.

    Raises Refusal (400) for what the server does not understand.
    """
    dialect = read_as(query, dialect or Dialect(zone=project.zone))
    kind = require_known_fields(query, dialect.age)
    after, before = bounds({"query": query}, now, dialect.zone)
    if kind == "HogQLQuery":
        sql = str(query.get("query"))
        if not is_count(sql) and (groups := hogql_maps.parsed(sql, dialect, now, cap)):
            return groups
        *_, holds = counted_range(sql, dialect)
        return CountQuery(after=after, before=before, where=holds, now=now)
    columns = query.get("select")
    if not columns or not _are_strings(columns):
        raise invalid("select: a list of expressions is required")
    unknown = [column for column in columns if column not in CELLS]
    if unknown:
        raise invalid(f"Unable to resolve field: {unknown[0]}")
    conditions = query.get("where") or []
    if not _are_strings(conditions):
        raise invalid("where: a list of expressions is required")
    joined = dialect.joins_persons and not {*columns}.isdisjoint(JOINED_COLUMNS)
    limit = min(_limit(query, dialect.age), cap)
    oldest_first, by_keys = _order(query.get("orderBy") or ["timestamp DESC"], dialect)
    return EventsQuery(
        after=after,
        before=before,
        limit=limit,
        tells_more=limit < cap,  # at the cap there is no row more to see it by
        oldest_first=oldest_first,
        by_keys=by_keys,
        where=where(conditions, dialect) & Where(joined=joined, tie=_tie(query, dialect)),
        now=now,
        ties_by_id=dialect.ties_by_id,
        columns=tuple(columns),
        dialect=dialect,
    )


def _tie(query: Row, dialect: Dialect) -> tuple[int, str] | None:
    """Where `before` is a `nextCursor` with an id: its timestamp, and the id below which the ties are wanted."""
    at, cursor, id = str(query.get("before") or "").partition("|")
    return (microseconds(at, dialect.zone), id) if cursor and dialect.ties_by_id else None


def _limit(query: Row, age: Age) -> int:
    limit = query.get("limit", DEFAULT_LIMIT)
    if age.is_of_2024:
        limit = limit or DEFAULT_LIMIT
        return limit if limit > 0 else DEFAULT_LIMIT
    if type(limit) is not int or limit < 1:
        raise invalid("limit: Input should be a valid integer")
    return limit


def find(project: Project, query: Query, rng: random.Random) -> Found:
    """What there is as of now."""
    if isinstance(query, CountQuery):
        return Found(number=count(project, query))
    if isinstance(query, MapQuery):
        return Found(groups=hogql_maps.found(project, query, rng))
    events, more = first_events(project, query, rng)
    return Found(events, more and query.tells_more)


def answer(project: Project, query: Query, found: Found, *, is_cached: bool) -> bytes:
    """The body of the reply."""
    if isinstance(query, MapQuery):
        assert found.groups
        limit = None if query.limited else query.limit
        shown = hogql_query.answer(found.groups, query.sql, query.dialect, limit)
        return hogql_query.body(shown, query.dialect.age, is_cached=is_cached)
    common: Row = {"is_cached": is_cached, "error": None, "query_status": None, "timings": [{"k": ".", "t": 0.01}]}
    if isinstance(query, CountQuery):
        names = {"columns": ["count()"], "types": [["count()", "UInt64"]]}
        return encode({"results": [[found.number]], **names, "hasMore": False, "limit": 100, "offset": 0, **common})
    dialect = query.dialect
    if dialect.age.is_of_2024:
        common = {"timings": common["timings"]}
    else:
        common["nextCursor"] = _cursor(found.events[-1], dialect) if found.more else None
    head = {
        "columns": query.columns,
        "types": [type_of(column, dialect) for column in query.columns],
        "hasMore": found.more,
        "limit": query.limit,
        "offset": 0,
        **common,
    }
    cells = [CELLS[column] for column in query.columns]
    rows = (b"[" + b",".join(cell(event, project, dialect) for cell in cells) + b"]" for event in found.events)
    return encode(head)[:-1] + b',"results":[' + b",".join(rows) + b"]}"


def _cursor(last: Event, dialect: Dialect) -> str:
    at = timestamp(last.at, dialect)
    return f"{at}|{last.id}" if dialect.ties_by_id else at


def _date(value: object, now: int, zone: tzinfo) -> int:
    try:
        return microseconds(str(value), zone)
    except (ValueError, OverflowError):
        return now


def _order(order: Any, dialect: Dialect) -> tuple[bool, tuple[tuple[Key, bool], ...]]:
    """Whether the oldest come first, and the keys that are ordered by where it is not the timestamp."""
    if not _are_strings(order):
        raise invalid(f"Unable to resolve the order: {json.dumps(order)}")
    known = ORDERS.get(" ".join(order[0].lower().split())) if len(order) == 1 else None
    if known is not None:
        return known, ()
    keys = []
    for one in order:
        dialect.require_known_in(one)
        match = _DIRECTION.fullmatch(one)
        key = key_of(match[1], dialect.shown_in) if match else None
        if not match or not key:
            raise invalid(f"Unable to resolve the order: {json.dumps(order)}")
        keys.append((key, (match[2] or "asc").lower() == "desc"))
    return True, tuple(keys)


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _no_others(given: Any, known: set[str]) -> None:
    """Raise Refusal (400) for a field that is not `known`, as PostHog does; `offset` is among those."""
    if not isinstance(given, dict):
        raise invalid("Input should be an object")
    others = sorted(given.keys() - known)
    if others:
        raise invalid(f"{others[0]}: Extra inputs are not permitted")
