"""The API key in odd forms, and beside other keys: never to be seen, and never more than the key masked."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, update_secrets

from integration_tests.harness.connector import Output, arguments, catalog, config, run, run_command
from integration_tests.harness.in_process import URL, answers_from
from posthog_server import KEY, Fault, Key, PostHog, PostHogServer, account_with, event
from posthog_server.clickhouse import ClickHouse
from source_posthog import SourcePosthog

SECRET = "phx_a_key_that_must_not_be_seen"
OTHER = "phx_another_key_of_another_source"


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    made = account_with({7: [event("2026-11-01T00:00:00Z")]}, keys=[Key(SECRET), Key(OTHER)])
    with PostHogServer(made) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_masked() -> Iterator[None]:
    update_secrets([])
    yield
    update_secrets([])


def forms(secret: str) -> set[str]:
    return {
        secret,
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe="", errors="replace"),
        json.dumps(repr(secret))[2:-2],
    }


@pytest.mark.parametrize("around", ["{}\n", "\n{}", " {} ", "\t{}\r\n"])
def test_white_space_around_options_is_taken_off(server: PostHogServer, around: str) -> None:
    options = {name: around.format(value) for name, value in config(server.url, api_key=SECRET).items()}
    assert run("check", "--debug", config=options).connection == ("SUCCEEDED", "")
    got = run("read", "--debug", config=options, catalog=catalog("events"))
    assert (got.status, len(got.records("events"))) == (0, 1)
    assert {seen.headers["authorization"] for seen in server.posthog.requests} == {f"Bearer {SECRET}"}
    assert SECRET not in got.text


def test_white_space_is_taken_off_where_a_source_is_built_with_its_config(server: PostHogServer) -> None:
    options = config(server.url, api_key=f"{SECRET}\n")
    source = SourcePosthog(config=options)
    (projects,) = [one for one in source.streams(options) if one.name == "projects"]
    assert len([row for partition in projects.generate_partitions() for row in partition.read()]) == 1


ODD_KEYS = [
    f"{SECRET}\n{SECRET}",
    f"{SECRET} x",
    f'{SECRET}"x',
    f"{SECRET}'x",
    f"{SECRET}\\x",
    f"{SECRET}é",
    f"{SECRET}\u200b",
    f"{SECRET}\x00",
    f"{SECRET}\ud800",
    f"Bearer {SECRET}",
]


@pytest.mark.matrix
@pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
@pytest.mark.parametrize("command", ["check", "read", "discover"])
def test_a_key_with_characters_that_no_key_has_is_refused_and_not_shown(
    server: PostHogServer, command: str, key: str
) -> None:
    files: dict[str, Any] = {"catalog": catalog("events")} if command == "read" else {}
    got = run(command, "--debug", config=config(server.url, api_key=key), **files)
    (sentence,) = got.errors or [got.connection[1]]
    assert sentence.startswith("The option `api_key` must be a personal API key")
    assert SECRET not in got.text
    assert server.posthog.requests == []


LAUNCH = """
import sys
from airbyte_cdk.entrypoint import launch
from source_posthog import SourcePosthog

