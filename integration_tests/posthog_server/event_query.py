"""`POST /query/`: EventsQuery, and of HogQLQuery a count of a range."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta, timezone, tzinfo
from typing import Any

from .data import Event, Project
from .hogql import counted_range, where
from .selection import Selection, count, first_events
from .traffic import Refusal, invalid
from .values import DAY, EPOCH, SECOND, Row, encode, microseconds

DEFAULT_LIMIT = 100
GREATEST_LIMIT = 50_000
FORCED = ("force_blocking", "force_async")
CACHED = ("blocking", "async", "lazy_async", "async_except_on_cache_miss", "force_cache")
ORDERS = {"timestamp": True, "timestamp asc": True, "timestamp desc": False}

_FIELDS = {
    "EventsQuery": {"select", "after", "before", "orderBy", "limit", "where", "modifiers"},
    "HogQLQuery": {"query", "values", "modifiers"},
}


@dataclass(frozen=True, kw_only=True)
class EventsQuery(Selection):
    """What an EventsQuery asks for. `zone` is the one that it wants timestamps in."""

    columns: tuple[str, ...] = ("uuid", "timestamp")
    zone: tzinfo = timezone.utc


@dataclass(frozen=True, kw_only=True)
class CountQuery(Selection):
    """How many events there are in a range."""


Query = EventsQuery | CountQuery


@dataclass(frozen=True)
class Found:
    """What a query found: a page of events and whether there are more, or their number."""

    events: list[Event] = field(default_factory=list)
    more: bool = False
    number: int = 0


def is_forced(body: Any) -> bool:
    """Whether a request wants an answer that is not from the cache. Raises Refusal (400) for what is no request."""
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
        return (
            now - DAY if after is None else _date(after, now, zone),
            now + 5 * SECOND if before is None else _date(before, now, zone),
        )
    try:
        start, end, _ = counted_range(str(query.get("query")))
    except Refusal:
        return 0, 0
    return start - 1, end


def require_known_fields(query: Row) -> str:
    """The kind of `query`. Raises Refusal (400) for an unknown kind, and for a field that its kind does not have."""
    kind = str(query.get("kind"))
    if kind not in _FIELDS:
        raise invalid(f"Unsupported query kind: {kind}")
    _no_others(query, {"kind", *_FIELDS[kind]})
    return kind


def parse(query: Row, now: int, project: Project, cap: int, *, knows_created_at: bool = True) -> Query:
    """The query, its limit clamped to `cap`. Raises Refusal (400) for what the server does not understand."""
    kind = require_known_fields(query)
    after, before = bounds({"query": query}, now, project.zone)
    if kind == "HogQLQuery":
        *_, holds = counted_range(str(query.get("query")), knows_created_at=knows_created_at)
        return CountQuery(after=after, before=before, where=holds, now=now)
    columns = query.get("select")
    if not columns or not _are_strings(columns):
        raise invalid("select: a list of expressions is required")
    unknown = [column for column in columns if column not in CELLS]
    if unknown:
        raise invalid(f"Unable to resolve field: {unknown[0]}")
    limit = query.get("limit", DEFAULT_LIMIT)
    if type(limit) is not int or limit < 1:
        raise invalid("limit: Input should be a valid integer")
    conditions = query.get("where") or []
    if not _are_strings(conditions):
        raise invalid("where: a list of expressions is required")
    return EventsQuery(
        after=after,
        before=before,
        limit=min(limit, cap, GREATEST_LIMIT),
        oldest_first=_oldest_first(query.get("orderBy") or ["timestamp DESC"]),
        where=where(conditions, knows_created_at=knows_created_at),
        now=now,
        columns=tuple(columns),
        zone=timezone.utc if in_utc(query) else project.zone,
    )


def find(project: Project, query: Query, rng: random.Random) -> Found:
    """What there is as of now."""
    if isinstance(query, CountQuery):
        return Found(number=count(project, query))
    return Found(*first_events(project, query, rng))


def answer(project: Project, query: Query, found: Found, *, is_cached: bool) -> bytes:
    """The body of the reply."""
    common = {"error": None, "is_cached": is_cached, "query_status": None, "timings": [{"k": ".", "t": 0.01}]}
    if isinstance(query, CountQuery):
        names = {"columns": ["count()"], "types": [["count()", "UInt64"]]}
        return encode({"results": [[found.number]], **names, "hasMore": False, "limit": 100, "offset": 0, **common})
    head = {
        "columns": query.columns,
        "types": [_type(column, query.zone) for column in query.columns],
        "hasMore": found.more,
        "limit": query.limit,
        "offset": 0,
        "nextCursor": timestamp(found.events[-1].at, query.zone) if found.more else None,
        **common,
    }
    cells = [CELLS[column] for column in query.columns]
    rows = (b"[" + b",".join(cell(event, project, query.zone) for cell in cells) + b"]" for event in found.events)
    return encode(head)[:-1] + b',"results":[' + b",".join(rows) + b"]}"


def timestamp(at: int, zone: tzinfo) -> str:
    """`at` (microseconds) as queries write it: `Z` for an offset of zero, six digits of fraction or none when zero."""
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).isoformat().replace("+00:00", "Z")


def _properties(event: Event) -> str:
    return encode(event.properties).decode()


def _everything(event: Event, project: Project, zone: tzinfo) -> bytes:
    """What `*` gives: an object, with what the server adds to the properties."""
    return encode(
        {
            "uuid": event.id,
            "event": event.event,
            "properties": {**event.properties, "$has_recording": False},
            "timestamp": timestamp(event.at, zone),
            "team_id": project.id,
            "distinct_id": event.distinct_id,
            "elements_chain": event.elements_chain,
            "created_at": timestamp(event.created_at, zone),
        }
    )


Cell = Callable[[Event, Project, tzinfo], bytes]

CELLS: dict[str, Cell] = {
    "*": _everything,
    "uuid": lambda event, project, zone: encode(event.id),
    "event": lambda event, project, zone: encode(event.event),
    "properties": lambda event, project, zone: encode(_properties(event)),
    "timestamp": lambda event, project, zone: encode(timestamp(event.at, zone)),
    "distinct_id": lambda event, project, zone: encode(event.distinct_id),
    "elements_chain": lambda event, project, zone: encode(event.elements_chain),
    "person": lambda event, project, zone: project.people.queried(event.distinct_id),
    "person_id": lambda event, project, zone: encode(project.people.id_of(event.distinct_id)),
    "created_at": lambda event, project, zone: encode(timestamp(event.created_at, zone)),
}


def _type(column: str, zone: tzinfo) -> str:
    if column in ("timestamp", "created_at"):
        return f"DateTime64(6, '{'UTC' if zone is timezone.utc else zone}')"
    return {"uuid": "UUID", "person_id": "UUID", "*": "Tuple"}.get(column, "String")


def _date(value: object, now: int, zone: tzinfo) -> int:
    try:
        return microseconds(str(value), zone)
    except (ValueError, OverflowError):
        return now


def _oldest_first(order: Any) -> bool:
    known = ORDERS.get(" ".join(order[0].lower().split())) if _are_strings(order) and len(order) == 1 else None
    if known is None:
        raise invalid(f"Unable to resolve the order: {json.dumps(order)}")
    return known


def in_utc(query: Row) -> bool:
    """Whether instants shall come in UTC, not in the project's zone. Raises Refusal (400) for other modifiers."""
    modifiers = query.get("modifiers") or {}
    _no_others(modifiers, {"convertToProjectTimezone"})
    return modifiers.get("convertToProjectTimezone") is False


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _no_others(given: Any, known: set[str]) -> None:
    """Raise Refusal (400) for a field that is not `known`, as PostHog does; `offset` is among those."""
    if not isinstance(given, dict):
        raise invalid("Input should be an object")
    others = sorted(given.keys() - known)
    if others:
        raise invalid(f"{others[0]}: Extra inputs are not permitted")
