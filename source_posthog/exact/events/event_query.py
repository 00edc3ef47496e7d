"""PostHog's EventsQuery as a transport: the body of a question, and its rows as the events list would show them.

What is relied on here is in docs/posthog-server.md, "Queries".
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.events import storage_sql
from source_posthog.exact.events.conditions import conditions
from source_posthog.exact.events.port import Page, Query, Row
from source_posthog.exact.events.properties import Decode, set_properties
from source_posthog.exact.instants import MICROSECOND, MILLISECOND, instant, iso
from source_posthog.exact.query_api import is_whole, posted

# What is selected. Nothing in it may join the persons: where "persons on events" is off, as on self-hosted servers, the
# join leaves out every event without a person, so neither `person_id` nor `person.*` is asked for. `person` is no
# column of the query: PostHog looks it up afterwards, by distinct_id. Never `*`: it adds a property of its own, and
# costs two queries more.
COLUMNS = ("uuid", "event", "distinct_id", "properties", "timestamp", "elements_chain", "person", "created_at")
PERSON_PROPERTIES = ("email", "name", "username")  # the only ones that the events list shows


def body(query: Query, limit: int, *, oldest_first: bool = False) -> dict[str, Any]:
    """What to post. Both bounds are exclusive, at microseconds; without `after` it would be the last day only."""
    asked: dict[str, Any] = {
        "kind": "EventsQuery",
        "select": list(COLUMNS),
        "after": iso(query.start - MICROSECOND),
        "before": iso(query.end),
        "orderBy": ["timestamp ASC" if oldest_first else "timestamp DESC"],
        "limit": limit,
    }
    if where := conditions(query) + storage_sql.range_conditions(query.keys):
        asked["where"] = where
    return posted(asked)


def page(answer: Mapping[str, Any], limit: int, decode: Decode) -> Page:
    """The page in `answer`, a decoded body, whose rows are replaced: held twice, they would be most of the memory.

    Instants have milliseconds on servers until the middle of 2024, and are taken to have no more on any.

    Raises UntrueAnswer where it is not what was asked for.
    """
    is_complete = is_whole(answer, limit, must_say=True)
    results = answer["results"]
    for place, row in enumerate(results):
        results[place] = _record(row, decode)
    return Page(results, is_complete, MILLISECOND)


def _record(row: Any, decode: Decode) -> Row:
    try:
        id, event, distinct_id, properties, timestamp, elements_chain, person, created_at = row
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
        "person": (person := _person(id, person, distinct_id)),
        "elements_chain": elements_chain,
        "person_id": person["uuid"] if person else None,
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
