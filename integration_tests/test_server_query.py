"""The embedded PostHog itself: `POST /query/` with an EventsQuery, and the count of a range."""

from functools import partial
from typing import Any

import pytest

from integration_tests.harness.asking import ARRIVED, PATH, START, asked, column, counted, identifier, posthog, refusal
from posthog_server import (
    DAY,
    KEY,
    SECOND,
    Event,
    PostHog,
    Project,
    account,
    account_with,
    event,
    isoformat,
    microseconds,
)
from posthog_server.data import EventTable

COLUMNS = [
    *("uuid", "event", "properties", "timestamp", "distinct_id"),
    *("elements_chain", "person", "person_id", "created_at"),
]


def in_zone(name: str, *events: Event) -> PostHog:
    return PostHog(account(Project(7, events=EventTable(events), settings={"timezone": name})))


# --- bounds, order and pages


def test_both_bounds_are_exclusive_at_the_microsecond() -> None:
    server = posthog([event(START + place, identifier(place)) for place in range(4)])
    assert column(asked(server, after=isoformat(START), before=isoformat(START + 3))) == [identifier(2), identifier(1)]


def test_without_after_only_the_last_day_is_read() -> None:
    server = posthog([event(START - hours * 3600 * SECOND, identifier(hours)) for hours in (1, 23, 25)])
    server.clock = partial(float, START / SECOND)
    assert column(asked(server, after=None)) == [identifier(1), identifier(23)]


def test_a_date_that_does_not_parse_silently_becomes_now() -> None:
    server = posthog([event(START, identifier(1))])
    server.clock = partial(float, START / SECOND - 1)
    assert column(asked(server, after="2026-10-01T00:00:00 00:00")) == [identifier(1)]


def test_the_newest_come_first_unless_asked_otherwise() -> None:
    server = posthog([event(START + place, identifier(place)) for place in range(3)])
    newest = [identifier(place) for place in (2, 1, 0)]
    assert column(asked(server)) == column(asked(server, orderBy=["timestamp DESC"])) == newest
    assert column(asked(server, orderBy=["timestamp ASC"])) == newest[::-1]


def test_the_default_limit_is_100_and_a_greater_one_than_the_greatest_is_clamped_and_echoed() -> None:
    server = posthog([event(START + place) for place in range(150)])
    shown = []
    for limit in (None, 149, 150, 10_000, 50_001):
        body = asked(server, limit=limit).json()
        shown.append((len(body["results"]), body["limit"], body["hasMore"], body["offset"]))
    assert shown == [
        (100, 100, True, 0),
        (149, 149, True, 0),
        (150, 150, False, 0),
        (150, 10_000, False, 0),
        (150, 50_000, False, 0),
    ]


def test_at_its_greatest_limit_the_server_says_that_there_is_no_more() -> None:
    body = asked(posthog([event(START + place) for place in range(30)], query_cap=20), limit=10_000).json()
    assert (len(body["results"]), body["limit"], body["hasMore"]) == (20, 20, False)


def test_has_more_is_true_to_the_rows_where_the_list_would_stop_at_a_span() -> None:
    events = [event(START + 30 * DAY + place) for place in range(60)] + [event(START)]
    assert asked(posthog(events), limit=60).json()["hasMore"] is True
    assert asked(posthog(events), limit=61).json()["hasMore"] is False


def test_the_next_cursor_tells_ties_apart_by_id() -> None:
    server = posthog([event(START + 1, identifier(place)) for place in range(5)] + [event(START, identifier(9))])
    first = asked(server, limit=3)
    assert first.json()["nextCursor"] == f"2026-10-01T00:00:00.000001Z|{identifier(2)}"
    second = asked(server, limit=3, before=first.json()["nextCursor"])
    assert column(first) + column(second) == [identifier(place) for place in (4, 3, 2, 1, 0, 9)]
    assert second.json()["nextCursor"] is None


def test_where_ties_come_in_any_order_the_next_cursor_skips_them() -> None:
    events = [event(START + 1, identifier(place)) for place in range(5)] + [event(START, identifier(9))]
    server = posthog(events, any_tie_order=True)
    first = asked(server, limit=3)
    second = asked(server, limit=3, before=first.json()["nextCursor"])
    assert (len(column(first)), column(second)) == (3, [identifier(9)])


def test_an_unmerged_event_comes_twice_in_one_page_or_at_the_edge_of_two() -> None:
    server = posthog([event(START + place, identifier(place), unmerged=place == 1) for place in range(3)])
    assert column(asked(server)) == [identifier(place) for place in (2, 1, 1, 0)]
    assert column(asked(server, limit=2)) == [identifier(2), identifier(1)]
    assert column(asked(server, limit=2, before=isoformat(START + 2))) == [identifier(1), identifier(1)]


def test_rows_that_are_not_visible_yet_are_neither_read_nor_counted() -> None:
    server = posthog([event(START, identifier(1)), event(START, identifier(2), visible_at=START + DAY)])
    seen = []
    for at in (START + DAY - 1, START + DAY):
        server.clock = partial(float, at / SECOND)
        seen.append((len(column(asked(server))), counted(server).json()["results"]))
    assert seen == [(1, [[1]]), (2, [[2]])]


# --- what is selected