launch(SourcePosthog(), sys.argv[1:])
"""


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(f"{SECRET}\n", id="at the end", marks=pytest.mark.only_long),
        pytest.param(f"{SECRET}\n{SECRET}", id="within"),
    ],
)
def test_a_key_with_a_newline_is_in_no_fatal_line(server: PostHogServer, tmp_path: Path, key: str) -> None:
    server.posthog.faults.add(Fault(stream="projects", times=None, status=403, body={"detail": f"no: {key}"}))
    line = arguments(tmp_path, "read", config=config(server.url, api_key=key), catalog=catalog("events"))
    done = subprocess.run([sys.executable, "-c", LAUNCH, *line], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert '"level":"FATAL"' in done.stdout
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("key", [*ODD_KEYS, "phx_/with+signs=&%"], ids=ascii)
def test_a_key_is_masked_in_every_form_in_which_it_can_be_printed(server: PostHogServer, key: str) -> None:
    SourcePosthog().configure(config(server.url, api_key=key), "")
    for form in forms(key):
        assert "phx_" not in filter_secrets(f"<{form}>")


def answer_that_names(key: str) -> Fault:
    return Fault(stream="cohorts", times=None, status=403, body={"detail": f"no: {key}"})


@pytest.mark.parametrize("command", [run, SourcePosthog], ids=["launch", "python"])
def test_the_keys_of_several_sources_are_all_masked(server: PostHogServer, command: Any) -> None:
    if command is run:
        run("check", config=config(server.url, api_key=SECRET))
    else:
        SourcePosthog().check(None, config(server.url, api_key=SECRET))
    server.posthog.faults.add(answer_that_names(SECRET))
    options = config(server.url, api_key=OTHER)
    for got in (run("check", config=options), run("read", config=options, catalog=catalog("cohorts"))):
        assert "no: ****" in got.text
        assert SECRET not in got.text
    assert filter_secrets(f"{SECRET} {OTHER}") == "**** ****"


def test_the_key_of_the_environment_is_masked(server: PostHogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_API_KEY", SECRET)
    server.posthog.faults.add(answer_that_names(SECRET))
    options = config(server.url, api_key=None)
    SourcePosthog().configure(options, "")
    assert filter_secrets(f"<{SECRET}>") == "<****>"
    for got in (
        run_command("check", "--debug", config=options),
        run("check", "--debug", config=options),
        run("read", "--debug", config=options, catalog=catalog("cohorts")),
    ):
        assert "no: ****" in got.text
        assert SECRET not in got.text


def test_the_status_of_check_masks_the_key_that_an_answer_repeats(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(times=None, status=403, body={"detail": f"no: {SECRET}"}))
    status = SourcePosthog().check(None, config(server.url, api_key=SECRET))
    assert "no: ****" in str(status.message)


def protocol(got: Output) -> list[dict[str, Any]]:
    """What a destination reads: all messages but the log."""
    return [message for message in got.messages if message["type"] not in ("LOG", "DEBUG")]


@pytest.mark.parametrize(
    ("how", "key"),
    [(run_command, 5), *((run, key) for key in (5, 1, 0, True, None, ["2"], {"a": 1}))],
    ids=lambda one: getattr(one, "__name__", repr(one)),
)
def test_a_key_that_is_no_string_is_refused_and_masks_nothing(how: Any, server: PostHogServer, key: Any) -> None:
    options = config(server.url, api_key=key)
    for got in (how("check", config=options), how("read", config=options, catalog=catalog("events"))):
        assert "The option `api_key` must be" in got.text
        assert "****" not in got.text


@pytest.mark.parametrize(
    ("how", "key"),
    [(run_command, "type"), *((run, key) for key in ("5", "a", "type", "TRACE", "message"))],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_a_key_of_a_few_characters_does_not_star_out_the_protocol(how: Any, server: PostHogServer, key: str) -> None:
    options = config(server.url, api_key=key)
    for got in (how("check", config=options), how("read", config=options, catalog=catalog("events"))):
        assert "does not accept the API key" in json.dumps(protocol(got))
        assert "****" not in got.text


def test_the_usual_key_still_reads(server: PostHogServer) -> None:
    assert run("check", config=config(server.url, api_key=KEY)).connection == ("SUCCEEDED", "")


def test_discover_masks_the_key_in_the_names_of_columns(clickhouse: ClickHouse) -> None:
    """A query can give a column the key as its name, also one that takes it from another place than the query."""
    query = {"name": "mine", "query": f"SELECT 1 AS id, 2 AS {SECRET}", "primary_key": ["id"]}
    broken = {"name": "broken", "query": "SELECT", "primary_key": ["id"]}
    made = account_with({7: []}, keys=[Key(SECRET)])
    with answers_from(PostHog(made, clickhouse=clickhouse)):
        for queries in ([query], [query, broken]):
            got = run("discover", config=config(URL, api_key=SECRET, queries=queries))
            (catalog,) = got.of("CATALOG")
            (mine,) = [one for one in catalog["streams"] if one["name"] == "mine"]
            assert set(mine["json_schema"]["properties"]) == {"id", "****", "project_id"}
            assert SECRET not in got.text
        found = SourcePosthog().discover(None, config(URL, api_key=SECRET, queries=[query]))
    assert SECRET not in repr(found)
