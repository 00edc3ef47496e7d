"""PostHog's EventsQuery as a transport: the body of a question, and its rows as the events list would show them.

What is relied on here is in docs/posthog-server.md, "Queries".
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from source_posthog.events.event_list import arrived_since
from source_posthog.events.instants import MICROSECOND, instant, iso
from source_posthog.events.properties import Decode, set_properties
from source_posthog.events.reading import Page, Query, Row, UntrueAnswer

# Never `*`: it adds a property of its own, and costs two queries more.
COLUMNS = (
    *("uuid", "event", "distinct_id", "properties", "timestamp"),
    *("elements_chain", "person", "person_id", "created_at"),
)
PERSON_PROPERTIES = ("email", "name", "username")  # the only ones that the events list shows


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


def count_body(query: Query, arrived_before: datetime) -> dict[str, Any]:
    """What to post for the number of events of `query` that PostHog ingested before `arrived_before`.

    A bare instant in SQL is read in the project's time zone.
    """
    bounds = (query.start, query.end, arrived_before)
    start, end, arrived = (f"toDateTime64('{iso(at)[:-1]}', 6, 'UTC')" for at in bounds)
    asked = {
        "kind": "HogQLQuery",
        "query": "SELECT count() FROM events "
        f"WHERE timestamp >= {start} AND timestamp < {end} AND created_at < {arrived}",
    }
    return {"query": asked, "refresh": "force_blocking"}


def counted(answer: Mapping[str, Any]) -> int:
    """The number in an answer. Raises UntrueAnswer where there is none."""
    match answer.get("results"):
        case [[int(number)]] if number >= 0:
            return number
    raise UntrueAnswer("it has no number of events")


def ends_in(query: Query) -> str:
    """The HogQL expression that holds for events whose id ends in `query.suffix`."""
    return f"endsWith(toString(uuid), '{query.suffix}')"


def page(answer: Mapping[str, Any], decode: Decode) -> Page:
    """The page in `answer`, a decoded body, whose rows are replaced: held twice, they would be most of the memory.

    Raises UntrueAnswer where it is not what was asked for.
    """
    results, more = answer.get("results"), answer.get("hasMore")
    if not isinstance(results, list):
        raise UntrueAnswer("it has no list of `results`")
    if not isinstance(more, bool):
        raise UntrueAnswer("it does not say whether there is more (`hasMore`)")
    for place, row in enumerate(results):
        results[place] = _record(row, decode)
    return Page(results, complete=not more)


def _record(row: Any, decode: Decode) -> Row:
    try:
        id, event, distinct_id, properties, timestamp, elements_chain, person, person_id, created_at = row
    except (TypeError, ValueError):
        raise UntrueAnswer("a row is not what was selected") from None
    if not isinstance(id, str):
        raise UntrueAnswer("a row has no `uuid`" if id is None else f"a row has {id!r} as its `uuid`")
    record = {
        "id": id,
        "distinct_id": distinct_id,
        "properties": None,
        "event": event,
        "timestamp": _utc(id, timestamp),
        "person": _person(id, person, distinct_id),
        "elements_chain": elements_chain,
        "person_id": person_id,
        "created_at": created_at,
    }
    set_properties(record, properties, decode)
    return record


def _utc(id: Any, text: Any) -> str:
    """`text`, an instant, as the events list writes it. Without a zone it would be that of the project, or UTC."""
    try:
        if text.endswith("Z"):
            return f"{text[:-1]}+00:00"
        if datetime.fromisoformat(text).tzinfo:
            return instant(text).astimezone(timezone.utc).isoformat()
    except (AttributeError, TypeError, ValueError):
        pass
    raise UntrueAnswer(f"event {id} has {text!r} as an instant, which is not a valid one with a time zone")


def _person(id: Any, person: Any, distinct_id: Any) -> dict[str, Any] | None:
    """`person` as the events list shows it, as far as it is known; None where there is none."""
    if person is None:
        return None
    if not isinstance(person, dict):
        raise UntrueAnswer(f"the person of event {id} is not a JSON object")
    uuid = person.get("uuid")
    if uuid is None:
        return None
    properties = {} if person.get("properties") is None else person["properties"]
    if not isinstance(properties, dict):
        raise UntrueAnswer(f"the properties of the person of event {id} are not a JSON object")
    return {
        "distinct_ids": [person.get("distinct_id", distinct_id)],
        "properties": {name: properties[name] for name in PERSON_PROPERTIES if name in properties},
        "uuid": uuid,
        "created_at": person.get("created_at"),
    }
