"""Requests of the embedded PostHog as a client makes them, for the tests of the server itself."""

import json
from typing import Any
from urllib.parse import urlencode

from posthog_server import (
    DAY,
    KEY,
    Event,
    PostHog,
    Reply,
    account_with,
    isoformat,
    microseconds,
)

PATH = "/api/projects/7/query/"
START = microseconds("2026-10-01T00:00:00Z")
ARRIVED = "created_at >= toDateTime64('2026-11-01T00:00:00.000000', 6, 'UTC')"
UTC = {"convertToProjectTimezone": False}


def identifier(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def posthog(events: list[Event], **options: Any) -> PostHog:
    return PostHog(account_with({7: events}), **options)


def listed(server: PostHog, *expressions: str, after: int = START - 1, before: int = START + 60 * DAY) -> Reply:
    """The answer of the events list to a filter for each of `expressions`."""
    filters = [{"type": "hogql", "key": expression} for expression in expressions]
    params = {"after": isoformat(after), "before": isoformat(before), "limit": 1000}
    if filters:
        params["properties"] = json.dumps(filters)
    return server.get(f"/api/projects/7/events/?{urlencode(params)}")


def ids(reply: Reply) -> list[str]:
    """The ids in an answer of the events list."""
    assert reply.status == 200, reply.body
    return [row["id"] for row in reply.json()["results"]]


def asked(
    server: PostHog,
    *,
    path: str = PATH,
    token: str = KEY,
    refresh: str | None = "force_blocking",
    **changes: Any,
) -> Reply:
    """The answer to an EventsQuery of all October; `changes` with a value of None take a field away."""
    query = {
        "kind": "EventsQuery",
        "select": ["uuid"],
        "after": isoformat(START - 1),
        "before": isoformat(START + 31 * DAY),
        "modifiers": UTC,
        **changes,
    }
    body: dict[str, Any] = {"query": {key: value for key, value in query.items() if value is not None}, "name": "test"}
    if refresh is not None:
        body["refresh"] = refresh
    return server.post(path, body, token)


def counted(server: PostHog, start: str = "2026-10-01T00:00:00.000000", sql: str = "") -> Reply:
    """The answer to a HogQLQuery: `sql`, or a count of the day from `start` to 2026-10-02."""
    end = "2026-10-02T00:00:00.000000"
    sql = sql or (
        f"SELECT count()\nFROM events WHERE timestamp >= toDateTime64('{start}', 6, 'UTC')"
        f" AND timestamp < toDateTime64('{end}', 6, 'UTC')"
    )
    return server.post(PATH, {"query": {"kind": "HogQLQuery", "query": sql}, "refresh": "force_blocking"})


def column(reply: Reply, place: int = 0) -> list[Any]:
    """One column of the answer to a query."""
    assert reply.status == 200, reply.body
    return [row[place] for row in reply.json()["results"]]


def refusal(reply: Reply) -> tuple[int, str]:
    """Status and type of an error."""
    return reply.status, reply.json()["type"]
