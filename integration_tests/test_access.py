"""Keys that may not read everything, and projects that come and go: what is read, and what the user sees."""

import json
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from integration_tests.harness import in_process
from integration_tests.harness.connector import catalog, config, expected_keys, project_state, run, run_command
from posthog_server import (
    DAY,
    Fault,
    Key,
    PostHogServer,
    account_with,
    key_not_for_project,
    make_events,
    make_rows,
    microseconds,
    missing_scope,
    no_project_access,
    not_found,
    rewrite,
    wrong_key,
)
from posthog_server.api import STREAMS

START = microseconds("2026-10-01T00:00:00Z")
SCOPES = {
    "cohorts": "cohort:read",
    "feature_flags": "feature_flag:read",
    "persons": "person:read",
    "events": "query:read",
    "annotations": "annotation:read",
    "insights": "insight:read",
}


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    rng = random.Random(2)
    made = account_with(
        {project: make_events(60, rng, start=START, span=50 * DAY, project=project) for project in (7, 8)},
        cohorts={project: make_rows("cohorts", 3, rng, project) for project in (7, 8)},
        insights={project: make_rows("insights", 3, rng, project) for project in (7, 8)},
    )
    with PostHogServer(made) as running:
        yield running


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z", events_time_step=10)


@pytest.mark.parametrize("stream", SCOPES)
def test_a_stream_whose_scope_is_missing_fails_and_the_others_are_read_to_the_end(
    server: PostHogServer, stream: str
) -> None:
    server.posthog.account.add_key(Key("phx_limited", frozenset({"project:read", *SCOPES.values()} - {SCOPES[stream]})))
    output = read(server, api_key="phx_limited")
    assert output.status == 1
    assert f"'{SCOPES[stream]}'" in output.errors[0]
    assert "Add that scope to the key" in output.errors[0]
    assert f"Stream {stream}, project" in output.errors[0]
    expected = expected_keys(server.posthog.account)
    for other in STREAMS:
        assert output.stream_status(other) == ("INCOMPLETE" if other == stream else "COMPLETE")
        assert output.keys(other) == ([] if other == stream else expected[other])


def test_a_key_without_most_scopes_has_a_sentence_for_each_stream_and_one_for_the_sync(server: PostHogServer) -> None:
    missing = ("events", "feature_flags", "insights", "persons")
    scopes = {scope for stream, scope in SCOPES.items() if stream not in missing}
    server.posthog.account.add_key(Key("phx_limited", frozenset({"project:read", *scopes})))
    options = config(server.url, api_key="phx_limited", start_date="2026-10-01T00:00:00Z", events_time_step=10)
    output = run_command("read", config=options, catalog=catalog())
    *errors, summary = output.errors
    assert summary == "4 of 7 streams failed: events, feature_flags, insights and persons."
    assert len(errors) == 4
    for stream in missing:
        (error,) = [one for one in errors if one.startswith(f"Stream {stream}, projects 7 and 8")]
        assert error.count(f"'{SCOPES[stream]}'") == 1
    assert [log["message"] for log in output.of("LOG") if log["level"] in ("WARN", "ERROR", "FATAL")] == []
    assert "Traceback" not in output.text
    assert "outbound" not in output.text
    assert len(output.text) - sum(len(json.dumps(one)) for one in output.of("RECORD")) < 20_000


def test_a_project_that_refuses_events_is_asked_once_and_keeps_its_state(server: PostHogServer) -> None:
    fault = server.posthog.faults.add(Fault(stream="events", project_id=7, times=None, **no_project_access()))
    state = project_state(p7="2026-10-05T00:00:00Z")
    output = read(server, "events", state=state)
    assert output.status == 1
    assert output.keys("events") == [key for key in expected_keys(server.posthog.account)["events"] if key[0] == 8]
    assert output.states[-1]["7"] == {"timestamp": "2026-10-05T00:00:00Z"}
    assert fault.used <= 3  # for the first event, and for two windows at once
    (error, summary) = output.errors
    assert error.startswith("Stream events, project 7, window")
    assert summary == "1 of 1 streams failed: events."


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (no_project_access(), "You don't have access to the project."),
        (key_not_for_project(7), "API key does not have access to the requested project: ID 7."),
        (missing_scope("cohort:read"), "API key missing required scope 'cohort:read'"),
        (wrong_key(), "Personal API key found in request Authorization header is invalid."),
    ],
    ids=["no access", "key of another project", "scope", "key deleted meanwhile"],
)
def test_a_refusal_in_the_middle_of_a_sync_fails_it_after_all_else_was_read(
    server: PostHogServer, fault: dict[str, Any], reason: str
) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", project_id=7, times=None, **fault))
    output = read(server)
    assert output.status == 1
    (error,) = [error for error in output.errors if error.startswith("Stream cohorts, project 7")]
    assert reason in error
    expected = expected_keys(server.posthog.account)
    assert output.keys("cohorts") == [key for key in expected["cohorts"] if key[0] == 8]
    assert {stream: output.keys(stream) for stream in STREAMS if stream != "cohorts"} == {
        stream: expected[stream] for stream in STREAMS if stream != "cohorts"
    }


