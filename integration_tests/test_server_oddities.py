"""The embedded PostHog itself: faults and oddities of some servers and accounts, which tests can have on order."""

import random
from typing import Any

import pytest

from integration_tests.harness.asking import PATH, START, UTC, asked, column, counted, identifier, ids, listed, posthog
from posthog_server import (
    DAY,
    SECOND,
    Age,
    Event,
    EventTable,
    Fault,
    PostHog,
    Project,
    account,
    account_with,
    event,
    from_cache,
    isoformat,
    make_rows,
    microseconds,
    more_without_rows,
    query_error,
    rewrite,
)
from posthog_server.clickhouse import ClickHouse

HOUR = 3600 * SECOND


def of_zone(zone: str, events: list[Event], **options: Any) -> PostHog:
    project = Project(7, events=EventTable(events), settings={"timezone": zone})
    return PostHog(account(project), **options)


def of_events(server: PostHog, select: str, **fields: Any) -> list[Any]:
    query = {"kind": "HogQLQuery", "query": f"SELECT {select} FROM events ORDER BY uuid", "modifiers": UTC, **fields}
    return column(server.post(PATH, {"query": query, "refresh": "force_blocking"}))


# --- the time-zone fault


@pytest.mark.parametrize(
    ("zone", "shown"), [("UTC", 0), ("Asia/Tokyo", 9), ("America/Los_Angeles", -7), ("Asia/Kolkata", 5.5)]
)
@pytest.mark.parametrize("faulty", ["events", "query"])
def test_the_wall_time_is_shown_as_utc_while_bounds_stay_true(
    zone: str, shown: float, faulty: str, clickhouse: ClickHouse
) -> None:
    events = [event(START + place, identifier(place)) for place in range(3)]
    server = of_zone(zone, events, wall_time=[faulty], clickhouse=clickhouse)
    by_way = {
        "events": [microseconds(row["timestamp"]) for row in listed(server, before=START + 2).json()["results"]],
        "query": [microseconds(at) for at in column(asked(server, select=["timestamp"], before=isoformat(START + 2)))],
    }
    wrong = int(START + shown * HOUR)
    for way, found in by_way.items():
        first = wrong if way == faulty else START
        assert found == [first + 1, first]
    [at] = of_events(server, "min(timestamp) AS uuid")
    assert microseconds(at) == (wrong if faulty == "query" else START)


def test_a_reader_that_pages_by_what_it_sees_loses_what_the_clocks_differ_by_at_each_page() -> None:
    """8 hours behind UTC, 3,000 events in two days: 1,000 are lost, 500 at each of two pages."""
    apart = 8 * HOUR // 500
    events = [event(START + 60 * DAY + place * apart, identifier(place)) for place in range(3000)]
    server = of_zone("America/Los_Angeles", events, wall_time=["events"])
    read: set[str] = set()
    before = START + 80 * DAY
    while page := listed(server, before=before).json()["results"]:
        read |= {row["id"] for row in page}
        before = min(microseconds(row["timestamp"]) for row in page)
    assert len(read) == 2000


# --- ties


@pytest.mark.parametrize("oldest_first", [False, True])
def test_ties_are_in_the_order_of_their_ids_as_clickhouse_orders_them(oldest_first: bool) -> None:
    """By the second half of the id first; in the direction of the timestamps."""
    low, middle = "ffffffff-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    high = "11111111-0000-4000-8000-000000000002"
    server = posthog([event(START, id) for id in (middle, high, low)])
    expected = [low, middle, high] if oldest_first else [high, middle, low]
    order = ["timestamp ASC" if oldest_first else "timestamp DESC"]
    for limit in (1, 2, 3):
        assert column(asked(server, orderBy=order, limit=limit)) == expected[:limit]
    if not oldest_first:
        assert ids(listed(server)) == expected


@pytest.mark.parametrize("options", [{"any_tie_order": True}, {"age": Age.JANUARY_2024}], ids=str)
def test_on_older_servers_the_order_of_ties_differs_from_request_to_request(options: dict[str, Any]) -> None:
    server = posthog([event(START, identifier(place)) for place in range(20)], **options)
    assert len({tuple(ids(listed(server))) for _ in range(20)}) > 1
    assert len({tuple(column(asked(server, modifiers=None, limit=5))) for _ in range(20)}) > 1


