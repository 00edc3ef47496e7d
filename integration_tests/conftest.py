"""What the tests of the whole connector share."""

import time
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths in seconds of the waits before a request is tried again; they take no time, but the clock moves."""
    lengths: list[float] = []
    monkeypatch.setattr("airbyte_cdk.sources.streams.http.rate_limiting.time", SimpleNamespace(sleep=lengths.append))
    monkeypatch.setattr("source_posthog.clock.seconds", lambda: time.monotonic() + sum(lengths))
    return lengths