def test_a_row_is_an_array_in_the_order_that_was_selected() -> None:
    person = {"id": "u", "uuid": "u", "distinct_ids": ["ann", "b"], "properties": {"email": "a@b.c", "plan": 1}}
    one = event(
        "2026-10-05T10:00:00.120000Z",
        identifier(1),
        event="paid",
        distinct_id="ann",
        properties={"huge": 2**70, "half": "\ud83d", "float": 1e300},
        elements_chain="a",
        created_at="2026-10-06T00:00:00Z",
    )
    server = PostHog(account_with({7: [one]}, persons=[{**person, "created_at": "2026-01-01T00:00:00.5Z"}]))
    body = asked(server, select=COLUMNS).json()
    assert body["columns"] == COLUMNS
    assert len(body["types"]) == len(COLUMNS)
    assert body["results"] == [
        [
            identifier(1),
            "paid",
            '{"huge":1180591620717411303424,"half":"\\ud83d","float":1e+300}',
            "2026-10-05T10:00:00.120000Z",
            "ann",
            "a",
            {
                "uuid": "u",
                "created_at": "2026-01-01T00:00:00.5Z",
                "properties": {"email": "a@b.c", "plan": 1},
                "distinct_id": "ann",
            },
            "u",
            "2026-10-06T00:00:00Z",
        ]
    ]
    assert asked(server, select=["event", "uuid"]).json()["results"] == [["paid", identifier(1)]]


def test_an_event_without_a_person_has_an_id_of_one_all_the_same() -> None:
    body = asked(posthog([event(START, distinct_id="nobody")]), select=["person", "person_id"]).json()
    [[person, person_id]] = body["results"]
    assert (person, len(person_id)) == ({"distinct_id": "nobody"}, 36)


def test_a_star_adds_properties_of_its_own() -> None:
    [everything] = column(asked(posthog([event(START, identifier(1), properties={"a": 1})]), select=["*"]))
    assert everything["properties"] == {"a": 1, "$has_recording": False}
    assert everything["uuid"] == identifier(1)


@pytest.mark.parametrize(
    "changes",
    [
        {"select": ["uuid", "$session_id"]},
        {"select": []},
        {"select": None},
        {"select": "uuid"},
        {"where": ["lower(event) = 'paid'"]},
        {"where": ARRIVED},
        {"orderBy": ["uuid"]},
        {"orderBy": ["timestamp DESC", "uuid"]},
        {"limit": 0},
        {"limit": "100"},
        {"offset": 100},
        {"offset": 0},
        {"kind": "TrendsQuery"},
        {"kind": "HogQLQuery"},
        {"modifiers": {"unheardOf": True}},
        {"modifiers": "x"},
        {"unheardOf": 1},
    ],
    ids=str,
)
def test_what_the_server_does_not_know_is_a_400(changes: dict[str, Any]) -> None:
    assert refusal(asked(posthog([]), **changes)) == (400, "validation_error")


@pytest.mark.parametrize("body", [None, [], {}, {"query": "SELECT 1"}, {"query": {}, "unheardOf": 1}], ids=str)
def test_a_body_that_is_no_query_is_a_400(body: object) -> None:
    assert refusal(posthog([]).post(PATH, body)) == (400, "validation_error")


def test_a_body_that_is_not_json_or_not_posted_is_refused() -> None:
    server = posthog([])
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    assert server.handle("POST", PATH, "", headers, b"{").status == 400
    assert server.handle("POST", PATH, "", {**headers, "Content-Type": "text/plain"}, b"{}").status == 415
    assert server.handle("GET", PATH, "", headers).status == 405
    assert server.post("/api/projects/7/events/", {}).status == 405
    assert asked(server, refresh="sometimes").status == 400


# --- where


@pytest.mark.parametrize("by_id", ["endsWith(toString(uuid), '3')", "toString(uuid) like '%3'"])
def test_all_conditions_must_hold(by_id: str) -> None:
    late = microseconds("2026-11-02T00:00:00Z")
    server = posthog([event(START, identifier(number), created_at=late * (number > 9)) for number in range(32)])
    assert column(asked(server, where=[by_id, ARRIVED])) == [identifier(0x13)]
    assert set(column(asked(server, where=[by_id]))) == {identifier(0x3), identifier(0x13)}


def test_a_server_can_know_no_arrival() -> None:
    server = posthog([], without_created_at_filter=True)
    assert asked(server, where=[ARRIVED]).status == 400
    assert asked(server, where=["endsWith(toString(uuid), '3')"]).status == 200


# --- time zones


@pytest.mark.parametrize(
    ("zone", "at", "shown"),
    [
        ("Asia/Tokyo", "2026-10-05T10:00:00Z", "2026-10-05T19:00:00+09:00"),
        ("Europe/Berlin", "2026-10-25T00:59:59.000001Z", "2026-10-25T02:59:59.000001+02:00"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00+01:00"),
        ("UTC", "2026-10-05T10:00:00Z", "2026-10-05T10:00:00Z"),
    ],
)
def test_timestamps_are_in_the_projects_zone_unless_the_modifier_says_utc(zone: str, at: str, shown: str) -> None:
    server = in_zone(zone, event(at))
    selected = ["timestamp", "created_at"]
    assert asked(server, select=selected, modifiers=None).json()["results"] == [[shown, shown]]
    assert asked(server, select=selected).json()["results"] == [[at, at]]


def test_a_date_without_a_zone_is_read_in_the_projects() -> None:
    midnight_in_tokyo = microseconds("2026-10-04T15:00:00Z")
    server = in_zone("Asia/Tokyo", *(event(midnight_in_tokyo + place, identifier(place)) for place in range(3)))
    assert column(asked(server, after="2026-10-05")) == [identifier(2), identifier(1)]
    assert column(asked(server, before="2026-10-05T00:00:00.000001")) == [identifier(0)]
    assert server.requests[0].after == midnight_in_tokyo
