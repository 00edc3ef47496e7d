"""Makes the virtual environments that the chosen tests need, side by side, since together they take two minutes.

The fixtures of whole syncs apply here too.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from integration_tests.harness.fixtures import any_day, clickhouse, engine, uncaptured, waits
from posthog_server.parsed_once import parse_once

__all__ = ["any_day", "clickhouse", "engine", "environments", "waits"]

parse_once()


@pytest.fixture(scope="session", autouse=True)
def environments(request: pytest.FixtureRequest) -> None:
    """What the modules of the tests name as ENVIRONMENTS: functions that make one if it is not there."""
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    makers = {make for module in modules for make in getattr(module, "ENVIRONMENTS", ())}
    with uncaptured(request.config), ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda make: make(), makers))
