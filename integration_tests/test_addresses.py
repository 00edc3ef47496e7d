"""The addresses that are asked, and those that a server leads to: what is gone, what has moved."""

import logging
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import requests
import requests_mock
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Status, Type

from integration_tests.harness import in_process
from integration_tests.harness.connector import catalog, config, expected_keys, run
from posthog_server import (
    DAY,
    KEY,
    Fault,
    PostHogServer,
    Seen,
    account_with,
    make_events,
    make_rows,
    microseconds,
    not_found,
    redirect,
)
from posthog_server.api import STREAMS
from posthog_server.traffic import error_body
from source_posthog import SourcePosthog

START = microseconds("2026-10-01T00:00:00Z")
ENDPOINT_NOT_FOUND: dict[str, Any] = {"status": 404, "body": error_body(404, "not_found", "Endpoint not found.")}


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    rng = random.Random(4)
    made = account_with(
        {project: make_events(150, rng, start=START, span=50 * DAY, project=project) for project in (7, 8)},
        cohorts={project: make_rows("cohorts", 130, rng, project) for project in (7, 8)},
        insights={project: make_rows("insights", 3, rng, project) for project in (7, 8)},
    )
    with PostHogServer(made, cap=100) as running:
        yield running


@pytest.fixture
def stranger() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: []})) as running:
        yield running


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z")


# --- gone (1)


@pytest.mark.parametrize("stream", ["cohorts", "insights"])
def test_a_list_that_is_not_there_fails_its_stream_with_its_address_and_the_others_are_read(
    server: PostHogServer, stream: str
) -> None:
    server.posthog.faults.add(Fault(stream=stream, times=None, **ENDPOINT_NOT_FOUND))
    output = read(server)
    assert output.status == 1
    expected = expected_keys(server.posthog.account)
    for other in STREAMS:
        assert output.stream_status(other) == ("INCOMPLETE" if other == stream else "COMPLETE")
        assert output.keys(other) == ([] if other == stream else expected[other])
    error = next(error for error in output.errors if error.startswith(f"Stream {stream}, projects 7 and 8"))
    assert f"{server.url}/api/projects/.../{stream}" in error
    assert "Endpoint not found." in error


