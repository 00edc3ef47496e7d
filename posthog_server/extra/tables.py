"""The objects that only HogQL reads: their rows are those of tables (see hogql_tables.py)."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from urllib.parse import urlsplit

from ..data import Event
from ..rows import DAYS, ODD_TEXTS, START, any_time, drf_time, maybe
from ..values import DAY, SECOND, Row, isoformat, random_uuid
from .objects import ExtraObject

CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
PLACES = ("current_url", "hostname", "pathname")


def sessions_of(events: Iterable[Event]) -> list[Row]:
    """The sessions of `events`, which come oldest first; so one that goes on, or has a late event, changes."""
    sessions: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if session := event.properties.get("$session_id"):
            sessions[session].append(event)
    return [{"session_id": id, **_session(of_it)} for id, of_it in sessions.items()]


def _session(events: list[Event]) -> Row:
    times = Counter(event.event for event in events)
    first, last = events[0], events[-1]
    return {
        "distinct_id": first.distinct_id,
        "start_timestamp": isoformat(first.at),
        "end_timestamp": isoformat(last.at),
        "max_inserted_at": isoformat(max(event.created_at for event in events)),
        "session_duration": (last.at - first.at) // SECOND,
        **{f"{name}_count": times[f"${name}"] for name in ("pageview", "autocapture", "screen")},
        **_places("entry", first.properties.get("$current_url")),
        **_places("end", last.properties.get("$current_url")),
        **{f"entry_{name}": first.properties.get(name) for name in CAMPAIGN},
        "entry_referring_domain": first.properties.get("$referring_domain"),
        "channel_type": "Paid Search" if first.properties.get("utm_medium") == "cpc" else "Direct",
        "last_external_click_url": last.properties.get("$external_click_url"),
    }


def _places(which: str, url: str | None) -> Row:
    parts = urlsplit(url or "")
    return {
        f"{which}_{name}": value or None for name, value in zip(PLACES, (url, parts.hostname, parts.path), strict=True)
    }


def _a_session(number: int, rng: random.Random) -> Row:
    start = START + rng.randrange(DAYS * DAY)
    event = Event(
        random_uuid(rng), start, distinct_id=f"user-{number}", properties={"$current_url": "https://a.test/b"}
    )
    return {
        "session_id": random_uuid(rng),
        **_session([event]),
        "max_inserted_at": drf_time(start + rng.randrange(DAY)),
    }


def _group(number: int, rng: random.Random) -> Row:
    return {
        "index": number % 3,
        "key": f"company:{number} {rng.choice(ODD_TEXTS)}".replace("\0", ""),
        "created_at": any_time(rng),
        "updated_at": drf_time(START + rng.randrange(4) * DAY),  # few different ones
        "properties": {"name": f"Company {number}", "plan": maybe(rng, "paid")},
    }


def _member(number: int, rng: random.Random) -> Row:
    return {"cohort_id": number % 4, "person_id": random_uuid(rng), "is_static": number % 4 == 0}


def _issue(number: int, rng: random.Random) -> Row:
    return {
        "id": random_uuid(rng),
        "status": rng.choice(("active", "resolved", "archived")),
        "name": maybe(rng, "TypeError"),
        "description": maybe(rng, rng.choice(ODD_TEXTS)),
        "created_at": any_time(rng),
    }


OBJECTS = {
    "sessions": ExtraObject(
        path="",
        scope="query:read",
        make=_a_session,
        derived=lambda project: sessions_of(project.events),
        key=("session_id",),
        cursor="max_inserted_at",
        fields={
            "text": "distinct_id channel_type entry_referring_domain last_external_click_url "
            + " ".join(f"{which}_{name}" for which in ("entry", "end") for name in PLACES)
            + " "
            + " ".join(f"entry_{name}" for name in CAMPAIGN),
            "number": "session_duration pageview_count autocapture_count screen_count",
            "time": "start_timestamp end_timestamp max_inserted_at",
        },
    ),
    "groups": ExtraObject(
        path="",
        scope="query:read",
        make=_group,
        key=("index", "key"),
        cursor="updated_at",
        fields={"text": "_unreadable", "time": "created_at updated_at", "object": "properties"},
    ),
    "cohort_members": ExtraObject(path="", scope="query:read", make=_member, key=("cohort_id", "person_id"), fields={}),
    "error_tracking_issues": ExtraObject(
        path="",
        scope="query:read",
        make=_issue,
        fields={"text": "status name description", "number": "team_id", "time": "created_at"},
    ),
}
