"""Queries of the user's own, read from servers that know fewer words: every row comes, or one sentence says why not."""

from collections.abc import Iterator

import pytest

from integration_tests.clickhouse import ClickHouse
from integration_tests.connector import config, run
from integration_tests.in_process import URL, answers_from
from integration_tests.posthog_server import Fault, PostHog, Seen, event
from integration_tests.posthog_server.traffic import error_body
from integration_tests.visits import VISITS, configured, due, posthog_with_visits, read


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
