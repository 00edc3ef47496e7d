"""PostHog's EventsQuery as a transport: the body of a question, and its rows as the events list would show them.

What is relied on here is in docs/posthog-server.md, "Queries".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from source_posthog.events.event_list import arrived_since
from source_posthog.events.instants import MICROSECOND, instant, iso
from source_posthog.events.reading import Page, Query, Row, UntrueAnswer

# Never `*`: it adds a property of its own, and costs two queries more.
COLUMNS = (
    *("uuid", "event", "distinct_id", "properties", "timestamp"),
    *("elements_chain", "person", "person_id", "created_at"),
)
PERSON_PROPERTIES = ("email", "name", "username")  # the only ones that the events list shows

FIRST_LIMIT, LEAST_LIMIT, MOST_LIMIT = 10_000, 1_000, 50_000
# A larger page is asked for after so many full ones that came in so many seconds, of the ten that a query may take.
GOOD_PAGES, SECONDS_OF_A_GOOD_PAGE = 3, 4.0
# What a page may weigh, as JSON. Decoded it takes some four times as much, and three of a project are under way.
BYTES_OF_A_PAGE = 16_000_000

# JSON as Python, exactly; raises ValueError for what is none.
Decode = Callable[[str], Any]


def body(query: Query, limit: int, *, oldest_first: bool = False) -> dict[str, Any]:
    """What to post. Both bounds are exclusive, at microseconds; without `after` it would be the last day only."""
    conditions = []
    if query.suffix:
        conditions.append(ends_in(query))
    if query.arrived_from:
        conditions.append(arrived_since(query))
    asked: dict[str, Any] = {
        "kind": "EventsQuery",
        "select": list(COLUMNS),
        "after": iso(query.start - MICROSECOND),
        "before": iso(query.end),
        "orderBy": ["timestamp ASC" if oldest_first else "timestamp DESC"],
        "limit": limit,
        "modifiers": {"convertToProjectTimezone": False},
    }
    if conditions:
        asked["where"] = conditions
    return {"query": asked, "refresh": "force_blocking"}  # else the answer may be an old one


def ends_in(query: Query) -> str:
    """The HogQL expression that holds for events whose id ends in `query.suffix`."""
    return f"endsWith(toString(uuid), '{query.suffix}')"


def page(answer: Mapping[str, Any], decode: Decode) -> Page:
    """The page in `answer`, a decoded body. Raises UntrueAnswer where it is not what was asked for."""
    results, more = answer.get("results"), answer.get("hasMore")
    if not isinstance(results, list):
        raise UntrueAnswer("it has no list of `results`")
    if not isinstance(more, bool):
        raise UntrueAnswer("it does not say whether there is more (`hasMore`)")
    return Page([_record(row, decode) for row in results], complete=not more)


def _record(row: Any, decode: Decode) -> Row:
    if not isinstance(row, list) or len(row) != len(COLUMNS) or row[0] is None:
        raise UntrueAnswer("a row is not what was selected")
    id, event, distinct_id, properties, timestamp, elements_chain, person, person_id, created_at = row
    return {
        "id": id,
        "distinct_id": distinct_id,
        "properties": _properties(id, properties, decode),
        "event": event,
        "timestamp": _utc(id, timestamp),
        "person": _person(id, person, distinct_id),
        "elements_chain": elements_chain,
        "person_id": person_id,
        "created_at": _utc(id, created_at),
    }


def _properties(id: Any, text: Any, decode: Decode) -> dict[str, Any]:
    try:
        properties = decode(text) if isinstance(text, str) else None
    except ValueError as invalid:
        raise UntrueAnswer(f"the properties of event {id} are not a JSON object ({invalid})") from invalid
    if not isinstance(properties, dict):
        raise UntrueAnswer(f"the properties of event {id} are not a JSON object")
    return properties


def _utc(id: Any, text: Any) -> Any:
    """`text`, an instant, as the events list writes it. Without a zone it would be that of the project, or UTC."""
    if text is None:
        return None
    if isinstance(text, str) and text.endswith("Z"):
        return text[:-1] + "+00:00"
    try:
        if datetime.fromisoformat(text).tzinfo:
            return instant(text).astimezone(timezone.utc).isoformat()
    except (TypeError, ValueError):
        pass
    raise UntrueAnswer(f"event {id} has {text!r} for an instant, which is not a valid one with a time zone")


def _person(id: Any, person: Any, distinct_id: Any) -> dict[str, Any] | None:
    """`person` as the events list shows it, as far as it is known; None where there is none."""
    if person is not None and not isinstance(person, dict):
        raise UntrueAnswer(f"the person of event {id} is not a JSON object")
    if not person or person.get("uuid") is None:
        return None
    properties = person.get("properties") or {}
    return {
        "distinct_ids": [person.get("distinct_id", distinct_id)],
        "properties": {name: properties[name] for name in PERSON_PROPERTIES if name in properties},
        "uuid": person["uuid"],
        "created_at": person.get("created_at"),
    }


@dataclass
class PageSize:
    """How many rows to ask one project for; for one sync. Windows that are read at the same time share it.

    Attributes:
        limit: of the next question.
        most: what the server gives at the most, as far as is known.
        good: so many full pages came in time since `limit` was set.
    """

    limit: int = FIRST_LIMIT
    most: int = MOST_LIMIT
    good: int = 0

    def too_slow(self, limit: int) -> bool:
        """A page of `limit` was too much for the server. Returns whether fewer rows are to be asked for now."""
        if self.limit >= limit > LEAST_LIMIT:
            self.limit, self.good = max(limit // 4, LEAST_LIMIT), 0
        return self.limit < limit

    def answered(self, limit: int, echoed: Any, rows: int, size: int, seconds: float) -> None:
        """A question for `limit` rows, which the server took for one for `echoed`, gave `rows` of `size` bytes."""
        if isinstance(echoed, int) and 0 < echoed < limit:
            self.most = limit = min(self.most, echoed)
        if rows >= limit:
            fitting = max(BYTES_OF_A_PAGE * rows // max(size, 1), LEAST_LIMIT)
            self.good += seconds <= SECONDS_OF_A_GOOD_PAGE
            if self.good >= GOOD_PAGES:
                self.limit, self.good = 2 * self.limit, 0
            self.limit = min(self.limit, fitting)
        self.limit = min(self.limit, self.most)
