"""What `check` says, and what bad input gets: one sentence that names the option, and never the key."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration_tests.connector import Output, config, run, run_command
from integration_tests.posthog_server import (
    KEY,
    Fault,
    Key,
    PostHogServer,
    Project,
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
        ({"base_url": ""}, "base_url"),
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
