"""What the tests of whole syncs share."""

import signal

import pytest

from integration_tests.harness import connector
from integration_tests.harness.connector import LIST, QUERY, RANGES, Way
from integration_tests.harness.fixtures import any_day, clickhouse, engine, waits
from posthog_server.parsed_once import parse_once

__all__ = ["any_day", "clickhouse", "engine", "waits", "way"]

parse_once()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as after `&` in a script, and then in all that the tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


WAYS = {"list": LIST, "query": QUERY, "ranges": pytest.param(RANGES, marks=pytest.mark.only_long)}


@pytest.fixture(params=WAYS.values(), ids=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """The ways to ask for events; the configurations of the test take it."""
    chosen: Way = request.param
    take(chosen, monkeypatch)
    return chosen


@pytest.fixture
def by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them."""
    take(RANGES, monkeypatch)


def take(chosen: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "COMMON", chosen.options)
    monkeypatch.setattr(connector, "CONSTANTS", chosen.constants)
    for name, value in chosen.constants.items():
        monkeypatch.setattr(name, value)
