"""The embedded PostHog itself: the limits of `POST /query/`, its cache, the count of a range, and what it remembers."""

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
import requests

from integration_tests.harness.asking import PATH, START, asked, counted, identifier, posthog, refusal
from posthog_server import (
    DAY,
    KEY,
    SECOND,
    Fault,
    Key,
    PostHog,
    PostHogServer,
    Reply,
    Seen,
    event,
    isoformat,
    make_events,
    too_many_queries,
)

# --- the cache


@pytest.mark.parametrize("forced", ["force_blocking", "force_async"])
def test_an_answer_is_repeated_from_the_cache_unless_it_is_forced(forced: str) -> None:
    server = posthog([event(START)])
    project = server.account.projects[7]
    shown = []
    for refresh in (None, "blocking", forced, None):
        body = asked(server, refresh=refresh).json()
        shown.append((len(body["results"]), body["is_cached"]))
        project.add_events([event(START)])
    assert shown == [(1, False), (1, True), (3, False), (3, True)]
    assert asked(server, refresh=None, limit=99).json()["is_cached"] is False


# --- limits


def while_queries_hold_their_places(server: PostHog, number: int, then: Callable[[], Reply]) -> Reply:
    """What `then` gives while `number` other queries of the project are under way."""
    holding, go_on = threading.Semaphore(0), threading.Event()

    def hold(seconds: float | None = None) -> bool:
        if threading.current_thread() is not threading.main_thread():
            holding.release()
            go_on.wait(10)
        return False

    threads = [threading.Thread(target=asked, args=(server,)) for _ in range(number)]
    with patch.object(server.closing, "wait", hold):
        for thread in threads:
            thread.start()
        for _ in threads:
            assert holding.acquire(timeout=10)
        try:
            return then()
        finally:
            go_on.set()
            for thread in threads:
                thread.join()


def test_three_queries_of_one_project_are_answered_at_once_and_a_fourth_is_refused() -> None:
    server = posthog([], fourth_query_wait=0.0)
    assert while_queries_hold_their_places(server, 2, lambda: asked(server)).status == 200
    assert server.max_queries_at_once == {7: 3}
    reply = while_queries_hold_their_places(server, 3, lambda: asked(server))
    assert reply.status == 429
    assert "Retry-After" not in reply.headers
    assert "Too many queries are running right now" in reply.json()["detail"]
    assert (server.max_queries_at_once, asked(server).status) == ({7: 4}, 200)
    server.faults.add(Fault(stream="query", **too_many_queries()))
    assert asked(server).body == reply.body


def test_queries_have_a_throttle_of_their_own() -> None:
    server = posthog([], cloud_throttles=True)
    for minute in range(10):
        server.clock = partial(float, 60 * minute)
        assert {asked(server).status for _ in range(240)} == {200}
    waits = [asked(server).headers["Retry-After"]]  # of the minute and the hour, the longer
    server.clock = partial(float, 600)
    waits.append(asked(server).headers["Retry-After"])
    assert waits == ["3060", "3000"]
    assert server.get("/api/projects/7/events/").status == 200


def test_more_queries_than_a_minute_allows_are_throttled_for_that_minute() -> None:
    server = posthog([], cloud_throttles=True, clock=partial(float, 0))
    statuses = [asked(server).status for _ in range(241)]
    assert statuses == [200] * 240 + [429]


def test_a_range_that_is_too_long_or_too_dense_is_refused_but_its_count_is_not() -> None:
    events = [event(START + place) for place in range(5)]
    slow = posthog(events, longest_range=3600)
    assert [asked(slow, before=isoformat(START + 3600 * SECOND + more)).status for more in (0, 1)] == [200, 504]
    for status in (504, 512, 513):
        dense = posthog(events, most_rows_scanned=4, scan_status=status)
        assert [asked(dense, limit=1).status, counted(dense).status] == [status, 200]
        assert asked(dense, before=isoformat(START + 4)).status == 200


def test_queries_need_their_scope_and_their_endpoint_can_be_gone() -> None:
    server = posthog([])
    server.account.add_key(Key("phx_limited", frozenset({"project:read"})))
    reply = asked(server, token="phx_limited")
    assert (reply.status, reply.json()["detail"]) == (403, "API key missing required scope 'query:read'")
    assert asked(server, path="/api/projects/8/query").json()["detail"] == "Project not found."
    reply = asked(posthog([], without_query=True))
    assert (reply.status, reply.json()["detail"]) == (404, "Endpoint not found.")


# --- counts


def test_a_range_is_counted_without_its_end_and_with_what_is_unmerged() -> None:
    events = [event(at) for at in (START - 1, START, START + DAY - 1, START + DAY)]
    server = posthog([*events, event(START + 1, unmerged=True)])
    body = counted(server).json()
    assert (body["results"], body["columns"], body["types"]) == ([[4]], ["count()"], [["count()", "UInt64"]])


@pytest.mark.parametrize(
    "sql", ["SELECT 1", "SELECT count() FROM events", "SELECT count() FROM events LIMIT 1 OFFSET 2"]
)
def test_any_other_hogql_is_a_400(sql: str) -> None:
    assert refusal(counted(posthog([]), sql=sql)) == (400, "validation_error")
    assert counted(posthog([]), start="2026-13-01T00:00:00").status == 400


# --- what the server remembers of its requests


def test_queries_are_a_stream_of_their_own_with_body_and_bounds() -> None:
    server = posthog(make_events(3, random.Random(1)))
    asked(server, limit=5)
    counted(server)
    server.post(PATH, {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}})

    def shown(seen: Seen) -> tuple[str, int | None, str, int, int, int]:
        return seen.stream, seen.project_id, seen.body["query"]["kind"], seen.after, seen.before, seen.status

    assert [shown(seen) for seen in server.requests] == [
        ("query", 7, "EventsQuery", START - 1, START + 31 * DAY, 200),
        ("query", 7, "HogQLQuery", START - 1, START + DAY, 200),
        ("query", 7, "HogQLQuery", 0, 0, 400),
    ]
    assert (server.count("query", 7), server.count("events")) == (3, 0)
    assert server.requests[0].body["query"]["limit"] == 5


def test_a_query_is_answered_on_a_socket_as_in_process() -> None:
    server = posthog([event(START, identifier(1))])
    body: Any = {
        "query": {"kind": "EventsQuery", "select": ["uuid"], "after": "2026-09-01"},
        "refresh": "force_blocking",
    }
    with PostHogServer(server) as running:
        reply = requests.post(f"{running.url}{PATH}", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
    assert reply.json()["results"] == [[identifier(1)]]
