"""Queries of the user's own, read from servers that know fewer words: every row comes, or one sentence says why not."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.harness.connector import config, run
from integration_tests.harness.in_process import URL, answers_from
from integration_tests.harness.visits import (
    COLUMNS,
    VISITS,
    configured,
    due,
    last_state,
    posthog_with_visits,
    read,
    uuid,
)
from posthog_server import Age, Fault, PostHog, Seen, account_with, event
from posthog_server.clickhouse import ClickHouse
from posthog_server.traffic import error_body


@pytest.fixture
def posthog(clickhouse: ClickHouse) -> Iterator[PostHog]:
    one = posthog_with_visits(clickhouse)
    with answers_from(one):
        yield one


# --- a modifier that is not known


def without_modifiers(posthog: PostHog) -> Fault:
    """Let `posthog` refuse each query with modifiers, in the many words of a server of January 2024."""
    words = (
        "170 validation errors for QuerySchema\nDataVisualizationNode.kind\n  Input should be 'DataVisualizationNode'"
        + "\n  Extra inputs are not permitted" * 400
        + "\nHogQLQuery.modifiers.convertToProjectTimezone\n  Extra inputs are not permitted"
    )

    def has_modifiers(seen: Seen) -> bool:
        return seen.stream == "query" and "modifiers" in seen.body["query"]

    body = error_body(400, "parse_error", words)
    return posthog.faults.add(Fault(when=has_modifiers, times=None, status=400, body=body))


def test_a_query_with_modifiers_that_are_not_known_is_asked_again_without_them_once_a_sync(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    refused = without_modifiers(posthog)
    for project in (7, 8):
        posthog.account.projects[project].settings["timezone"] = "America/New_York"
    output = read(VISITS, incremental=True, num_workers=2)
    assert output.errors == []
    assert {row["at"][-6:] for row in output.records("visits")} == {"-05:00"}
    in_utc = {(row["id"], row["n"], row["project_id"]) for row in output.records("visits")}
    assert in_utc == {(id, n, project) for id, _, n, project in due(clickhouse, 7, 8)}
    assert refused.used == 1
    assert len([line for line in output.logs if "does not know the modifiers" in line]) == 1
    again = read(VISITS, incremental=True, state=output.state)
    assert {row["n"] for row in again.records("visits")} == {129, 78}


def test_a_query_that_is_wrong_itself_is_refused_for_that(posthog: PostHog) -> None:
    without_modifiers(posthog)
    wrong = {**VISITS, "query": "SELECT id, at, colour FROM visits"}
    status, message = run("check", config=config(URL, queries=[wrong])).connection
    assert status == "FAILED"
    assert 'PostHog refuses the query ("Unable to resolve field: colour")' in message


def test_a_request_that_is_refused_for_its_form_without_modifiers_too_is_named(posthog: PostHog) -> None:
    body = error_body(400, "parse_error", "1 validation error: query, values and modifiers are none")
    posthog.faults.add(Fault(stream="query", times=None, status=400, body=body))
    output = read(VISITS)
    assert 'PostHog refuses the query ("1 validation error: query, values and modifiers are none")' in output.errors[0]
    assert not any("does not know the modifiers" in line for line in output.logs)


def test_events_by_query_are_read_without_modifiers_too(posthog: PostHog) -> None:
    posthog.account.projects[7].settings["timezone"] = "America/New_York"
    posthog.account.projects[7].add_events(event(f"2026-01-{day:02d}T12:00:00.000001Z") for day in range(1, 29))
    refused = without_modifiers(posthog)
    output = run("read", config=config(URL, events_api="query", num_workers=2), catalog=configured("events"))
    assert output.errors == []
    assert {row["timestamp"] for row in output.records("events")} == {
        f"2026-01-{day:02d}T12:00:00.000001+00:00" for day in range(1, 29)
    }
    assert refused.used <= 2  # by each worker once


# --- a server of January 2024, as it is


def old_posthog(clickhouse: ClickHouse, query_cap: int = 20) -> PostHog:
    made = account_with({7: [], 8: []})
    for project in made.projects.values():
        project.settings["timezone"] = "America/New_York"
    return PostHog(made, clickhouse=clickhouse, query_cap=query_cap, age=Age.JANUARY_2024)


def moments(*numbers: int) -> list[list[Any]]:
    """Seven to a millisecond, of which the first in a second has no fraction; their ids have another order."""
    return [[uuid(n), f"2026-01-01T00:00:{n // 70:02d}.{n // 7 % 10:03d}{n % 7:03d}Z", n] for n in numbers]


@pytest.mark.parametrize(
    ("key", "incremental"), [(["id"], False), (["at", "id"], False), (["id"], True)], ids=["id", "instant", "cursor"]
)
def test_every_row_of_a_server_that_shows_milliseconds_comes_once(
    clickhouse: ClickHouse, key: list[str], incremental: bool
) -> None:
    for project, numbers in ((7, range(200)), (8, range(90))):
        clickhouse.table(project, "visits", COLUMNS, moments(*numbers))
    query = {**VISITS, "primary_key": key, "query": "SELECT * FROM visits"}
    with answers_from(old_posthog(clickhouse)):
        output = read(query, incremental=incremental)
        assert output.errors == []
        found = Counter((row["project_id"], row["n"]) for row in output.records("visits"))
        assert found == Counter([*((7, n) for n in range(200)), *((8, n) for n in range(90))])
        if incremental:
            clickhouse.table(7, "visits", COLUMNS, moments(*range(203)))
            second = read(query, incremental=True, state=output.state)
            # All of the millisecond that the state names, and what is new.
            assert {row["n"] for row in second.records("visits") if row["project_id"] == 7} == set(range(196, 203))
            assert last_state(second)["7"] == {"at": "2025-12-31T19:00:02.008-05:00"}


@pytest.mark.parametrize(
    "seed", [seed if seed < 4 else pytest.param(seed, marks=pytest.mark.only_long) for seed in range(8)]
)
def test_every_row_of_random_tables_comes_once_from_a_server_that_shows_milliseconds(
    clickhouse: ClickHouse, seed: int
) -> None:
    rng = random.Random(seed)
    numbers = rng.sample(range(700), 150)
    clickhouse.table(7, "visits", COLUMNS, moments(*numbers))
    clickhouse.table(8, "visits", COLUMNS, [])
    key = rng.choice([["id"], ["at", "id"], ["n", "at"], ["at", "n"]])
    query = {**VISITS, "query": "SELECT * FROM visits", "primary_key": key}
    with answers_from(old_posthog(clickhouse, query_cap=rng.choice([8, 10, 30]))):
        for incremental in (False, True):
            output = read(query, incremental=incremental)
            assert output.errors == [], (key, incremental)
            assert Counter(row["n"] for row in output.records("visits")) == Counter(numbers), (key, incremental)


def test_more_rows_in_a_millisecond_than_a_page_holds_are_a_sentence_that_says_what_the_server_does(
    clickhouse: ClickHouse,
) -> None:
    for project in (7, 8):
        clickhouse.table(project, "visits", COLUMNS, moments(*range(70)))
    with answers_from(old_posthog(clickhouse, query_cap=5)):
        query = {**VISITS, "query": "SELECT * FROM visits"}
        output = read(query, incremental=True)
        assert "since this PostHog server cuts timestamps to milliseconds" in output.errors[0]
        way_out = {**query, "query": "SELECT *, toString(at) AS at_digits FROM visits", "cursor_field": "at_digits"}
        assert Counter(row["n"] for row in read(way_out, incremental=True).records("visits")) == Counter(
            2 * [*range(70)]
        )


def test_no_row_depends_on_a_person_that_the_query_does_not_ask_for(clickhouse: ClickHouse) -> None:
    """What the connector puts around a query names its columns and nothing else."""
    made = account_with({7: [event(f"2026-01-01T00:00:{n:02d}Z", distinct_id=f"nobody-{n}") for n in range(60)]})
    query = {
        "name": "seen",
        "query": "SELECT uuid, timestamp, distinct_id FROM events",
        "primary_key": ["uuid"],
        "cursor_field": "timestamp",
    }
    for age in Age:
        with answers_from(PostHog(made, clickhouse=clickhouse, query_cap=20, age=age)):
            for incremental in (False, True):
                output = read(query, incremental=incremental)
                assert output.errors == []
                assert {row["distinct_id"] for row in output.records("seen")} == {f"nobody-{n}" for n in range(60)}
