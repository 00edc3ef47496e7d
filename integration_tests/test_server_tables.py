"""The embedded PostHog itself: the tables that HogQL finds beside events and persons, and their odd ways."""

from typing import Any

import pytest

from integration_tests.harness.asking import PATH, UTC, identifier, refusal
from posthog_server import Age, Event, EventTable, PostHog, Project, Reply, account, event
from posthog_server.clickhouse import ClickHouse


def ask(server: PostHog, sql: str) -> Reply:
    modifiers = {} if server.age.is_of_2024 else {"modifiers": UTC}
    return server.post(PATH, {"query": {"kind": "HogQLQuery", "query": sql, **modifiers}, "refresh": "force_blocking"})


def rows(server: PostHog, sql: str) -> list[list[Any]]:
    reply = ask(server, sql)
    assert reply.status == 200, reply.body
    found: list[list[Any]] = reply.json()["results"]
    return found


def visit(minute: int, name: str = "$pageview", *, session: str = "a", arrived: str = "", **properties: Any) -> Event:
    at = f"2026-01-02T10:{minute:02d}:00Z"
    given = {"$session_id": session, "$current_url": f"https://shop.test/{minute}", **properties}
    return event(at, event=name, distinct_id=f"user-{minute}", properties=given, created_at=arrived or at)


@pytest.fixture
def server(clickhouse: ClickHouse) -> PostHog:
    return PostHog(account(Project(7)), clickhouse=clickhouse)


def test_a_session_is_made_of_its_events(server: PostHog) -> None:
    events = [
        visit(5, utm_source="news"),
        visit(7, "$autocapture"),
        visit(9),
        visit(8, session="b"),
        event("2026-01-02"),
    ]
    server.account.projects[7].add_events(events)
    sql = "SELECT session_id, distinct_id, $start_timestamp, $end_timestamp, max_inserted_at, $session_duration, "
    sql += "$pageview_count, $autocapture_count, $entry_utm_source, $entry_pathname, $end_current_url FROM sessions"
    first, last = "2026-01-02T10:05:00Z", "2026-01-02T10:09:00Z"
    assert rows(server, f"{sql} WHERE session_id = 'a'") == [
        ["a", "user-5", first, last, last, 240, 2, 1, "news", "/5", "https://shop.test/9"]
    ]
    assert rows(server, "SELECT count() FROM sessions") == [[2]]


def test_a_late_event_changes_the_row_of_its_session(server: PostHog) -> None:
    sql = "SELECT $start_timestamp, $pageview_count, max_inserted_at FROM sessions"
    server.account.projects[7].add_events([visit(5)])
    assert rows(server, sql) == [["2026-01-02T10:05:00Z", 1, "2026-01-02T10:05:00Z"]]
    server.account.projects[7].add_events([visit(3, arrived="2026-01-09T00:00:00Z")])
    assert rows(server, sql) == [["2026-01-02T10:03:00Z", 2, "2026-01-09T00:00:00Z"]]


def test_members_that_were_put_in_by_hand_are_in_a_table_of_their_own_and_can_come_twice(
    clickhouse: ClickHouse,
) -> None:
    computed, by_hand = ({"person_id": identifier(n), "cohort_id": n, "is_static": n == 2} for n in (1, 2))
    one = Project(7, extra={"cohort_members": [computed, by_hand, by_hand]})
    for age in Age:
        server = PostHog(account(one), clickhouse=clickhouse, age=age)
        assert rows(server, "SELECT cohort_id, person_id FROM cohort_people") == [[1, identifier(1)]]
        assert rows(server, "SELECT cohort_id, person_id FROM static_cohort_people") == 2 * [[2, identifier(2)]]


def test_tables_of_the_system_have_the_rows_of_postgres(server: PostHog) -> None:
    issue = {"id": identifier(1), "status": "active", "name": "TypeError", "created_at": "2026-01-02T00:00:00.5Z"}
    server.account.projects[7].extra["error_tracking_issues"] = [issue]
    body = ask(server, "SELECT * FROM system.error_tracking_issues").json()
    assert body["columns"] == ["id", "team_id", "status", "name", "description", "created_at"]
    assert body["results"] == [[identifier(1), 7, "active", "TypeError", None, "2026-01-02T00:00:00.500000Z"]]


@pytest.mark.parametrize(
    ("age", "name", "detail"),
    [
        (Age.JANUARY_2024, "sessions", 'Unknown table "sessions".'),
        (Age.JANUARY_2024, "system.error_tracking_issues", 'Unknown table "system".'),
        (Age.CLOUD, "system.nothing", "Unknown table `system.nothing`."),
    ],
)
def test_a_table_that_the_age_does_not_have_is_named(clickhouse: ClickHouse, age: Age, name: str, detail: str) -> None:
    server = PostHog(account(Project(7, events=EventTable([visit(1)]))), clickhouse=clickhouse, age=age)
    reply = ask(server, f"SELECT 1 FROM {name}")
    assert (reply.status, reply.json()["detail"]) == (400, detail)
    assert refusal(reply) == (400, "validation_error")
