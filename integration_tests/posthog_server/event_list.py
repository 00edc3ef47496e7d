"""The events list, with every oddity of the real one."""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .data import Event, Project
from .hogql import Where, where
from .selection import Selection, first_events
from .traffic import invalid, server_error
from .values import DAY, SECOND, microseconds

DEFAULT_LIMIT = 100
HIGHEST_OFFSET = 50_000
LONGEST_RANGE = 366 * DAY

# The spans below `before` that the server looks at first.
PROBES = (60 * SECOND, 300 * SECOND, 900 * SECOND, 3600 * SECOND, 6 * 3600 * SECOND, DAY)


@dataclass(frozen=True, kw_only=True)
class ListQuery(Selection):
    """What an event list was asked for."""

    offset: int = 0
    include_person: bool = False


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


def parse(
    query: Mapping[str, str], now: int, cap: int, *, knows_hogql: bool = True, knows_created_at: bool = True
) -> ListQuery:
    """The query, its limit clamped to `cap`. Raises Refusal: 400 for what cannot be read, 500 for a too long range."""
    after, before = bounds(query, now)
    limit = _number(query, "limit") or DEFAULT_LIMIT
    offset = _number(query, "offset")
    if offset > HIGHEST_OFFSET:
        raise invalid(f"Offset cannot be larger than {HIGHEST_OFFSET}.")
    parsed = ListQuery(
        after=after,
        before=before,
        limit=min(limit, cap),
        offset=offset,
        oldest_first=_oldest_first(query),
        include_person=query.get("include_person", "").lower() in ("true", "1", "yes", "y", "t", "on"),
        where=_where(query, knows_hogql, knows_created_at),
        now=now,
    )
    if before - after > LONGEST_RANGE:
        raise server_error()
    return parsed


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    if not re.fullmatch(r"\d{1,18}", text):
        raise invalid(f"{name} must be a positive integer.")
    return int(text)


def _oldest_first(query: Mapping[str, str]) -> bool:
    try:
        order = json.loads(query.get("orderBy") or '["-timestamp"]')
    except ValueError:
        order = None
    if order not in (["timestamp"], ["-timestamp"]):
        raise invalid("orderBy is not a list of columns.")
    return bool(order == ["timestamp"])


def _where(query: Mapping[str, str], knows_hogql: bool, knows_created_at: bool) -> Where:
    try:
        filters = json.loads(query.get("properties") or "[]")
    except ValueError:
        raise invalid("Properties are unparsable!") from None
    expressions = []
    for one in filters if isinstance(filters, list) else [filters]:
        expression = one.get("key") if isinstance(one, dict) and one.get("type") == "hogql" and knows_hogql else None
        if not isinstance(expression, str):
            raise invalid(f"Unable to resolve the filter {json.dumps(one)}")
        expressions.append(expression)
    return where(expressions, knows_created_at=knows_created_at)


def select(project: Project, query: ListQuery, rng: random.Random) -> tuple[list[Event], bool]:
    """The page, and whether the server believes that there is more.

    It looks at short spans below `before` first and believes what the first one says that holds half a page: so "no
    more" can be wrong. Oldest first there is nothing to look at first.
    """
    if not query.oldest_first:
        for span in PROBES:
            if span >= query.before - query.after:
                break
            events, more = first_events(project, query, rng, after=query.before - span, skip=query.offset)
            if 2 * len(events) >= query.limit:
                return events, more
    return first_events(project, query, rng, skip=query.offset)