def test_check_names_a_list_that_is_not_there(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", times=None, **ENDPOINT_NOT_FOUND))
    output = run("check", config=config(server.url))
    log = "\n".join(output.logs)
    assert "Stream cohorts cannot be read in project 7: " in log
    assert "not for these streams: cohorts" in log


@pytest.mark.parametrize("stream", ["events", "cohorts", "insights"])
def test_a_project_is_not_gone_because_one_of_its_lists_says_so(server: PostHogServer, stream: str) -> None:
    server.posthog.faults.add(Fault(stream=stream, project_id=7, times=None, **not_found()))
    output = read(server, stream)
    assert output.status == 1
    assert f"Stream {stream}, project 7" in output.errors[0]
    assert "PostHog returned 404 for /api/projects/7/" in output.errors[0]
    assert output.keys(stream) == [key for key in expected_keys(server.posthog.account)[stream] if key[0] == 8]


def test_whether_a_project_is_gone_is_asked_once_a_sync(server: PostHogServer) -> None:
    gone = server.posthog.faults.add(Fault(stream="projects", project_id=7, times=None, **not_found()))
    server.posthog.faults.add(Fault(project_id=7, times=None, **not_found()))
    output = read(server, events_time_step=5)
    assert (output.status, gone.used) == (0, 1)
    assert output.keys("events") == [key for key in expected_keys(server.posthog.account)["events"] if key[0] == 8]


# --- moved (3)


@pytest.mark.matrix
@pytest.mark.parametrize("stream", ["events", "cohorts"])
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_that_drops_the_query_is_refused(server: PostHogServer, stream: str, status: int) -> None:
    to = f"{server.url}/api/projects/7/{stream}/"
    dropping = redirect(to, status)
    server.posthog.faults.add(
        Fault(stream=stream, project_id=7, times=None, when=lambda seen: bool(seen.query), **dropping)
    )
    output = read(server, stream)
    assert output.status == 1
    assert f"Stream {stream}, project 7" in output.errors[0]
    assert f"is redirected to {to} without its query" in output.errors[0]
    assert output.keys(stream) == [key for key in expected_keys(server.posthog.account)[stream] if key[0] == 8]


@pytest.mark.parametrize(("status", "is_refused"), [(301, True), (302, True), (307, False), (308, False)])
def test_a_redirect_that_drops_the_body_of_a_query_is_refused(
    server: PostHogServer, status: int, is_refused: bool
) -> None:
    path = "/api/projects/7/query"
    server.posthog.faults.add(Fault(times=None, when=lambda seen: seen.path == f"{path}/", **redirect(path, status)))
    output = read(server, "events", events_api="query")
    assert (f"is redirected to {server.url}{path} without its query" in "".join(output.errors)) == is_refused
    assert (output.keys("events") == expected_keys(server.posthog.account)["events"]) != is_refused


@pytest.mark.parametrize("command", ["check", "read"])
@pytest.mark.parametrize("prefix", ["", "/ph"])
def test_a_redirect_to_another_address_is_not_followed_and_says_what_base_url_must_be(
    server: PostHogServer, stranger: PostHogServer, command: str, prefix: str
) -> None:
    away = f"{stranger.url}{prefix}"
    server.posthog.faults.add(Fault(times=None, **redirect(f"{away}/api/projects?limit=100", 301)))
    files = {"catalog": catalog()} if command == "read" else {}
    output = run(command, config=config(server.url), **files)
    sentence = output.connection[1] if command == "check" else output.errors[0]
    assert f"Set `base_url` to {away}." in sentence
    assert stranger.posthog.requests == []


def test_a_redirect_to_https_of_the_same_host_is_not_followed(server: PostHogServer) -> None:
    secure = server.url.replace("http:", "https:")
    server.posthog.faults.add(Fault(times=None, **redirect(f"{secure}/api/projects?limit=100", 301)))
    output = run("check", config=config(server.url))
    assert f"Set `base_url` to {secure}." in output.connection[1]
    assert server.posthog.count() == 1


def test_a_redirect_to_a_page_to_log_in_is_told_apart(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(times=None, **redirect("/login?next=/api/projects")))
    output = run("check", config=config(server.url))
    assert f"is redirected to {server.url}/login" in output.connection[1]
    assert "not PostHog's API" in output.connection[1]


def first_page_of(path: str) -> Callable[[Seen], bool]:
    return lambda seen: seen.path == path and "offset" not in seen.query


def test_a_redirect_that_adds_a_slash_is_followed(server: PostHogServer) -> None:
    for seen in ("/api/projects?limit=100", "/api/projects/7/cohorts?limit=100", "/api/projects/8/cohorts?limit=100"):
        path, _, query = seen.partition("?")
        server.posthog.faults.add(
            Fault(
                times=None,
                when=first_page_of(path),
                **redirect(f"{path}/?{query}", 301),
            )
        )
    output = read(server, "cohorts")
    assert output.keys("cohorts") == expected_keys(server.posthog.account)["cohorts"]
    assert output.status == 0


# --- the addresses of 1.1.25

CLOUD = "https://app.posthog.com/api/projects"
OPTIONS = {"api_key": KEY, "start_date": "2026-10-01T00:00:00Z"}
ROWS = {stream: [{"id": number} for number in (1, 2)] for stream in STREAMS if stream not in ("projects", "events")}


def mock_1_1_25(mock: requests_mock.Mocker) -> None:
    """The addresses that 1.1.25 asks, as its users have mocked or recorded them, and no other."""
    mock.get(CLOUD, json={"next": None, "results": [{"id": 7}]})
    for stream, rows in ROWS.items():
        mock.get(f"{CLOUD}/7/{stream}", json={"next": None, "results": rows})
    event = {"id": "e", "timestamp": "2026-10-02T00:00:00+00:00"}
    mock.get(f"{CLOUD}/7/events/", json={"next": None, "results": []})
    mock.get(f"{CLOUD}/7/events/?before=2026-10-31T00:00:00.000000Z", json={"next": None, "results": [event]})


def test_a_wrong_key_is_told_from_a_mock_of_the_address_that_1_1_25_asks() -> None:
    with requests_mock.Mocker() as mock:
        mock.get(CLOUD, status_code=401, json={"detail": "Invalid API key"})
        status = SourcePosthog().check(logging.getLogger("airbyte"), OPTIONS)
    assert status.status == Status.FAILED
    assert "Invalid API key" in str(status.message)


def test_all_streams_are_read_from_mocks_at_the_addresses_of_1_1_25_alone() -> None:
    with requests_mock.Mocker() as mock:
        mock_1_1_25(mock)
        chosen = ConfiguredAirbyteCatalogSerializer.load(catalog())
        messages = list(SourcePosthog().read(logging.getLogger("airbyte"), OPTIONS, chosen, []))
    got: dict[str, list[Any]] = {stream: [] for stream in STREAMS}
    for message in messages:
        if message.type is Type.RECORD and message.record:
            got[message.record.stream].append(message.record.data["id"])
    assert got == {"projects": [7], "events": ["e"], **{stream: [1, 2] for stream in ROWS}}


# --- exceptions of other libraries


class OfAnotherLibrary(requests.ConnectionError):
    """As libraries that stand in for a network have it."""


@pytest.mark.parametrize("logger", [None, logging.getLogger("airbyte")], ids=["no logger", "logger"])
def test_check_is_a_status_where_a_library_raises_a_connection_error_of_its_own(
    logger: logging.Logger | None, waits: list[float]
) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(CLOUD, exc=OfAnotherLibrary)
        status = SourcePosthog().check(logger, OPTIONS)
    assert status.status == Status.FAILED
    assert "no usable answer in 2 tries, the last one: the connection to PostHog failed" in str(status.message)


def test_check_is_a_status_where_no_address_is_mocked() -> None:
    with requests_mock.Mocker():
        status = SourcePosthog().check(None, OPTIONS)
    assert status.status == Status.FAILED
    assert "NoMockAddress" in str(status.message)


@pytest.mark.parametrize(
    "error", [requests.RequestException("odd"), OSError("no more files"), ValueError("odd"), RuntimeError("odd")]
)
def test_check_is_a_status_also_for_what_nobody_expects(error: Exception, waits: list[float]) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(CLOUD, exc=error)
        status = SourcePosthog().check(None, OPTIONS)
    assert status.status == Status.FAILED
    assert str(status.message).endswith(".")


def test_an_exception_of_another_library_is_a_connection_that_failed_in_read_too(waits: list[float]) -> None:
    with requests_mock.Mocker() as mock:
        mock.get(CLOUD, json={"next": None, "results": [{"id": 7}]})
        mock.get(f"{CLOUD}/7/cohorts", exc=OfAnotherLibrary)
        output = run("read", config=OPTIONS, catalog=catalog("cohorts"))
    assert "no usable answer in 6 tries, the last one: the connection to PostHog failed" in output.errors[0]
    assert output.errors[0].startswith("Stream cohorts, project 7: ")
