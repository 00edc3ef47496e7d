"""The events list, with every oddity of the real one."""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .data import Event, Project
from .traffic import Refusal, server_error
from .values import DAY, SECOND, microseconds

DEFAULT_LIMIT = 100
HIGHEST_OFFSET = 50_000
LONGEST_RANGE = 366 * DAY

# The spans below `before` that the server looks at first.
PROBES = (60 * SECOND, 300 * SECOND, 900 * SECOND, 3600 * SECOND, 6 * 3600 * SECOND, DAY)

_ID_ENDS_IN = re.compile(r"\s*toString\(uuid\)\s+like\s+'%([^'%_\\]+)'\s*", re.IGNORECASE)


@dataclass(frozen=True)
class EventsQuery:
    """What an event list was asked for. `after` and `before` are exclusive, in microseconds."""

    after: int
    before: int
    limit: int
    offset: int
    oldest_first: bool
    include_person: bool
    suffixes: tuple[str, ...]


def bounds(query: Mapping[str, str], now: int) -> tuple[int, int]:
    """`after` and `before` of a query (microseconds): the last 24 hours where absent, now where it does not parse."""
    after = _date(query["after"], now) if query.get("after") else now - DAY
    before = _date(query["before"], now) if query.get("before") else now + 5 * SECOND
    return after, before


def _date(text: str, now: int) -> int:
    try:
        return microseconds(text)
    except (ValueError, OverflowError):
        return now


def parse(query: Mapping[str, str], now: int, cap: int) -> EventsQuery:
    """The query, its limit clamped to `cap`. Raises Refusal: 400 for what cannot be read, 500 for a too long range."""
    after, before = bounds(query, now)
    limit = _number(query, "limit") or DEFAULT_LIMIT
    offset = _number(query, "offset")
    if offset > HIGHEST_OFFSET:
        raise Refusal(400, "invalid_input", f"Offset cannot be larger than {HIGHEST_OFFSET}.")
    parsed = EventsQuery(
        after,
        before,
        min(limit, cap),
        offset,
        oldest_first=_oldest_first(query),
        include_person=query.get("include_person", "").lower() in ("true", "1", "yes", "y", "t", "on"),
        suffixes=_suffixes(query),
    )
    if before - after > LONGEST_RANGE:
        raise server_error()
    return parsed


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not re.fullmatch(r"\d{1,18}", text):
        raise Refusal(400, "invalid_input", f"{name} must be a positive integer.")
    return int(text)


def _oldest_first(query: Mapping[str, str]) -> bool:
    try:
        order = json.loads(query.get("orderBy") or '["-timestamp"]')
    except ValueError:
        order = None
    if order not in (["timestamp"], ["-timestamp"]):
        raise Refusal(400, "invalid_input", "orderBy is not a list of columns.")
    return bool(order == ["timestamp"])


def _suffixes(query: Mapping[str, str]) -> tuple[str, ...]:
    try:
        filters = json.loads(query.get("properties") or "[]")
    except ValueError:
        raise Refusal(400, "invalid_input", "Properties are unparsable!") from None
    suffixes = []
    for one in filters if isinstance(filters, list) else [filters]:
        expression = one.get("key") if isinstance(one, dict) and one.get("type") == "hogql" else None
        match = _ID_ENDS_IN.fullmatch(expression) if isinstance(expression, str) else None
        if not match:
            raise Refusal(400, "invalid_input", f"Unable to resolve the filter {json.dumps(one)}")
        suffixes.append(match[1])
    return tuple(suffixes)


def select(project: Project, query: EventsQuery, rng: random.Random) -> tuple[list[Event], bool]:
    """The page, and whether the server believes that there is more.

    It looks at short spans below `before` first and believes what the first one says that holds half a page: so "no
    more" can be wrong. Oldest first there is nothing to look at first.
    """
    if not query.oldest_first:
        for span in PROBES:
            if span >= query.before - query.after:
                break
            events, more = _look(project, query, query.before - span, rng)
            if 2 * len(events) >= query.limit:
                return events, more
    return _look(project, query, query.after, rng)


def _look(project: Project, query: EventsQuery, after: int, rng: random.Random) -> tuple[list[Event], bool]:
    suffixes = query.suffixes
    end = query.offset + query.limit
    events = project.events.between(
        after,
        query.before,
        end + 1,
        query.oldest_first,
        (lambda event: all(event.id.endswith(suffix) for suffix in suffixes)) if suffixes else None,
    )
    _shuffle_ties(events, rng)
    return events[query.offset : end], len(events) > end


def _shuffle_ties(events: list[Event], rng: random.Random) -> None:
    """Another order among events of one timestamp each time, also of those that then do not fit the page."""
    start = 0
    for place in range(1, len(events) + 1):
        if place == len(events) or events[place].at != events[start].at:
            if place - start > 1:
                tied = events[start:place]
                rng.shuffle(tied)
                events[start:place] = tied
            start = place
