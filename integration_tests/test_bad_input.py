"""Configurations, catalogs and states that are wrong, odd or copied from elsewhere: what the user reads."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration_tests.harness.connector import (
    Output,
    catalog,
    config,
    events_state,
    legacy_state,
    project_state,
    run,
    run_command,
)
from integration_tests.harness.in_process import read
from posthog_server import KEY, Key, PostHogServer, account_with, event
from source_posthog import SourcePosthog

BOTH = pytest.mark.parametrize("how", [run, run_command], ids=["launch", "command"])
Run = Callable[..., Output]


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: [event("2026-11-01T00:00:00Z")], 8: [event("2026-11-02T00:00:00Z")]})) as one:
        yield one


def failed(got: Output) -> str:
    """The sentence of a `check` that failed as Airbyte wants it: with a status, and without a trace."""
    assert (got.status, got.errors) == (0, [])
    status, message = got.connection
    assert status == "FAILED"
    assert "Traceback" not in got.text
    return message


def refusal(got: Output) -> str:
    """The sentence of the config error with which `read` or `discover` ended."""
    assert got.status == 1
    (error,) = [trace["error"] for trace in got.of("TRACE") if trace["type"] == "ERROR"]
    assert error["failure_type"] == "config_error"
    assert list(got.of("RECORD")) == []
    return str(error["message"])


def warnings(got: Output) -> list[str]:
    return [log["message"] for log in got.of("LOG") if log["level"] == "WARN"]


# --- 16: `check` answers with a status


@BOTH
def test_check_answers_a_bad_config_with_a_failed_status(how: Run, server: PostHogServer) -> None:
    assert failed(how("check", config=config(server.url, num_workers=99))) == (
        "The option `num_workers` must be a whole number from 1 to 40."
    )


@BOTH
@pytest.mark.parametrize("command", ["read", "discover"])
def test_the_other_commands_answer_a_bad_config_with_a_trace(how: Run, command: str, server: PostHogServer) -> None:
    files = {"catalog": catalog("events")} if command == "read" else {}
    assert "`num_workers`" in refusal(how(command, config=config(server.url, num_workers=99), **files))


@BOTH
@pytest.mark.parametrize("content", ["{not json", "[]", "7"])
def test_check_answers_a_bad_config_file_with_a_failed_status(how: Run, content: str) -> None:
    assert failed(how("check", config=content)).startswith("The config file ")


def test_check_answers_a_missing_config_file_with_a_failed_status() -> None:
    assert "cannot be read (No such file or directory)" in failed(run("check", "--config", "/nowhere/config.json"))


TWO = "cannot both be set: remove one of them."
A_LIST = "must be a list of event names, none of them empty."


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"events_include": ["a"], "events_exclude": ["b"]}, f"options `events_include` and `events_exclude` {TWO}"),
        ({"events_include": "a"}, f"option `events_include` {A_LIST}"),
        ({"events_exclude": ["a", 5]}, f"option `events_exclude` {A_LIST}"),
        ({"events_exclude": ["a", ""]}, f"option `events_exclude` {A_LIST}"),
        ({"events_include": ["a", "b", "a"]}, "option `events_include` has duplicates: list each value once."),
        ({"events_include": ["a\ud83d"]}, "half of a surrogate pair."),
        ({"events_include": ["a\ud83d"], "events_exclude": ["b"]}, TWO),
    ],
)
def test_names_of_events_that_cannot_be_asked_for_are_refused_in_a_sentence(
    options: dict[str, Any], sentence: str, server: PostHogServer
) -> None:
    assert sentence in failed(run("check", config=config(server.url, **options)))
    assert server.posthog.requests == []


def test_every_option_that_is_missing_is_named() -> None:
    message = failed(run("check", config={}))
    assert "The option `api_key` is missing" in message
    assert "The option `start_date` is missing" in message


# --- options as people write them


@BOTH
def test_an_option_that_is_null_or_empty_is_not_there(how: Run, server: PostHogServer) -> None:
    absent: dict[str, Any] = {
        "end_date": "",
        "project_ids": None,
        "queries": None,
        "events_api": " ",
        "events_late_days": "",
        "num_workers": None,
    }
    options = {**config(server.url), **absent}
    assert how("check", config=options).connection == ("SUCCEEDED", "")
    got = how("read", config=options, catalog=catalog("events"))
    assert (got.status, got.errors, warnings(got), len(got.records("events"))) == (0, [], [], 2)


def test_dates_with_an_offset_are_those_in_utc(server: PostHogServer) -> None:
    got = read(server, "events", start_date="2026-11-01T02:00:00+02:00", end_date="2026-11-01T19:00:00-0500")
    assert (got.status, got.errors) == (0, [])
    assert [row["timestamp"] for row in got.records("events")] == ["2026-11-01T00:00:00+00:00"]


@BOTH
@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_a_date_that_is_refused_is_shown_with_its_fault(how: Run, name: str, server: PostHogServer) -> None:
    for date, reason in {
        "2026-02-30T00:00:00Z": "does not exist",
        "2026-03-01T00:00:00.000Z": "has a fraction of a second: write 2026-03-01T00:00:00Z",
    }.items():
        sentence = failed(how("check", config=config(server.url, **{name: date})))
        assert sentence.startswith(f"The option `{name}` must be a date and time like 2026-0")
        assert sentence.endswith(f"Z; {date} {reason}.")


def test_a_key_in_the_place_of_a_date_is_not_shown(server: PostHogServer) -> None:
    got = run("check", config=config(server.url, start_date="phx_0123456789"))
    assert failed(got) == "The option `start_date` must be a date and time like 2026-01-01T00:00:00Z."
    assert "phx_0123456789" not in got.text


@BOTH
def test_a_key_of_a_project_is_refused_without_a_request(how: Run, server: PostHogServer) -> None:
    sentence = failed(how("check", config=config(server.url, api_key="phc_0123456789")))
    assert sentence.startswith("The option `api_key` is a project API key (phc_...), which cannot read data: set it to")
    assert server.posthog.requests == []


@BOTH
def test_a_key_that_may_not_read_the_projects_can_read_no_stream(how: Run, server: PostHogServer) -> None:
    server.posthog.account.add_key(Key("phx_limited", frozenset({"query:read"})))
    options = config(server.url, api_key="phx_limited")
    for ids in ({}, {"project_ids": [7]}):
        sentence = failed(how("check", config={**options, **ids}))
        assert sentence.startswith("Stream projects")
        assert (
            "\"API key missing required scope 'project:read'\"), which every stream needs. Add that scope" in sentence
        )
        assert "remove the stream" not in sentence


@BOTH
def test_the_key_may_be_in_the_environment(how: Run, server: PostHogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_API_KEY", f"{KEY}\n")
    options = {**config(server.url), "api_key": ""}
    got = how("check", config=options)
    assert got.connection == ("SUCCEEDED", "")
    assert "The API key is that of the environment variable POSTHOG_API_KEY." in got.logs
    assert len(list(how("discover", config=options).of("CATALOG"))) == 1
    del options["api_key"]
    synced = how("read", config=options, catalog=catalog("events"))
    assert (synced.status, len(synced.records("events"))) == (0, 2)
    assert not any(KEY in one.text for one in (got, synced))
    assert SourcePosthog().check_connection(None, options) == (True, None)
    own = how("check", config=config(server.url, api_key="phx_wrong"))
    assert "does not accept the API key" in failed(own)
    assert "POSTHOG_API_KEY" not in own.text


# --- 13: no tracebacks


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:abc",
        "http://localhost:99999",
        "http://[::1",
        "http://[posthog]",
        "https://a..b",
        "https://*.posthog.com",
        "https://posthog.*.com",
        f"https://{'a' * 70}.com",
        "https://a\\b",
    ],
)
def test_a_base_url_that_cannot_exist_is_refused(base_url: str) -> None:
    assert failed(run("check", config=config(base_url))).startswith("The option `base_url` must be an address like")
    assert "`base_url`" in refusal(run("read", config=config(base_url), catalog=catalog("events")))


def test_a_start_date_in_the_year_1_means_everything(server: PostHogServer) -> None:
    got = read(server, "events", start_date="0001-01-01T00:00:00Z")
    assert (got.status, len(got.records("events"))) == (0, 2)


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_in_the_year_1_means_from_start_date(server: PostHogServer, timestamp: str, legacy: bool) -> None:
    got = read(server, "events", state=legacy_state(timestamp) if legacy else project_state(p7=timestamp))
    assert (got.status, len(got.records("events"))) == (0, 2)


def test_a_whole_number_with_a_fraction_of_zero_is_a_whole_number(server: PostHogServer) -> None:
    options: dict[str, Any] = {
        "num_workers": 3.0,
        "events_time_step": 30.0,
        "events_lookback_hours": 1.0,
        "project_ids": [7.0],
    }
    got = read(server, "events", **options)
    assert (got.status, got.errors, len(got.records("events"))) == (0, [], 1)
    assert run("check", config=config(server.url, **options)).connection == ("SUCCEEDED", "")


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("levels", [200, 1010, 100_000])
def test_a_config_that_is_nested_too_deeply_is_refused(server: PostHogServer, levels: int) -> None:
    text = json.dumps(config(server.url, odd=0)).replace('"odd": 0', f'"odd": {nested(levels)}')
    assert "has more than 100 levels" in failed(run("check", config=text))


@pytest.mark.parametrize("levels", [200, 1010, 100_000])
@pytest.mark.parametrize("kind", ["catalog", "state"])
def test_a_file_that_is_nested_too_deeply_is_refused(server: PostHogServer, kind: str, levels: int) -> None:
    odd = {"catalog": {**catalog("events"), "odd": 0}, "state": events_state({"odd": 0})}[kind]
    text = json.dumps(odd).replace('"odd": 0', f'"odd": {nested(levels)}')
    files = {"config": config(server.url), "catalog": catalog("events"), kind: text}
    assert "has more than 100 levels" in refusal(run("read", **files))


def test_a_config_that_is_nested_too_deeply_is_refused_from_python_too(server: PostHogServer) -> None:
    status = SourcePosthog().check(None, {**config(server.url), "odd": json.loads(nested(500))})
    assert "levels" in str(status.message)


# --- 14: addresses copied from the browser


@pytest.mark.parametrize(
    ("copied", "meant", "project"),
    [
        ("https://us.posthog.com/project/101", "https://us.posthog.com", 101),
        ("https://us.posthog.com/project/101/", "https://us.posthog.com", 101),
        ("https://eu.posthog.com/project/101/insights", "https://eu.posthog.com", 101),
        ("https://eu.posthog.com/project/101/insights?tab=x#y", "https://eu.posthog.com", 101),
        ("https://us.posthog.com/project/101/settings/user-api-keys", "https://us.posthog.com", 101),
        ("https://us.posthog.com/settings/user-api-keys", "https://us.posthog.com", None),
        ("https://us.posthog.com/api", "https://us.posthog.com", None),
        ("https://us.posthog.com/api/projects/", "https://us.posthog.com", None),
        ("https://us.posthog.com/api/projects/101/events/", "https://us.posthog.com", 101),
        ("https://us.posthog.com/insights", "https://us.posthog.com", None),
        ("http://localhost:8000/project/1/activity", "http://localhost:8000", 1),
        ("https://example.com/posthog/project/101/insights", "https://example.com/posthog", 101),
        ("https://example.com/posthog/api/", "https://example.com/posthog", None),
        ("https://example.com/posthog/login?next=/", "https://example.com/posthog", None),
    ],
)
def test_the_address_of_a_page_is_refused_with_the_right_value(copied: str, meant: str, project: int | None) -> None:
    sentence = f"The option `base_url` must be {meant}, without anything after it."
    if project:
        sentence += f" To read project {project} only, set `project_ids` to [{project}]."
    assert failed(run("check", config=config(copied))) == sentence
    assert refusal(run("read", config=config(copied), catalog=catalog("events"))) == sentence


def test_an_address_with_a_password_is_not_shown() -> None:
    message = failed(run("check", config=config("https://me:password@us.posthog.com/project/101")))
    assert "`base_url`" in message
    assert "password" not in message


@pytest.mark.parametrize("path", ["", "/", "/posthog", "/posthog/", "/tools/api-gateway", "/project/posthog"])
def test_a_server_of_ones_own_may_be_under_a_path(path: str) -> None:
    options = config(f"https://example.com{path}")
    assert SourcePosthog().configure(options, "") == options


# --- 15: options that have no effect


@pytest.mark.parametrize(
    ("how", "name", "near"),
    [
        (run_command, "project_id", "project_ids"),
        (run, "project_id", "project_ids"),
        (run, "url", "base_url"),
        (run, "events_timestep", "events_time_step"),
        (run, "KEY", "api_key"),
    ],
)
def test_an_unknown_option_is_warned_of_with_the_nearest_name(
    how: Run, name: str, near: str, server: PostHogServer
) -> None:
    options = {**config(server.url), name: "a value that is not shown"}
    for got in (how("check", config=options), how("read", config=options, catalog=catalog("projects"))):
        assert warnings(got) == [f"There is no option `{name}`, so it has no effect. Did you mean `{near}`?"]
        assert "a value that is not shown" not in got.text


def test_an_unknown_option_that_is_near_to_none_is_warned_of_with_all_names(server: PostHogServer) -> None:
    (warning,) = warnings(run("check", config=config(server.url, zzz=1)))
    assert warning.startswith("There is no option `zzz`, so it has no effect. The options are api_key, start_date,")


def test_names_that_the_platform_injects_are_not_warned_of(server: PostHogServer) -> None:
    assert warnings(run("check", config=config(server.url, __should_normalize=True, _note=1))) == []


@pytest.mark.matrix
@pytest.mark.parametrize("value", [0, 1, "many", None, [], "2026-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", ["_page_size", "_limit", "_refused", "__injected_components_py"])
def test_a_configuration_cannot_set_what_is_internal(server: PostHogServer, name: str, value: Any) -> None:
    options = config(server.url, **{name: value})
    assert run("check", config=options).connection == ("SUCCEEDED", "")
    server.posthog.reset()
    got = run("read", config=options, catalog=catalog("events", "cohorts", "insights"))
    assert (got.status, got.errors, len(got.records("events"))) == (0, [], 2)
    limits = {(seen.stream, seen.query.get("limit")) for seen in server.posthog.requests}
    assert limits == {("projects", "100"), ("events", "1000"), ("cohorts", "100"), ("insights", "100"), ("events", "1")}


@pytest.mark.parametrize("ids", [[0], [0, 7], [-7]])
def test_a_project_id_that_is_not_positive_is_refused(server: PostHogServer, ids: list[int]) -> None:
    sentence = "The option `project_ids` must be a list of positive numbers."
    options = config(server.url, project_ids=ids)
    assert failed(run("check", config=options)) == sentence
    assert refusal(run("read", config=options, catalog=catalog("events"))) == sentence
    assert server.posthog.requests == []


def test_a_start_date_in_the_future_is_warned_of(server: PostHogServer) -> None:
    options = config(server.url, start_date="2121-01-01T00:00:00Z")
    for got in (run("check", config=options), run("read", config=options, catalog=catalog("projects"))):
        assert warnings(got) == ["`start_date` is in the future (2121-01-01T00:00:00Z): no events are read until then."]


# --- 17: catalogs and states


def discovered(server: PostHogServer) -> dict[str, Any]:
    return next(message for message in run("discover", config=config(server.url)).messages if "catalog" in message)


@pytest.mark.parametrize(
    ("how", "form"), [(run_command, "output"), (run, "output"), (run, "message"), (run, "catalog"), (run, "pretty")]
)
def test_what_discover_prints_is_said_to_be_no_configured_catalog(how: Run, form: str, server: PostHogServer) -> None:
    message = discovered(server)
    content = {
        "output": json.dumps({"type": "LOG", "log": {}}) + "\n" + json.dumps(message) + "\n",
        "message": message,
        "catalog": message["catalog"],
        "pretty": json.dumps(message["catalog"], indent=2),
    }[form]
    sentence = refusal(how("read", config=config(server.url), catalog=content))
    assert "is the output of `discover`" in sentence
    assert (
        'configured catalog, which says what to read and how: {"streams": [{"stream": {...}, "sync_mode":' in sentence
    )
    assert "`source-posthog catalog` prints one" in sentence


@pytest.mark.parametrize(
    ("kind", "content", "expected"),
    [
        ("catalog", {"no": "streams"}, 'a configured catalog: {"streams": [{"stream": {...}, "sync_mode": "..."'),
        ("state", {"timestamp": "2026-01-01T00:00:00Z"}, 'a list of states: [{"type": "STREAM", "stream": '),
        ("config", [], 'an object with the options: {"api_key": "...", "start_date": '),
    ],
)
def test_json_of_another_kind_is_refused_with_what_was_expected(
    kind: str, content: Any, expected: str, server: PostHogServer
) -> None:
    files = {"config": config(server.url), "catalog": catalog("events"), kind: content}
    sentence = refusal(run("read", **files))
    assert f"is JSON, but not a {kind}" in sentence
    assert f"Expected: {expected}" in sentence


def changed(stream: str, **fields: Any) -> dict[str, Any]:
    """A configured catalog of `stream` with other values of some fields."""
    return {"streams": [{**catalog(stream)["streams"][0], **fields}]}


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        (
            {"streams": []},
            "The catalog has no streams, so nothing is read. `source-posthog catalog` prints one of all.",
        ),
        (
            changed("cohorts", sync_mode="incremental", cursor_field=["created_at"]),
            "Stream cohorts cannot be read incrementally, as the catalog asks: it is read in full.",
        ),
        (
            changed("events", cursor_field=["created_at"]),
            "Stream events is read by its own cursor, `timestamp`: `created_at`, which the catalog has as its "
            "`cursor_field`, has no effect.",
        ),
        (changed("events", cursor_field=None), ""),
        (changed("events", sync_mode="full_refresh", cursor_field=["created_at"]), ""),
    ],
    ids=["no streams", "no incremental sync", "another cursor", "no cursor", "in full"],
)
def test_what_a_catalog_asks_for_and_there_is_not_is_warned_of(
    content: dict[str, Any], warning: str, server: PostHogServer
) -> None:
    got = run("read", config=config(server.url), catalog=content)
    assert (got.status, warnings(got)) == (0, [warning] if warning else [])
    read_events = any(one["stream"]["name"] == "events" for one in content["streams"])
    assert len(got.records("events")) == (2 if read_events else 0)


def test_streams_of_the_config_that_are_not_in_the_catalog_are_named(server: PostHogServer) -> None:
    queries = [{"name": name, "query": "SELECT uuid FROM events", "primary_key": "uuid"} for name in ("b", "a")]
    options = config(server.url, queries=queries, extra_streams=["surveys", "actions"])
    got = run("read", config=options, catalog=catalog("projects", "surveys"))
    (line,) = [line for line in got.logs if "not in the catalog" in line]
    assert line.startswith(
        "Streams of the configuration that are not in the catalog are not read: a, actions, b. `source"
    )
    assert (got.status, warnings(got)) == (0, [])


def test_duplicate_projects_are_called_duplicates(server: PostHogServer) -> None:
    sentence = "The option `project_ids` has duplicates: list each value once."
    assert failed(run("check", config=config(server.url, project_ids=[7, 8, 7]))) == sentence


def test_a_state_in_the_future_is_warned_of_with_the_project(server: PostHogServer) -> None:
    got = read(server, "events", state=project_state(p7="2121-01-01T00:00:00Z", p8="2026-01-01T00:00:00Z"))
    assert got.status == 0
    assert warnings(got) == [
        "The state of project 7 is in the future (2121-01-01T00:00:00Z): no events are read until then. Correct the "
        "state, or clear the stream."
    ]


def test_a_legacy_state_in_the_future_is_warned_of_for_all_projects(server: PostHogServer) -> None:
    (warning,) = warnings(read(server, "events", state=legacy_state("2121-01-01T00:00:00Z")))
    assert warning.startswith("The state of all projects is in the future")
