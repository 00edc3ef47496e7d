"""The embedded PostHog itself: when its event list sees an event, and what it refuses. `POST /query/` is next door."""

import random
from functools import partial

import pytest

from integration_tests.harness.asking import ARRIVED, START, identifier, ids, listed, posthog
from posthog_server import (
    DAY,
    KEY,
    SECOND,
    account_with,
    event,
    make_events,
    microseconds,
)
from posthog_server.event_list import ListQuery, select
from posthog_server.hogql import Dialect, Where, where
from posthog_server.traffic import Refusal

ENDS_IN_3 = "toString(uuid) like '%3'"


# --- arrival


@pytest.mark.parametrize(("comparison", "found"), [(">=", {1, 2}), (">", {2}), ("<", {0}), ("<=", {0, 1})])
def test_the_list_is_filtered_by_arrival(comparison: str, found: set[int]) -> None:
    border = microseconds("2026-11-01T00:00:00Z")
    server = posthog([event(START, identifier(place), created_at=border + place - 1) for place in range(3)])
    reply = listed(server, ARRIVED.replace(">=", comparison))
    assert set(ids(reply)) == {identifier(place) for place in found}


@pytest.mark.parametrize(
    "expressions", [(ARRIVED, ENDS_IN_3), (f"{ENDS_IN_3} AND {ARRIVED}",)], ids=["two filters", "one filter"]
)
def test_arrival_and_the_end_of_the_id_are_asked_together(expressions: tuple[str, ...]) -> None:
    late = microseconds("2026-11-02T00:00:00Z")
    server = posthog(
        [
            event(START, identifier(number), created_at=at)
            for number in range(32)
            for at in (late if number > 9 else START,)
        ]
    )
    assert set(ids(listed(server, *expressions))) == {identifier(0x13)}


def test_an_event_arrives_at_its_own_timestamp_where_nothing_else_is_said() -> None:
    assert event("2026-11-01T00:00:00Z").created_at == microseconds("2026-11-01T00:00:00Z")
    late = event(START, created_at="2026-11-01T00:00:00.000001Z", visible_at="2026-11-01T00:01:00Z")
    assert (late.created_at - microseconds("2026-11-01T00:00:00Z"), late.visible_at) == (
        1,
        microseconds("2026-11-01T00:01:00Z"),
    )


def test_the_arrival_is_not_in_the_row() -> None:
    reply = listed(posthog([event(START, created_at=START + DAY)]))
    assert "created_at" not in reply.json()["results"][0]


def test_events_become_visible_by_the_servers_clock_and_not_in_the_order_of_their_arrival() -> None:
    now = START + DAY
    server = posthog(
        [
            event(START, identifier(1), created_at=now, visible_at=now + 60 * SECOND),
            event(START + 1, identifier(2), created_at=now + SECOND, visible_at=now + 5 * SECOND),
            event(START + 2, identifier(3)),
        ]
    )
    seen = []
    for later in (4, 5, 60):
        server.clock = partial(float, now / SECOND + later)
        seen.append(ids(listed(server)))
    assert seen == [[identifier(3)], [identifier(3), identifier(2)], [identifier(number) for number in (3, 2, 1)]]


def test_made_events_arrive_and_become_visible_at_random_within_what_is_asked_for() -> None:
    made = make_events(200, random.Random(1), span=600 * SECOND, late=DAY, lag=600 * SECOND)
    assert all(one.at <= one.created_at <= one.at + DAY for one in made)
    assert all(one.created_at <= one.visible_at <= one.created_at + 600 * SECOND for one in made)
    by_arrival = sorted(made, key=lambda one: one.created_at)
    assert by_arrival != sorted(made, key=lambda one: one.visible_at)
    plain = make_events(200, random.Random(1), created_at=START)
    assert {(one.created_at, one.visible_at) for one in plain} == {(START, -1)}


def test_a_page_can_be_had_without_http() -> None:
    project = account_with({7: make_events(50, random.Random(1), start=START, span=DAY, late=DAY)}).projects[7]
    border = START + DAY
    query = ListQuery(after=START - 1, before=START + DAY, limit=10, where=Where(created_start=border))
    events, more = select(project, query, random.Random(2))
    late = sorted((one for one in project.events if one.created_at >= border), key=lambda one: -one.at)
    assert (events, more) == (late[:10], True)
    assert select(project, ListQuery(after=0, before=START + DAY, limit=1000, now=0), random.Random(2))[0] != []


def test_an_unmerged_event_comes_twice_also_at_the_edge_of_two_pages() -> None:
    server = posthog([event(START + place, identifier(place), unmerged=True) for place in range(3)], cap=3)
    first = listed(server)
    assert ids(first) == [identifier(2), identifier(2), identifier(1)]
    assert first.json()["next"] is not None
    assert ids(listed(server, before=START + 2)) == [identifier(1), identifier(1), identifier(0)]


# --- servers that know less, and slow ones


@pytest.mark.parametrize(
    "expression",
    [
        "created_at >= '2026-11-01'",
        "created_at >= toDateTime64('2026-13-01T00:00:00', 6, 'UTC')",
        "created_at >= toDateTime64('2026-11-01T00:00:00Z', 6, 'UTC')",
        "created_at = toDateTime64('2026-11-01T00:00:00', 6, 'UTC')",
        f"not ({ARRIVED})",
        "lower(event) = 'paid'",
        "",
    ],
)
def test_an_expression_that_the_server_does_not_know_is_refused(expression: str) -> None:
    reply = listed(posthog([]), expression)
    assert (reply.status, reply.json()["type"]) == (400, "validation_error")


def test_a_server_from_before_2023_refuses_every_hogql_filter() -> None:
    server = posthog([event(START)], without_hogql_filter=True)
    assert [listed(server, *given).status for given in ((), (ENDS_IN_3,), (ARRIVED,))] == [200, 400, 400]


def test_a_server_can_know_the_filter_by_id_but_not_by_arrival() -> None:
    server = posthog([event(START)], without_created_at_filter=True)
    asked = ((), (ENDS_IN_3,), (ARRIVED,), (f"{ENDS_IN_3} and {ARRIVED}",))
    assert [listed(server, *given).status for given in asked] == [200, 200, 400, 400]


def test_filters_say_what_they_mean_to_both_ways_to_ask() -> None:
    assert where([ENDS_IN_3, f"endsWith(toString(uuid), '43') and {ARRIVED}"]) == Where(
        like=("%3", "%43"), created_start=microseconds("2026-11-01T00:00:00Z")
    )
    with pytest.raises(Refusal):
        where([ARRIVED], Dialect(knows_created_at=False))


def test_a_range_that_is_longer_than_the_server_can_do_is_too_slow() -> None:
    server = posthog([event(START)], longest_range=3600)
    statuses = [listed(server, before=START + 3600 * SECOND + more).status for more in (0, 1)]
    assert statuses == [200, 504]


@pytest.mark.parametrize("status", [504, 512, 513])
def test_a_range_with_more_events_than_the_server_can_do_is_refused(status: int) -> None:
    server = posthog([event(START + place) for place in range(5)], most_rows_scanned=4, scan_status=status)
    assert listed(server).status == status
    assert listed(server, before=START + 4).status == 200


def test_the_list_can_be_gone() -> None:
    reply = listed(posthog([], without_event_list=True))
    assert (reply.status, reply.json()["detail"]) == (404, "Endpoint not found.")
    assert posthog([], without_event_list=True).get("/api/projects/", KEY).status == 200
