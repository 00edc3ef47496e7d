"""What `check` says, and what bad input gets: one sentence that names the option, and never the key."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration_tests.harness.connector import Output, Way, catalog, config, project_state, run, run_command
from integration_tests.harness.in_process import URL, answers_from, now_is
from posthog_server import (
    KEY,
    SECOND,
    Fault,
    Key,
    PostHog,
    PostHogServer,
    Project,
    Seen,
    account,
    missing_scope,
    no_project_access,
)

SECRET = "phx_a_key_that_must_not_be_seen"


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account(Project(7), Project(8))) as running:
        yield running


def verdict(output: Output) -> str:
    """The sentence with which a command failed: the status of `check`, the trace of `discover`."""
    assert "Traceback" not in "".join([*output.errors, *[one["message"] for one in output.of("CONNECTION_STATUS")]])
    if output.errors:
        assert output.status == 1
        (trace,) = [trace["error"] for trace in output.of("TRACE") if trace["type"] == "ERROR"]
        assert trace["failure_type"] == "config_error"
        return str(trace["message"])
    assert output.status == 0
    status, message = output.connection
    assert status == "FAILED"
    return message


@pytest.mark.parametrize("how", [run, run_command], ids=["launch", "command"])
def test_a_good_key_succeeds(server: PostHogServer, how: Callable[..., Output]) -> None:
    output = how("check", config=config(server.url))
    assert (output.status, output.connection) == (0, ("SUCCEEDED", ""))


def test_a_wrong_key_fails_and_says_that_keys_belong_to_a_region(server: PostHogServer) -> None:
    message = verdict(run("check", config=config(server.url, api_key=SECRET)))
    assert "does not accept the API key" in message
    assert "`api_key`" in message
    assert "region" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"api_key": ""}, "api_key"),
        ({"api_key": f"{SECRET} {SECRET}"}, "api_key"),
        ({"api_key": {"secret": SECRET}}, "api_key"),
        ({"start_date": "yesterday"}, "start_date"),
        ({"start_date": "2026-02-30T00:00:00Z"}, "start_date"),
        ({"start_date": 5}, "start_date"),
        ({"end_date": "2026-13-01T00:00:00Z"}, "end_date"),
        ({"base_url": "ftp://posthog.example.com"}, "base_url"),
        ({"base_url": "posthog.example.com"}, "base_url"),
        ({"base_url": f"https://me:{SECRET}@posthog.example.com"}, "base_url"),
        ({"base_url": "https://posthog.example.com/?a=b"}, "base_url"),
        ({"base_url": "https://posthog.example.com/#a"}, "base_url"),
        ({"events_time_step": 0}, "events_time_step"),
        ({"events_time_step": 92}, "events_time_step"),
        ({"events_time_step": "thirty"}, "events_time_step"),
        ({"events_lookback_hours": 721}, "events_lookback_hours"),
        ({"num_workers": 0}, "num_workers"),
        ({"num_workers": 41}, "num_workers"),
        ({"project_ids": ["seven"]}, "project_ids"),
        ({"project_ids": 7}, "project_ids"),
        ({"project_ids": [0]}, "project_ids"),
        ({"project_ids": [7, 0]}, "project_ids"),
        ({"project_ids": [-7]}, "project_ids"),
    ],
)
@pytest.mark.parametrize("command", ["check", "discover"])
def test_an_option_that_is_wrong_is_named(
    server: PostHogServer, options: dict[str, Any], named: str, command: str
) -> None:
    output = run(command, config={**config(server.url, api_key=SECRET), **options})
    assert f"The option `{named}` must be" in verdict(output)
    assert SECRET not in output.text


@pytest.mark.parametrize("missing", ["api_key", "start_date"])
def test_an_option_that_is_missing_is_named(server: PostHogServer, missing: str) -> None:
    options = {name: value for name, value in config(server.url).items() if name != missing}
    assert f"The option `{missing}` is missing" in verdict(run("check", config=options))


def test_check_says_how_many_projects_it_found(server: PostHogServer) -> None:
    assert "The API key sees 2 project(s): 7, 8" in run("check", config=config(server.url)).logs


def test_check_asks_each_stream_for_a_single_row(server: PostHogServer) -> None:
    run("check", config=config(server.url))
    asked = {seen.stream: seen.query["limit"] for seen in server.posthog.requests if seen.stream != "projects"}
    assert asked == dict.fromkeys(["cohorts", "feature_flags", "persons", "events", "annotations", "insights"], "1")


def test_check_succeeds_and_names_all_scopes_that_are_missing(server: PostHogServer) -> None:
    scopes = frozenset({"project:read", "cohort:read", "query:read", "annotation:read", "insight:read"})
    server.posthog.account.add_key(Key("phx_limited", scopes))
    output = run("check", config=config(server.url, api_key="phx_limited"))
    assert output.connection == ("SUCCEEDED", "")
    log = "\n".join(output.logs)
    assert "Stream feature_flags cannot be read" in log
    assert "'feature_flag:read'" in log
    assert "'person:read'" in log
    assert "not for these streams: feature_flags, persons" in log


def test_check_fails_where_no_stream_can_be_read(server: PostHogServer) -> None:
    server.posthog.account.add_key(Key("phx_projects_only", frozenset({"project:read"})))
    message = verdict(run("check", config=config(server.url, api_key="phx_projects_only")))
    assert message.startswith("No stream can be read with this API key.")
    assert "'cohort:read'" in message


def test_check_succeeds_where_only_the_first_project_refuses(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(project_id=7, times=None, **no_project_access()))
    assert run("check", config=config(server.url)).connection[0] == "SUCCEEDED"


def test_check_fails_for_an_account_without_projects() -> None:
    with PostHogServer(account()) as server:
        assert "sees no project" in verdict(run("check", config=config(server.url)))


def test_a_key_limited_to_projects_is_told_to_name_them(server: PostHogServer) -> None:
    server.posthog.account.add_key(Key("phx_of_7", project_ids=(7,)))
    assert "Set `project_ids`" in verdict(run("check", config=config(server.url, api_key="phx_of_7")))
    options = config(server.url, api_key="phx_of_7", project_ids=[7])
    assert run("check", config=options).connection == ("SUCCEEDED", "")


@pytest.mark.parametrize(("key", "project"), [("phx_of_7", 8), (KEY, 99)], ids=["of another key", "unknown"])
def test_check_names_a_project_id_that_the_key_cannot_see(server: PostHogServer, key: str, project: int) -> None:
    server.posthog.account.add_key(Key("phx_of_7", project_ids=(7,)))
    message = verdict(run("check", config=config(server.url, api_key=key, project_ids=[7, project])))
    assert f"project {project}" in message
    assert "`project_ids`" in message


def test_check_does_not_succeed_where_the_scope_for_projects_is_missing(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(stream="projects", times=None, **missing_scope("project:read")))
    assert "Add that scope" in verdict(run("check", config=config(server.url)))


# --- the questions of a sync, which an old server may not understand


def question(seen: Seen) -> str:
    """What an events request asks for, without the instants in it and its number of rows."""
    asked = seen.body["query"] if isinstance(seen.body, dict) else seen.query
    text = json.dumps({name: value for name, value in asked.items() if name != "limit"}, sort_keys=True)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "...", text)


def questions(server: PostHogServer, way: Way) -> list[str]:
    return [question(seen) for seen in server.posthog.requests if seen.stream == way.stream]


def test_check_asks_the_question_of_a_sync_for_events_also_for_those_that_arrived_late(
    server: PostHogServer, way: Way
) -> None:
    assert run("check", config=config(server.url)).connection[0] == "SUCCEEDED"
    (checked,) = questions(server, way)
    assert "created_at >= " in checked
    server.posthog.reset()
    state = project_state(p7="2026-11-01T00:00:00Z", p8="2026-11-01T00:00:00Z")
    assert run("read", config=config(server.url), catalog=catalog("events"), state=state).status == 0
    assert checked in questions(server, way)


def test_check_asks_for_no_late_events_where_no_sync_does(server: PostHogServer, way: Way) -> None:
    options = config(server.url, events_late_days=0)
    assert run("check", config=options).connection[0] == "SUCCEEDED"
    (checked,) = questions(server, way)
    assert "created_at >= " not in checked
    server.posthog.reset()
    assert run("read", config=options, catalog=catalog("events")).status == 0
    assert checked in questions(server, way)


def test_check_warns_where_the_server_cannot_tell_which_events_arrived_late(server: PostHogServer, way: Way) -> None:
    server.posthog.without_created_at_filter = True
    output = run("check", config=config(server.url))
    assert output.connection == ("SUCCEEDED", "")
    (warning,) = [log["message"] for log in output.of("LOG") if log["level"] == "WARN"]
    assert warning.startswith("Stream events: this PostHog server cannot tell which events arrived late (")
    assert len(questions(server, way)) == 2


def test_check_asks_for_events_also_where_our_clock_is_ahead_by_minutes(way: Way) -> None:
    posthog = PostHog(account(Project(7)), clock=lambda: 1_790_000_000.0)
    posthog.faults.add(Fault(stream=way.stream, times=None, **missing_scope("query:read")))
    with answers_from(posthog), now_is((1_790_000_000 + 600) * SECOND):
        log = "\n".join(run("check", config=config(URL)).logs)
    assert "Stream events cannot be read" in log
