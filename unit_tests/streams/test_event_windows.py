"""What the manifest declares is what happens: the windows of events come from its `incremental_sync`."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer

from source_posthog import SourcePosthog
from source_posthog.streams.event_windows import MANIFEST, DeclaredWindows, declared_windows

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
CONFIG = {"api_key": "phx_of_the_unit_tests", "start_date": "2026-01-01T00:00:00Z", "base_url": "http://posthog"}


@pytest.fixture(autouse=True)
def posthog(requests_mock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_posthog.api.clock.now", lambda: NOW)
    requests_mock.get("http://posthog/api/projects", json={"next": None, "results": [{"id": 7}]})


def windows(timestamp: str | None = None, **config: Any) -> list[tuple[str, str]]:
    """The windows of events in a sync from a state at `timestamp`, those for late events aside."""
    entry = {"7": {"timestamp": timestamp}} if timestamp else {}
    stream = {"stream_descriptor": {"name": "events"}, "stream_state": entry}
    state = [AirbyteStateMessageSerializer.load({"type": "STREAM", "stream": stream})]
    source = SourcePosthog(config={**CONFIG, **config}, state=state)
    events = next(one for one in source.streams({**CONFIG, **config}) if one.name == "events")
    slices = [partition.to_slice() or {} for partition in events.generate_partitions()]
    return [(one["start_time"][:13], one["end_time"][:13]) for one in slices if "arrived_from" not in one]


def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str, instead: str) -> None:
    """Let the source read a copy of the manifest in which `instead` stands for `declared`."""
    text = MANIFEST.read_text()
    assert text.count(declared) == 1
    copy = tmp_path / "manifest.yaml"
    copy.write_text(text.replace(declared, instead))
    monkeypatch.setattr("source_posthog.source.MANIFEST", copy)


def test_the_windows_are_those_of_the_options() -> None:
    assert windows() == [("2026-01-01T00", "2026-01-31T00"), ("2026-01-31T00", "2026-03-01T00")]
    assert len(windows(events_time_step=10)) == 6
    assert windows("2026-02-27T05:00:00Z", events_late_days=0) == [("2026-02-27T04", "2026-03-01T00")]
    assert windows("2026-02-27T05:00:00Z") == [("2026-02-27T05", "2026-03-01T00")]


def test_the_windows_end_at_end_date_and_never_after_the_present() -> None:
    assert windows(end_date="2026-01-05T06:00:00Z") == [("2026-01-01T00", "2026-01-05T06")]
    assert windows(end_date="2026-09-01T00:00:00Z") == windows()


def test_another_step_in_the_manifest_gives_other_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(tmp_path, monkeypatch, "step: \"P{{ config['events_time_step'] }}D\"", "step: P20D")
    assert windows() == [
        ("2026-01-01T00", "2026-01-21T00"),
        ("2026-01-21T00", "2026-02-10T00"),
        ("2026-02-10T00", "2026-03-01T00"),
    ]


def test_another_lookback_in_the_manifest_gives_other_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lookback = "lookback_window: \"PT{{ config['events_lookback_hours'] }}H\""
    changed(tmp_path, monkeypatch, lookback, "lookback_window: P2D")
    assert windows("2026-02-27T05:00:00Z", events_late_days=0) == [("2026-02-25T05", "2026-03-01T00")]


def test_another_start_and_an_end_in_the_manifest_bound_the_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = "start_datetime: \"{{ config['start_date'] }}\"\n"
    start += "        end_datetime: \"{{ config.get('end_date', '') }}\""
    changed(
        tmp_path,
        monkeypatch,
        start,
        'start_datetime: "2026-02-01T00:00:00Z"\n        end_datetime: "2026-02-20T00:00:00Z"',
    )
    assert windows() == [("2026-02-01T00", "2026-02-20T00")]


def test_another_granularity_than_that_of_posthog_is_refused() -> None:
    declared = declared_windows(CONFIG)
    other = DeclaredWindows({**declared.incremental_sync, "cursor_granularity": "PT1S"}, declared.config)
    with pytest.raises(ValueError, match="cursor_granularity"):
        other.plan(NOW)


def test_what_is_not_a_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 duration"):
        declared_windows(CONFIG).duration("2026-01-01")


def test_a_duration_may_have_any_unit() -> None:
    assert declared_windows(CONFIG).duration("P1DT2H") == timedelta(hours=26)
