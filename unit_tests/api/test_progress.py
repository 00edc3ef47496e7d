"""What is said while all that is going on is a wait."""

import logging
import sys
from io import StringIO
from queue import Empty
from typing import Any

import pytest
from airbyte_cdk.logger import PRINT_BUFFER

from source_posthog import engine
from source_posthog.api import clock
from source_posthog.api.progress import SECONDS_BETWEEN_SIGNS, SyncLog
from source_posthog.engine import Output


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that have passed; append to let more pass."""
    passed: list[float] = []
    monkeypatch.setattr(clock, "seconds", lambda: sum(passed))
    return passed


def test_a_long_wait_is_mentioned_every_ten_minutes(passes: list[float], caplog: pytest.LogCaptureFixture) -> None:
    log = SyncLog()
    log.retry("cohorts", 3000, "HTTP 429")
    log.retry("events", 1000, "HTTP 429")
    caplog.clear()
    with caplog.at_level(logging.INFO, "airbyte"):
        for _ in range(3600):
            passes.append(1)
            log.idle()
    assert [record.getMessage() for record in caplog.records] == [
        "Stream cohorts: still waiting, for another 40 min",
        "Stream events: still waiting, for another 7 min",
        "Stream cohorts: still waiting, for another 30 min",
        "Stream cohorts: still waiting, for another 20 min",
        "Stream cohorts: still waiting, for another 10 min",
    ]


def test_nothing_is_said_where_nothing_waits(passes: list[float], caplog: pytest.LogCaptureFixture) -> None:
    log = SyncLog()
    with caplog.at_level(logging.INFO, "airbyte"):
        passes.append(SECONDS_BETWEEN_SIGNS * 2)
        log.idle()
    assert caplog.records == []


def test_the_queue_of_a_sync_is_idle_for_as_long_as_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PATIENCE", 0.0)
    item: Any = object()
    idle: list[int] = []

    def come_after_three() -> None:
        idle.append(1)
        if len(idle) == 3:
            output.put(item)

    output = Output(come_after_three)
    assert output.get() is item
    assert len(idle) == 3
    with pytest.raises(Empty):
        output.get(block=False)


def test_what_was_printed_last_is_shown_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    monkeypatch.setattr(sys, "__stdout__", shown)
    PRINT_BUFFER.flush()
    shown.truncate(0)
    monkeypatch.setattr(PRINT_BUFFER, "flush_interval", 1e9)  # never flushes by itself
    PRINT_BUFFER.write("Backing off.\n")
    assert shown.getvalue() == ""
    SyncLog().idle()
    assert shown.getvalue() == "Backing off.\n"
