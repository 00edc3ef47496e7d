"""What the tests of whole syncs share."""

import signal
from collections.abc import Iterator

import pytest

from integration_tests.harness.connector import LIST, QUERY, RANGES, Way, by_way
from integration_tests.harness.fixtures import any_day, clickhouse, engine, waits
from posthog_server.parsed_once import parse_once

__all__ = ["any_day", "clickhouse", "engine", "waits", "way"]

parse_once()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as after `&` in a script, and then in all that the tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


WAYS = {"list": LIST, "query": QUERY, "ranges": pytest.param(RANGES, marks=pytest.mark.only_long)}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """The ways to ask for events; the configurations of the test take it."""
    with by_way(request.param):
        yield request.param


@pytest.fixture
def by_ranges() -> Iterator[None]:
    """One of them."""
    with by_way(RANGES):
        yield