# --- two events with one id


def test_two_events_with_one_id_are_two_rows_everywhere(clickhouse: ClickHouse) -> None:
    """They differ in their day, name or distinct_id; what is equal in these and in the id is one event, unmerged."""
    twins = [
        event(START, identifier(1), event="a", distinct_id="ann"),
        event(START + DAY, identifier(1), event="a", distinct_id="ann"),
        event(START, identifier(1), event="b", distinct_id="ann"),
        event(START, identifier(1), event="a", distinct_id="bob"),
        event(START + 2 * DAY, identifier(2), unmerged=True),
    ]
    server = posthog(twins, clickhouse=clickhouse)
    expected = [identifier(2)] * 2 + [identifier(1)] * 4
    assert ids(listed(server)) == column(asked(server)) == expected
    assert of_events(server, "uuid") == sorted(expected)
    assert column(counted(posthog(twins, clickhouse=None))) == [3]
    rows = asked(server, select=["uuid", "event", "distinct_id", "timestamp"]).json()["results"]
    assert len({(*row[:3], row[3][:10]) for row in rows}) == 5


# --- retention


@pytest.mark.parametrize("enforced", [True, False])
def test_events_older_than_a_retention_that_is_enforced_are_gone(enforced: bool, clickhouse: ClickHouse) -> None:
    now = START + 400 * DAY
    events = [event(now - 370 * DAY, identifier(1)), event(now - 360 * DAY, identifier(2))]
    server = posthog(events, clickhouse=clickhouse, clock=lambda: now / SECOND)
    retention = {"event_retention_months": 12, "events_retention_enforced": enforced}
    server.account.projects[7].alone = retention
    expected = [identifier(2)] if enforced else [identifier(2), identifier(1)]
    assert ids(listed(server)) == expected
    assert column(asked(server, before=isoformat(now))) == expected
    assert of_events(server, "uuid") == expected[::-1]
    assert of_events(server, "count() AS uuid") == [len(expected)]
    alone = server.get("/api/projects/7/").json()
    assert retention.items() <= alone.items()


def test_only_a_project_by_itself_says_what_it_retains() -> None:
    server = posthog([])
    assert server.get("/api/projects/7/").json()["events_retention_enforced"] is False
    [row] = server.get("/api/projects/").json()["results"]
    assert not row.keys() & {"event_retention_months", "events_retention_enforced"}


# --- answers that contradict themselves


@pytest.mark.parametrize(
    ("trouble", "shown"),
    [
        (query_error("Memory limit"), {"error": "Memory limit", "results": [], "hasMore": False}),
        (from_cache(), {"error": None, "is_cached": True, "results": [[identifier(1)]]}),
        (more_without_rows(), {"error": None, "results": [], "hasMore": True}),
    ],
    ids=["error", "cached", "more without rows"],
)
def test_an_answer_can_contradict_itself_with_status_200(trouble: dict[str, Any], shown: dict[str, Any]) -> None:
    server = posthog([event(START, identifier(1))])
    server.faults.add(Fault(stream="query", **trouble))
    reply = asked(server)
    assert reply.status == 200
    assert shown.items() <= reply.json().items()
    assert column(asked(server)) == [identifier(1)]


def test_a_rewritten_answer_keeps_every_digit() -> None:
    server = posthog([event(START, properties={"huge": 2**70})])
    server.faults.add(Fault(stream="events", **rewrite(lambda answer: answer)))
    assert listed(server).json()["results"][0]["properties"] == {"huge": 2**70}


# --- annotations


def test_annotations_have_tags_and_can_be_of_a_tag() -> None:
    rows = make_rows("annotations", 20, random.Random(1))
    server = PostHog(account_with({7: []}, annotations=rows))
    found = server.get("/api/projects/7/annotations/?limit=1000").json()["results"]
    assert {type(row["tags"]) for row in found} == {list}
    assert any(row["scope"] == "tag" and row["tags"] for row in found)
    assert any(row["scope"] == "project" and not row["tags"] for row in found)
