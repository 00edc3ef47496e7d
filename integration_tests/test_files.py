"""Files that are not what they should be: a sentence each, exit status 1, and never a traceback as the answer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.harness.connector import Output, catalog, config, events_state, run, run_command
from integration_tests.harness.forked import forked
from posthog_server import Fault, PostHogServer, account_with, event, missing_scope


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: [event("2026-11-01T00:00:00Z")]})) as running:
        yield running


def sentence(output: Output) -> str:
    assert output.status == 1
    (error,) = output.errors
    assert "Traceback" not in error
    assert list(output.of("RECORD")) == []
    return error


@pytest.mark.parametrize("how", [run, run_command], ids=["launch", "command"])
@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        *(
            (kind, '\n{\n  "a": 1,,', "is not JSON (line 3, column 10: Expecting property name")
            for kind in ("config", "catalog", "state")
        ),
        *((kind, "", "is not JSON, since it is empty") for kind in ("config", "catalog")),
        *((kind, "7", f"is JSON, but not a {kind}. Expected: ") for kind in ("config", "catalog", "state")),
    ],
)
def test_a_file_of_the_wrong_kind_is_named(
    server: PostHogServer, how: Callable[..., Output], kind: str, content: Any, reason: str
) -> None:
    files = {"config": config(server.url), "catalog": catalog("events"), "state": [], kind: content}
    error = sentence(how("read", **files))
    assert f"The {kind} file" in error
    assert reason in error


@pytest.mark.parametrize("kind", ["config", "catalog", "state"])
def test_a_file_that_is_missing_is_named(server: PostHogServer, kind: str) -> None:
    files = {"config": config(server.url), "catalog": catalog("events"), "state": []}
    del files[kind]
    error = sentence(run("read", f"--{kind}", "/nowhere/file.json", **files))
    assert error.startswith(f"The {kind} file /nowhere/file.json cannot be read (No such file or directory).")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("catalog", {"streams": [{"stream": "events"}]}),
        ("catalog", {"no": "streams"}),
        ("catalog", []),
        ("state", [{"type": "STREAM"}]),
        ("state", [{"type": "SOMETHING"}]),
        ("state", ["text"]),
        ("config", []),
    ],
)
def test_json_of_the_wrong_shape_is_named(server: PostHogServer, kind: str, content: Any) -> None:
    files = {"config": config(server.url), "catalog": catalog("events"), "state": [], kind: content}
    assert f"The {kind} file" in sentence(run("read", **files))


def configured(**fields: Any) -> dict[str, Any]:
    """A configured catalog of events with other values of some fields, without those that are `...`."""
    stream = {**catalog("events")["streams"][0], **fields}
    return {"streams": [{name: value for name, value in stream.items() if value is not ...}]}


@pytest.mark.parametrize(
    ("kind", "content", "fault"),
    [
        ("catalog", {"no": "streams"}, "`streams` is missing"),
        ("catalog", {"streams": {}}, '`streams` must be of type "list"'),
        ("catalog", {"streams": [*catalog("events")["streams"], "events"]}, '`streams[1]` must be of type "object"'),
        ("catalog", configured(sync_mode=...), "`streams[0].sync_mode` is missing"),
        (
            "catalog",
            configured(sync_mode="all]"),
            '`streams[0].sync_mode` must be one of ["full_refresh", "incremental"]',
        ),
        ("catalog", configured(cursor_field="timestamp"), '`streams[0].cursor_field` must be of type "list"'),
        ("catalog", configured(stream={"name": "events"}), "`streams[0].stream.json_schema` is missing"),
        (
            "catalog",
            configured(stream={"name": "events", "json_schema": 5, "supported_sync_modes": ["full_refresh"]}),
            '`streams[0].stream.json_schema` must be of type "object"',
        ),
        ("state", [{"type": "STREAM", "stream": {"stream_state": {}}}], "`stream.stream_descriptor` is missing"),
        ("state", [{"streamDescriptor": "events"}], '`stream.stream_descriptor` must be of type "object"'),
        (
            "state",
            {"7": {"timestamp": "2026-01-01T00:00:00Z"}},
            'it does not say of which stream. If it is that of events, write {"events": ...} around it',
        ),
        (
            "state",
            {"timestamp": "2026-01-01T00:00:00Z"},
            "it does not say of which stream and project. If it is that of"
            ' events, write {"events": {"the id of the project": ...}} around it',
        ),
    ],
)
def test_the_field_that_makes_it_none_is_named(server: PostHogServer, kind: str, content: Any, fault: str) -> None:
    files = {"config": config(server.url), "catalog": catalog("events"), kind: content}
    assert f" is JSON, but not a {kind}: {fault}. Expected: " in sentence(run("read", **files))


@pytest.mark.parametrize("how", [run, run_command], ids=["launch", "command"])
def test_a_stream_that_does_not_exist_is_named_with_those_that_do_and_the_others_are_read(
    server: PostHogServer, how: Callable[..., Output]
) -> None:
    got = how("read", config=config(server.url), catalog=catalog("dashboards", "events", "surveys", "projects"))
    assert got.status == 1
    assert (len(got.records("events")), got.ids("projects")) == (1, [7])
    assert [got.stream_status(one) for one in ("events", "projects")] == ["COMPLETE", "COMPLETE"]
    assert [got.stream_status(one) for one in ("dashboards", "surveys")] == ["INCOMPLETE", "INCOMPLETE"]
    assert set(got.state[-1]["stream"]["stream_state"]) == {"7"}
    errors = [trace["error"] for trace in got.of("TRACE") if trace["type"] == "ERROR"]
    assert [(one.get("stream_descriptor") or {}).get("name") for one in errors] == ["dashboards", "surveys", None]
    assert errors[0]["message"].startswith("The catalog names streams that do not exist: dashboards. Refresh ")
    assert errors[-1]["message"] == "2 of 4 streams failed: dashboards and surveys."
    assert all("projects, cohorts" in one["message"] for one in errors[:-1])
    assert {one["failure_type"] for one in errors} == {"config_error"}


def test_a_catalog_of_nothing_but_streams_that_do_not_exist_ends_in_their_sentences(server: PostHogServer) -> None:
    got = run("read", config=config(server.url), catalog=catalog("dashboards"))
    assert (got.status, got.stream_status("dashboards"), list(got.of("RECORD"))) == (1, "INCOMPLETE", [])


def test_a_stream_that_does_not_exist_and_one_that_fails_are_both_told(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", times=None, **missing_scope("cohort:read")))
    got = run("read", config=config(server.url), catalog=catalog("cohorts", "dashboards", "events"))
    assert (got.status, len(got.records("events"))) == (1, 1)
    assert [got.stream_status(one) for one in ("cohorts", "dashboards")] == ["INCOMPLETE", "INCOMPLETE"]
    assert "do not exist: dashboards" in " ".join(got.errors)
    assert "'cohort:read'" in " ".join(got.errors)


@pytest.mark.parametrize(
    "state",
    [{"7": {"timestamp": "yesterday"}}, {"7": {"timestamp": 17}}, {"7": "2026-01-01T00:00:00Z"}, {"timestamp": "now"}],
)
def test_a_timestamp_in_the_state_that_is_no_date_is_named(server: PostHogServer, state: dict[str, Any]) -> None:
    error = sentence(run("read", config=config(server.url), catalog=catalog("events"), state=events_state(state)))
    assert "The state" in error
    assert "has no valid ISO 8601 timestamp" in error


@pytest.mark.parametrize("state", ["", "\n", [], events_state({}), events_state({"7": {}}), None])
def test_an_empty_state_is_a_first_sync(server: PostHogServer, state: Any) -> None:
    output = run("read", config=config(server.url), catalog=catalog("events"), state=state)
    assert (output.status, len(output.records("events"))) == (0, 1)


def test_the_command_without_arguments_explains_itself(tmp_path: Path) -> None:
    assert forked([], str(tmp_path / "out")) == (0, "")
    assert "spec" in (tmp_path / "out").read_text()
