"""The connector from Python: `SourcePosthog()` needs no arguments, and goes by what its methods are given."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalogSerializer, Status, Type

from integration_tests.connector import STREAMS, catalog, config, expected_keys
from integration_tests.posthog_server import PostHogServer, account_with, event
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