def test_a_wrong_key_is_told_apart_on_insights_although_it_is_a_403(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(stream="insights", times=None, **wrong_key("insights")))
    assert "does not accept the API key" in read(server, "insights").errors[0]


def test_a_wrong_key_ends_a_sync_at_once_with_one_sentence(server: PostHogServer) -> None:
    output = read(server, api_key="phx_wrong")
    assert output.status == 1
    assert len(output.errors) == 1
    assert "`api_key`" in output.errors[0]
    assert server.posthog.count() == 1


@pytest.mark.parametrize("stream", ["events", "cohorts", "insights"])
def test_a_project_that_disappears_is_skipped_with_a_warning_and_keeps_its_state(
    server: PostHogServer, stream: str
) -> None:
    gone = server.posthog.faults.add(Fault(stream="projects", project_id=7, times=None, **not_found()))
    server.posthog.faults.add(Fault(stream=stream, project_id=7, times=None, **not_found()))
    output = read(server, stream, state=project_state(p7="2026-10-05T00:00:00Z"))
    assert (output.status, output.errors, output.stream_status(stream)) == (0, [], "COMPLETE")
    assert output.keys(stream) == [key for key in expected_keys(server.posthog.account)[stream] if key[0] == 8]
    assert any("project 7: PostHog no longer has this project" in line for line in output.logs)
    assert gone.used == 1
    if stream == "events":
        assert output.states[-1]["7"] == {"timestamp": "2026-10-05T00:00:00Z"}


def test_an_address_that_is_not_posthogs_is_named(server: PostHogServer) -> None:
    output = run("check", config=config(server.url + "/somewhere"))
    assert output.connection[0] == "FAILED"
    assert "`base_url`" in output.connection[1]


def test_a_list_of_projects_that_changes_its_order_between_two_pages_is_not_trusted() -> None:
    made = account_with({project: [] for project in range(1, 131)})
    with PostHogServer(made) as server:
        shifted = Fault(stream="projects", skip=1, **rewrite(lambda body: {**body, "results": [{"id": 1}, {"id": 2}]}))
        server.posthog.faults.add(shifted)
        output = run("read", config=config(server.url), catalog=catalog("cohorts"))
    assert output.status == 1
    assert "a project may be missing" in output.errors[0]


# --- project_ids


def test_project_ids_are_read_one_by_one_and_nothing_else(server: PostHogServer) -> None:
    output = read(server, project_ids=[8])
    expected = expected_keys(server.posthog.account)
    assert {stream: output.keys(stream) for stream in STREAMS} == {
        stream: [key for key in expected[stream] if key[0] == 8] for stream in STREAMS
    }
    assert [seen.path for seen in server.posthog.requests if seen.stream == "projects"] == ["/api/projects/8/"]


def test_a_key_limited_to_projects_reads_them_all(server: PostHogServer) -> None:
    server.posthog.account.add_key(Key("phx_of_7", project_ids=(7,)))
    output = read(server, api_key="phx_of_7", project_ids=[7])
    assert output.status == 0
    assert output.ids("projects") == [7]
    assert output.keys("events") == [key for key in expected_keys(server.posthog.account)["events"] if key[0] == 7]


def test_a_project_id_that_cannot_be_seen_ends_the_sync_with_its_name(server: PostHogServer) -> None:
    output = read(server, project_ids=[7, 99])
    assert output.status == 1
    assert len(output.errors) == 1
    assert "Stream projects, project 99" in output.errors[0]
