"""The events list, with every oddity of the real one."""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .ages import Age
from .data import Event, Project
from .hogql import Dialect, Where, where
from .selection import Selection, first_events
from .traffic import Refusal, invalid, server_error
from .values import DAY, SECOND, microseconds

DEFAULT_LIMIT = 100
HIGHEST_OFFSET = 50_000
LONGEST_RANGE = 366 * DAY
MOST_TIME = 8000 * 365 * DAY  # of January 2024: somewhere below 9999 years

# The spans below `before` that the server looks at first.
PROBES = (60 * SECOND, 300 * SECOND, 900 * SECOND, 3600 * SECOND, 6 * 3600 * SECOND, DAY)


@dataclass(frozen=True, kw_only=True)
class ListQuery(Selection):
    """What an event list was asked for. `has_spans`: the server looks at short spans first."""

    offset: int = 0
    include_person: bool = False
    has_spans: bool = True


def bounds(query: Mapping[str, str], now: int, age: Age = Age.CLOUD) -> tuple[int, int]:
    """`after` and `before` of a query (microseconds): the last 24 hours where absent, now where it does not parse.

    In January 2024 all time where `after` is absent, from the epoch on whatever it says.
    """
    if age.is_of_2024:
        after = max(_date(query["after"], now), 0) if "after" in query else -1
        return after, _date(query["before"], now) if "before" in query else now + 5 * SECOND
    before = _date(query["before"], now) if query.get("before") else now + 5 * SECOND
    return _date(query["after"], now) if query.get("after") else now - DAY, before


def _date(text: str, now: int) -> int:
    try:
        return microseconds(text)
    except (ValueError, OverflowError):
        return now


def parse(
    query: Mapping[str, str], now: int, cap: int, dialect: Dialect | None = None, *, knows_hogql: bool = True
) -> ListQuery:
    """The query, its limit clamped to `cap`; of today's cloud where no dialect is given.

    Raises Refusal: 400 for what cannot be read, 500 for a too long range. January 2024: 500 for HogQL and numbers that
    cannot be read; any range will do.
    """
    dialect = dialect or Dialect()
    age = dialect.age
    after, before = bounds(query, now, age)
    offset = _number(query, "offset", 0, age)
    if offset > HIGHEST_OFFSET:
        raise invalid(f"Offset cannot be larger than {HIGHEST_OFFSET}.")
    parsed = ListQuery(
        after=after,
        before=before,
        limit=min(_number(query, "limit", DEFAULT_LIMIT, age), cap),
        offset=offset,
        oldest_first=_oldest_first(query),
        include_person=age.is_of_2024
        or query.get("include_person", "").lower() in ("true", "1", "yes", "y", "t", "on"),
        where=_where(query, knows_hogql, dialect) & _equal(query, dialect),
        now=now,
        ties_by_id=dialect.ties_by_id,
        has_spans=age.has_spans,
    )
    if before - after > (MOST_TIME if age.is_of_2024 else LONGEST_RANGE):
        raise server_error()
    return parsed


def _number(query: Mapping[str, str], name: str, default: int, age: Age) -> int:
    text = query.get(name) or str(default)
    if not re.fullmatch(r"\d{1,18}", text):
        raise server_error() if age.is_of_2024 else invalid(f"{name} must be a positive integer.")
    return int(text) if age.is_of_2024 else int(text) or default


def _oldest_first(query: Mapping[str, str]) -> bool:
    try:
        order = json.loads(query.get("orderBy") or '["-timestamp"]')
    except ValueError:
        order = None
    if order not in (["timestamp"], ["-timestamp"]):
        raise invalid("orderBy is not a list of columns.")
    return bool(order == ["timestamp"])


def _equal(query: Mapping[str, str], dialect: Dialect) -> Where:
    """What parameters of these names ask for; `event=` is the event of no name."""
    person_id = query.get("person_id")
    joined = dialect.joins_persons and person_id is not None
    return Where(event=query.get("event"), distinct_id=query.get("distinct_id"), person_id=person_id, joined=joined)


def _where(query: Mapping[str, str], knows_hogql: bool, dialect: Dialect) -> Where:
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
    try:
        return where(expressions, dialect)
    except Refusal:
        if dialect.age.is_of_2024:
            raise server_error() from None
        raise


def select(project: Project, query: ListQuery, rng: random.Random) -> tuple[list[Event], bool]:
    """The page, and whether the server believes that there is more.

    It looks at short spans below `before` first and believes what the first one says that holds half a page: so "no
    more" can be wrong. Oldest first there is nothing to look at first.
    """
    if query.has_spans and not query.oldest_first:
        for span in PROBES:
            if span >= query.before - query.after:
                break
            events, more = first_events(project, query, rng, after=query.before - span, skip=query.offset)
            if 2 * len(events) >= query.limit:
                return events, more
    return first_events(project, query, rng, skip=query.offset)


def last_shown(project: Project, query: ListQuery, events: list[Event], rng: random.Random) -> Event:
    """The event that `next` goes on from: the last of the page, the first of all where the page was to be empty."""
    return events[-1] if events else first_events(project, replace(query, limit=1), rng)[0][0]
