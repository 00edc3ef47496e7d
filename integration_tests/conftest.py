"""What the tests of whole syncs share."""

import signal

import pytest

from integration_tests.harness import connector
from integration_tests.harness.connector import LIST, QUERY, Way
from integration_tests.harness.fixtures import any_day, clickhouse, engine, waits
from posthog_server.parsed_once import parse_once

__all__ = ["any_day", "clickhouse", "engine", "waits", "way"]

parse_once()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as after `&` in a script, and then in all that the tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=[LIST, QUERY], ids=["list", "query"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Both ways to ask for events; the configurations of the test take it."""
    chosen: Way = request.param
    monkeypatch.setattr(connector, "COMMON", chosen.options)
    return chosen
