"""The connector from Python: `SourcePosthog()` needs no arguments, and goes by what its methods are given."""

import logging
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests_mock
from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalogSerializer, Status, Type

from integration_tests.harness.connector import arguments, catalog, config, expected_keys, run
from posthog_server import Fault, PostHogServer, account_with, event, missing_scope
from posthog_server.api import STREAMS
from source_posthog import SourcePosthog

CATALOG = ConfiguredAirbyteCatalogSerializer.load(catalog("events"))


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: [event("2026-11-01T00:00:00Z")], 8: []})) as server:
        yield server


def events(messages: Iterable[AirbyteMessage]) -> list[tuple[int, str]]:
    return sorted(
        (message.record.data["project_id"], message.record.data["id"])
        for message in messages
        if message.type == Type.RECORD and message.record
    )


@pytest.mark.parametrize("logger", [None, logging.getLogger("airbyte")], ids=["no logger", "logger"])
def test_it_checks_discovers_and_reads_without_arguments(server: PostHogServer, logger: logging.Logger | None) -> None:
    source, options = SourcePosthog(), config(server.url)
    assert source.check(logger, options).status == Status.SUCCEEDED
    assert [stream.name for stream in source.discover(logger, options).streams] == list(STREAMS)
    assert [stream.name for stream in source.streams(options)] == list(STREAMS)
    assert events(source.read(logger, options, CATALOG)) == expected_keys(server.posthog.account)["events"]


def test_spec_needs_no_config() -> None:
    no_logger: Any = None  # the CDK asks for one, but its callers often have none
    assert "api_key" in SourcePosthog().spec(no_logger).connectionSpecification["required"]


def test_a_config_that_is_given_late_is_the_one_that_is_used(server: PostHogServer) -> None:
    source = SourcePosthog(config=config("http://127.0.0.1:9"))
    assert source.check(None, config(server.url)).status == Status.SUCCEEDED
    assert events(source.read(None, config(server.url), CATALOG, [])) != []


def test_a_source_that_was_built_with_everything_reads_too(server: PostHogServer) -> None:
    options = config(server.url)
    source = SourcePosthog(CATALOG, options, [])
    assert events(source.read(None, options, CATALOG, [])) == expected_keys(server.posthog.account)["events"]


@pytest.mark.parametrize("options", [{}, {"api_key": "phx_x"}, {"api_key": "phx_x", "start_date": "soon"}, None, []])
def test_check_answers_with_a_failed_status_and_never_with_an_exception(options: Any) -> None:
    status = SourcePosthog().check(None, options)
    assert status.status == Status.FAILED
    assert "option" in status.message


LEVELS = """
import logging, sys
logging.getLogger("airbyte").setLevel(logging.WARNING)
from source_posthog import SourcePosthog
from integration_tests.harness.connector import config
print(SourcePosthog().check(None, config(sys.argv[1])).status.value, logging.getLogger("airbyte").level)

from airbyte_cdk.entrypoint import launch
logging.getLogger("airbyte").setLevel(logging.ERROR)
launch(SourcePosthog(), sys.argv[2:])
"""


@pytest.mark.slow
def test_a_level_of_the_log_that_a_program_has_set_is_kept(server: PostHogServer, tmp_path: Path) -> None:
    read = arguments(tmp_path, "read", config=config(server.url), catalog=catalog("events", "projects"))
    done = subprocess.run([sys.executable, "-c", LEVELS, server.url, *read], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("SUCCEEDED 30\n")
    assert '"RECORD"' in done.stdout
    assert '"LOG"' not in done.stdout


# --- check_connection, which every AbstractSource of the CDK of 1.1.25 has

WRONG_KEY: dict[str, Any] = {
    "status_code": 401,
    "headers": {"X-Server": "seen by nobody"},
    "json": {"code": "authentication_failed", "detail": "Invalid personal API key."},
}


@pytest.mark.parametrize("logger", [None, logging.getLogger("airbyte")], ids=["no logger", "logger"])
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [(WRONG_KEY, "PostHog does not accept the API key"), ({"status_code": 401}, "PostHog refuses access")],
    ids=["with a reason", "empty"],
)
def test_check_connection_gives_false_and_the_sentence(
    logger: logging.Logger | None, answer: dict[str, Any], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with requests_mock.Mocker() as mocked:
        mocked.get("https://app.posthog.com/api/projects", **answer)
        options = {"api_key": "phx_not_a_key", "start_date": "2021-01-01T00:00:00Z"}
        works, error = SourcePosthog().check_connection(logger, options)
    assert works is False
    assert sentence in str(error)
    assert "ERROR" not in "".join(capfd.readouterr())


def test_check_connection_gives_true_and_no_sentence(server: PostHogServer) -> None:
    assert SourcePosthog().check_connection(None, config(server.url)) == (True, None)


def test_check_connection_answers_a_bad_configuration_too() -> None:
    works, error = SourcePosthog().check_connection(None, {})
    assert (works, "`api_key` is missing" in str(error)) == (False, True)


# --- what is said of a refused request


@pytest.mark.matrix
@pytest.mark.parametrize("command", ["check", "read"])
@pytest.mark.parametrize("stream", ["projects", "cohorts", "insights", "events"])
def test_a_refused_request_is_told_in_its_sentence_alone(server: PostHogServer, command: str, stream: str) -> None:
    fault = missing_scope("some:read")
    fault["headers"] = {"X-Server": "seen by nobody"}
    server.posthog.faults.add(Fault(stream=stream, times=None, **fault))
    files = {"config": config(server.url), **({"catalog": catalog()} if command == "read" else {})}
    got = run(command, **files)
    assert "missing required scope" in got.text
    assert "seen by nobody" not in got.text
    assert "failed with status code" not in got.text
