"""What the tests of the whole connector share."""

from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The lengths in seconds of the waits before a request is tried again; they take no time."""
    lengths: list[float] = []
    clock = SimpleNamespace(sleep=lengths.append)
    monkeypatch.setattr("airbyte_cdk.sources.streams.http.rate_limiting.time", clock)
    return lengths
