"""What the tests of the whole connector share."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from integration_tests import connector
from integration_tests.connector import LIST, QUERY, Way
from posthog_server.clickhouse import ClickHouse, Engine
from posthog_server.parsed_once import parse_once

parse_once()

# The tests of these share what takes seconds to make, or an environment into which each run installs the connector.
TOGETHER = ("ecosystem/test_image.py", "ecosystem/test_earlier_versions.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With `--dist loadscope`: a test at a time goes to whichever worker is free, but for the files of TOGETHER."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith(TOGETHER) else nodeid


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths in seconds of the waits before a request is tried again; they take no time, but the clock moves."""
    lengths: list[float] = []
    monkeypatch.setattr("airbyte_cdk.sources.streams.http.rate_limiting.time", SimpleNamespace(sleep=lengths.append))
    monkeypatch.setattr("source_posthog.api.requester.sleep", lengths.append)
    monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: time.monotonic() + sum(lengths))
    return lengths


@pytest.fixture(autouse=True)
def _any_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """On no day do the start dates of the tests lie so far back that projects are asked for their retention."""
    monkeypatch.setattr("source_posthog.streams.retention.NEVER_LESS", 1200)


@pytest.fixture(params=[LIST, QUERY], ids=["list", "query"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Both ways to ask for events; the configurations of the test take it."""
    chosen: Way = request.param
    monkeypatch.setattr(connector, "COMMON", chosen.options)
    return chosen


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One ClickHouse for all tests of a process. Its environment is made where it is not there."""
    with Engine() as running:
        yield running


@pytest.fixture
def clickhouse(engine: Engine) -> Iterator[ClickHouse]:
    """The tables of one test; one that needs more than one account makes others of `engine`."""
    with ClickHouse(engine) as tables:
        yield tables
