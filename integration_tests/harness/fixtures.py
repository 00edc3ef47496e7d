"""The fixtures of the tests that run the whole connector: those of integration_tests/ and of ecosystem_tests/."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from posthog_server.clickhouse import ClickHouse, Engine


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths in seconds of the waits before a request is sent; they take no time, but the clock moves."""
    lengths: list[float] = []
    monkeypatch.setattr("source_posthog.api.sync.Sync.wait", lambda _, seconds: lengths.append(seconds))
    monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: time.monotonic() + sum(lengths))
    return lengths


@pytest.fixture(autouse=True)
def any_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """On no day do the start dates of the tests lie so far back that projects are asked for their retention."""
    monkeypatch.setattr("source_posthog.streams.retention.NEVER_LESS", 1200)


def uncaptured(config: pytest.Config) -> AbstractContextManager[None]:
    """What is printed in the block appears at once, as that an environment is installed, which takes a while."""
    capture: AbstractContextManager[None] = config.pluginmanager.getplugin(
        "capturemanager"
    ).global_and_fixture_disabled()
    return capture


@pytest.fixture(scope="session")
def engine(pytestconfig: pytest.Config) -> Iterator[Engine]:
    """One ClickHouse for all tests of a process. Its environment is made where it is not there."""
    with uncaptured(pytestconfig):
        running = Engine()
    with running:
        yield running


@pytest.fixture
def clickhouse(engine: Engine) -> Iterator[ClickHouse]:
    """The tables of one test; one that needs more than one account makes others of `engine`."""
    with ClickHouse(engine) as tables:
        yield tables
