"""What the tests of the whole connector share."""

import time
from types import SimpleNamespace

import pytest

from integration_tests import connector
from integration_tests.connector import LIST, QUERY, Way


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths in seconds of the waits before a request is tried again; they take no time, but the clock moves."""
    lengths: list[float] = []
    monkeypatch.setattr("airbyte_cdk.sources.streams.http.rate_limiting.time", SimpleNamespace(sleep=lengths.append))
    monkeypatch.setattr("source_posthog.clock.seconds", lambda: time.monotonic() + sum(lengths))
    return lengths


@pytest.fixture(params=[LIST, QUERY], ids=["list", "query"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Both ways to ask for events; the configurations of the test take it."""
    chosen: Way = request.param
    monkeypatch.setattr(connector, "COMMON", chosen.options)
    return chosen
