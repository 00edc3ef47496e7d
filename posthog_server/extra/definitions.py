"""What PostHog knows of a project's events, of their properties and of its groups."""

import json
import random

from ..ages import Age
from ..rows import ODD_TEXTS, any_time, make_user, maybe
from ..traffic import Refusal
from ..values import Row, encode, random_uuid
from .objects import Asked, ExtraObject, in_order, unordered

EXACT_UP_TO, MOST_COUNTED = 50_000, 10_000  # rows; the count of more event definitions stops

GROUP_TYPES = 5  # of a project, at the most
TYPES = ("event", "person", "session", *(f"group_{index}" for index in range(GROUP_TYPES)))


def _event_definition(number: int, rng: random.Random) -> Row:
    return {
        "id": random_uuid(rng),
        "name": f"{rng.choice((*ODD_TEXTS, 'clicked'))} {number}",
        "description": maybe(rng, "A click"),
        "created_at": maybe(rng, any_time(rng)),
        "last_seen_at": maybe(rng, any_time(rng)),
        "updated_at": maybe(rng, any_time(rng)),
        "updated_by": maybe(rng, make_user(rng)),
        "is_action": False,
        "post_to_slack": False,
        "verified": maybe(rng, False),
        "verified_at": None,
        "verified_by": None,
        "hidden": maybe(rng, False),
        "owner": maybe(rng, make_user(rng)),
        "tags": rng.choice(([], ["checkout"])),
        "default_columns": [],
    }


def _event_definitions(rows: list[Row], asked: Asked) -> bytes:
    page = in_order(parameter="ordering")(rows, asked)
    if len(rows) <= EXACT_UP_TO:
        return page
    return page.replace(f'"count":{len(rows)},'.encode(), f'"count":{MOST_COUNTED},'.encode(), 1)


def _property_definition(number: int, rng: random.Random) -> Row:
    """Every fifth one of persons is virtual: PostHog's own, and in no table."""
    type = TYPES[number % len(TYPES)]
    is_virtual = type == "person" and number // len(TYPES) % 5 == 1
    return {
        "id": f"$builtin_$virt_{number}" if is_virtual else random_uuid(rng),
        "type": type,
        "name": f"$virt_{number}" if is_virtual else f"property {number}",
        "description": maybe(rng, ""),
        "is_numerical": rng.random() < 0.3,
        "property_type": rng.choice(("String", "Numeric", "Boolean", "DateTime", None)),
        "is_seen_on_filtered_events": None,
        "tags": rng.choice(([], ["pii"])),
        "virtual": is_virtual,
    }


def _property_definitions(rows: list[Row], asked: Asked) -> bytes:
    """Those of a type. Virtual ones are on the last page, and again on each one beyond the end."""
    type = asked.query.get("type", "event")
    if asked.age.is_of_2024 and type == "session":
        raise Refusal(400, "invalid_choice", '"session" is not a valid choice.', attr="type")
    if type == "group":
        if "group_type_index" not in asked.query:
            raise Refusal(400, "invalid_input", "This field is required.", attr="group_type_index")
        type = f"group_{asked.query['group_type_index']}"
    of_type = [{name: row[name] for name in row if name != "type"} for row in rows if row["type"] == type]
    stored = [row for row in of_type if not str(row["id"]).startswith("$builtin_")]
    page = json.loads(unordered(stored, asked))
    if page["next"] is None:
        page["results"] += [row for row in of_type if row not in stored]
    return encode({**page, "count": len(of_type)})


def _group_type(number: int, rng: random.Random) -> Row:
    return {
        "group_type": rng.choice(("company", "team", *ODD_TEXTS)),
        "group_type_index": number % 100_000,
        "name_singular": maybe(rng, "company"),
        "name_plural": maybe(rng, "companies"),
        "detail_dashboard": maybe(rng, 7),
        "default_columns": maybe(rng, ["name"]),
        "created_at": maybe(rng, any_time(rng)),
    }


OBJECTS = {
    "event_definitions": ExtraObject(
        path="event_definitions",
        scope="event_definition:read",
        make=_event_definition,
        answer=_event_definitions,
        fields={
            "text": "name description",
            "flag": "is_action post_to_slack verified hidden is_calculating",
            "time": "created_at last_seen_at updated_at last_updated_at verified_at last_calculated_at",
            "list of text": "tags default_columns",
            "user": "owner created_by updated_by verified_by",
        },
    ),
    "property_definitions": ExtraObject(
        path="property_definitions",
        scope="property_definition:read",
        make=_property_definition,
        key=("type", "id"),
        answer=_property_definitions,
        fields={
            "text": "name description property_type",
            "flag": "is_numerical is_seen_on_filtered_events verified hidden virtual",
            "time": "updated_at verified_at",
            "list of text": "tags",
            "user": "updated_by verified_by",
        },
    ),
    "group_types": ExtraObject(
        path="groups_types",
        scope="group:read",
        make=_group_type,
        most=GROUP_TYPES,
        key=("group_type_index",),
        answer=lambda rows, _: encode(rows),
        unknown_to=(Age.JANUARY_2024,),
        fields={
            "text": "group_type name_singular name_plural",
            "number": "detail_dashboard",
            "time": "created_at",
            "list of text": "default_columns",
        },
    ),
}
