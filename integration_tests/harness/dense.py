"""Days of more events than fit a page, and what states say of them."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from integration_tests.harness.connector import CAP, Output
from posthog_server import DAY, SECOND, Event, PostHog, Seen, account_with, event, microseconds
from posthog_server.conditions import hash_of_distinct_id, hash_of_id
from posthog_server.values import EPOCH
from source_posthog.exact.instants import instant

HOUR = 3600 * SECOND
START = microseconds("2026-01-01T00:00:00Z")
NAMES = ["$autocapture", "$pageview", "", "it's", "back\\slash", "{brace}", "bell\a", "emoji 😀", "x" * 200, "línea\n"]


def dense(day: int, number: int, seed: int = 0, people: int = 40, size: int = 0, busy: float = 0.3) -> list[Event]:
    """So many events of the UTC day with this number, most of one name, and many of one person."""
    rng = random.Random(f"{day} {seed}")
    made = []
    for _ in range(number):
        one = event(START + day * DAY + rng.randrange(DAY))
        one.event = rng.choice(NAMES) if rng.random() < 0.4 else NAMES[0]
        one.properties = {"text": "x" * size} if size else {}
        one.distinct_id = "busy" if rng.random() < busy else f"person {rng.randrange(people)}"
        made.append(one)
    return made


def sparse(days: range, each: int = 3) -> list[Event]:
    return [event(START + day * DAY + place * HOUR) for day in days for place in range(each)]


def server(*events: list[Event], **options: Any) -> PostHog:
    """Projects 7, 8, ... with these events, and answers of no more than CAP rows."""
    made = account_with({7 + place: found for place, found in enumerate(events)})
    return PostHog(made, **{"cap": CAP, "query_cap": CAP, **options})


def ids(posthog: PostHog) -> list[tuple[int, str]]:
    return sorted((one.id, each.id) for one in posthog.account.projects.values() for each in one.events)


def kinds_of_queries(posthog: PostHog) -> Counter[str]:
    """How often each kind of question for events was asked by query."""
    return Counter(kind_of_query(seen) for seen in posthog.requests if seen.stream == "query")


def kind_of_query(seen: Seen) -> str:
    query = seen.body["query"]
    if "query" in query:
        return "map of days" if "toDate(timestamp)" in query["query"] else "map of keys"
    return "keys" if any("event " in one for one in query.get("where", [])) else "time"


def claims_without_record(posthog: PostHog, *outputs: Output) -> list[str]:
    """The states of syncs, each of which goes on from the one before, that say of an event that it is emitted, which
    was not before them."""
    given: set[tuple[int, str]] = set()
    wrong = []
    for message in (one for output in outputs for one in output.messages):
        if message["type"] == "RECORD":
            row = message["record"]["data"]
            given.add((row["project_id"], row["id"]))
        elif message["type"] == "STATE":
            state = message["state"]["stream"]["stream_state"]
            for project, entry in ((name, entry) for name, entry in state.items() if name != "filter"):
                for one in posthog.account.projects[int(project)].events:
                    if (int(project), one.id) not in given and is_claimed(one, entry):
                        wrong.append(f"{project}, {one.id}: {entry}")
    return wrong


def is_claimed(one: Event, entry: dict[str, Any]) -> bool:
    """Whether an entry of the state says that `one` is emitted, and not that the next sync looks for it."""
    if at(entry["since"]) <= one.at < at(entry["timestamp"]):
        return one.created_at < at(entry["arrived"]) - HOUR
    return any(_is_in_half(one, half) and one.created_at < at(half["began"]) - HOUR for half in half_days(entry))


def half_days(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """What an entry of the state says of days that are read in part: of one that is new, and one of a backfill."""
    return [half for half in (entry.get("day"), entry.get("before", {}).get("day")) if half]


def until_half_day(
    messages: Iterable[dict[str, Any]], place: int, *, of_backfill: bool = False
) -> Iterator[dict[str, Any]]:
    """`messages` up to the state in this place of those that say how far a day of project 7 is read."""
    for message in messages:
        yield message
        if message["type"] == "STATE":
            entry = message["state"]["stream"]["stream_state"].get("7", {})
            place -= "day" in (entry.get("before", {}) if of_backfill else entry)
        if not place:
            return
    raise AssertionError("it ended before that")


def _is_in_half(one: Event, half: dict[str, Any]) -> bool:
    key = one.event.encode(), hash_of_distinct_id(one), hash_of_id(one)
    reached = half["event"].encode(), int(half["distinct_id"]), int(half["uuid"])
    return at(half["start"]) <= one.at < at(half["end"]) and key < reached


def at(text: str) -> int:
    return (instant(text) - EPOCH) // timedelta(microseconds=1)
