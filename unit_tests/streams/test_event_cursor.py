"""The windows and the state of the events stream."""

import random
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    StreamDescriptor,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.partition_routers import ListPartitionRouter
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api import clock as clock_of_ours
from source_posthog.exact.events.windows import Window
from source_posthog.exact.instants import instant
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer
from source_posthog.streams.event_windows import declared_windows

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_of_ours, "now", lambda: NOW)


def slicer(state: dict[str, Any] | None = None, **config: Any) -> EventsCartesianProductStreamSlicer:
    made = EventsCartesianProductStreamSlicer(config=config)
    made.set_initial_state(state or {})
    return made


def spans(made: EventsCartesianProductStreamSlicer, project: str) -> list[tuple[str, str]]:
    return [(s["start_time"], s["end_time"]) for s in made.stream_slices() if s["project_id"] == project]


def event(timestamp: str) -> dict[str, Any]:
    return {"id": "e", "timestamp": timestamp}


def test_without_arguments_it_slices_the_projects_named_in_its_state() -> None:
    made = EventsCartesianProductStreamSlicer()
    made.set_initial_state({"p": {"timestamp": "2021-01-01T00:00:00.000000Z"}})
    windows = list(made.stream_slices())
    assert {window["project_id"] for window in windows} == {"p"}
    assert windows[0]["start_time"] == "2020-12-31T23:00:00.000000Z"
    assert instant(windows[-1]["end_time"]) == NOW


def test_windows_meet_without_gap_or_overlap_from_the_state_to_now() -> None:
    windows = spans(slicer({"1": {"timestamp": "2026-01-01T00:00:00Z"}}, events_lookback_hours=0), "1")
    assert windows == [
        ("2026-01-01T00:00:00.000000Z", "2026-01-31T00:00:00.000000Z"),
        ("2026-01-31T00:00:00.000000Z", "2026-03-01T12:00:00.000000Z"),
    ]


@pytest.mark.parametrize(
    ("state", "start"),
    [
        ({"1": {"timestamp": "2026-02-20T00:00:00Z"}}, "2026-02-19T22:00:00.000000Z"),
        ({"1": {"timestamp": "2026-02-20T02:00:00.5+02:00"}}, "2026-02-19T22:00:00.500000Z"),
        ({"1": {"timestamp": "2026-02-20T02:00:00+0200"}}, "2026-02-19T22:00:00.000000Z"),
        ({"1": {"timestamp": "2020-01-01T00:00:00Z"}}, "2026-02-01T00:00:00.000000Z"),
        ({"1": {}, "timestamp": "2026-02-20T00:00:00.000000+00:00"}, "2026-02-19T22:00:00.000000Z"),
    ],
    ids=["lookback", "zone and fraction", "zone without colon", "not before start_date", "pre-0.1.8"],
)
def test_a_project_begins_some_hours_before_its_state_but_not_before_start_date(
    state: dict[str, Any], start: str
) -> None:
    made = slicer(state, start_date="2026-02-01T00:00:00Z", events_lookback_hours=2)
    assert spans(made, "1")[0][0] == start


@pytest.mark.parametrize("days", [1, 30, 91])
def test_no_window_is_longer_than_the_time_step(days: int) -> None:
    windows = spans(slicer({"1": {"timestamp": "2025-01-01T00:00:00Z"}}, events_time_step=days), "1")
    assert all(instant(end) - instant(start) <= timedelta(days=days) for start, end in windows)
    assert [end for _, end in windows[:-1]] == [start for start, _ in windows[1:]]


def test_windows_take_turns_over_the_projects() -> None:
    made = slicer({p: {"timestamp": "2026-01-01T00:00:00Z"} for p in ("1", "2", "3")}, events_time_step=1)
    assert [s["project_id"] for s in islice(made.stream_slices(), 6)] == ["1", "2", "3", "1", "2", "3"]


def test_a_state_or_start_date_in_the_future_gives_no_window() -> None:
    assert list(slicer({"1": {"timestamp": "2031-01-01T00:00:00Z"}}).stream_slices()) == []
    assert spans(slicer({"1": {}}, start_date="2031-01-01T00:00:00Z"), "1") == []


def test_a_closed_window_moves_the_state_to_its_newest_record() -> None:
    made = slicer({"1": {"timestamp": "2026-02-20T00:00:00Z"}})
    (window,) = made.stream_slices()
    made.close_slice(window, event("2026-02-25T00:00:00.000001+00:00"))
    assert made.get_stream_state() == {"1": {"timestamp": "2026-02-25T00:00:00.000001+00:00"}}


def test_the_state_never_moves_back_whatever_the_form_of_the_timestamps() -> None:
    made = slicer({"1": {"timestamp": "2026-02-25T00:00:00+00:00"}})
    (window,) = made.stream_slices()
    made.close_slice(window, event("2026-02-25T01:00:00.5+02:00"))
    assert made.get_stream_state() == {"1": {"timestamp": "2026-02-25T00:00:00+00:00"}}


def test_the_state_waits_for_the_oldest_open_window() -> None:
    made = slicer({"1": {"timestamp": "2026-01-01T00:00:00Z"}}, events_time_step=10, events_lookback_hours=0)
    windows = list(made.stream_slices())
    for index in (2, 1, 4, 3):
        made.close_slice(windows[index], event(windows[index]["start_time"]))
        assert made.get_stream_state() == {"1": {"timestamp": "2026-01-01T00:00:00Z"}}
    made.close_slice(windows[0], None)
    assert made.get_stream_state() == {"1": {"timestamp": windows[4]["start_time"]}}


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order_of_closing_the_state_covers_only_closed_windows(seed: int) -> None:
    made = slicer({"1": {"timestamp": "2026-01-01T00:00:00Z"}}, events_time_step=5, events_lookback_hours=0)
    windows = list(made.stream_slices())
    order = list(range(len(windows)))
    random.Random(seed).shuffle(order)
    closed = set()
    for index in order:
        made.close_slice(windows[index], event(windows[index]["start_time"]) if index % 2 else None)
        closed.add(index)
        reached = instant(made.get_stream_state()["1"]["timestamp"])
        unread = [instant(w["start_time"]) for i, w in enumerate(windows) if i not in closed]
        assert all(reached <= start for start in unread)


def test_projects_do_not_hold_back_each_other() -> None:
    made = slicer({p: {"timestamp": "2026-02-20T00:00:00Z"} for p in ("1", "2")})
    first, second = made.stream_slices()
    made.close_slice(second, event("2026-02-28T00:00:00Z"))
    assert made.get_stream_state()["1"] == {"timestamp": "2026-02-20T00:00:00Z"}
    assert made.get_stream_state()["2"] == {"timestamp": "2026-02-28T00:00:00Z"}
    assert first["project_id"] == "1"


def test_an_empty_window_moves_the_state_to_its_end_only_when_that_is_long_past() -> None:
    made = slicer({"1": {"timestamp": "2026-02-27T00:00:00Z"}}, events_time_step=1, events_lookback_hours=0)
    one, two, three = made.stream_slices()
    made.close_slice(one, None)
    assert made.get_stream_state()["1"] == {"timestamp": "2026-02-28T00:00:00.000000Z"}
    made.close_slice(two, None)  # ended 12 hours ago: a clock 12 hours ahead of PostHog's would lose what is to come
    made.close_slice(three, None)
    assert made.get_stream_state()["1"] == {"timestamp": "2026-02-28T00:00:00.000000Z"}


def test_a_state_from_before_0_1_8_stands_for_every_project_without_its_own_and_is_kept() -> None:
    made = slicer({"timestamp": "2026-02-20T00:00:00Z", "1": {"timestamp": "2026-02-27T00:00:00Z"}})
    window = StreamSlice(
        partition={"project_id": 2},
        cursor_slice={"start_time": "2026-02-20T00:00:00Z", "end_time": "2026-03-01T00:00:00Z"},
    )
    made.close_slice(window, event("2026-02-28T00:00:00Z"))
    assert made.get_stream_state() == {
        "timestamp": "2026-02-20T00:00:00Z",
        "1": {"timestamp": "2026-02-27T00:00:00Z"},
        "2": {"timestamp": "2026-02-28T00:00:00Z"},
    }


@pytest.mark.parametrize(
    "state",
    [
        {"7": {"timestamp": "yesterday"}},
        {"7": "2026-13-01"},
        {"timestamp": 5},
        {"7": {"timestamp": "12:00"}},
        {"7": 3},
        {"7": "2026-01-01T00:00:00Z"},
    ],
)
def test_a_state_that_is_no_date_is_refused_with_a_sentence(state: dict[str, Any]) -> None:
    with pytest.raises(AirbyteTracedException, match=r"The state (of project 7|for all projects) in stream events"):
        slicer(state)


def states_of(projects: int, entries: int, *covers: tuple[int, int]) -> int:
    """How many states follow `covers` of project 1, each of so many seconds and rows, in an account of `projects`."""
    timestamp = {"timestamp": "2026-02-20T00:00:00Z"}
    known = AirbyteStreamState(
        stream_descriptor=StreamDescriptor(name="events"),
        stream_state=AirbyteStateBlob({str(one): timestamp for one in range(1, entries + 1)}),
    )
    manager = ConnectorStateManager([AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=known)])
    made = EventsCartesianProductStreamSlicer(
        stream_slicers=[ListPartitionRouter([*map(str, range(1, projects + 1))], "project_id", {}, {})],
        config={"start_date": "2026-02-01T00:00:00Z"},
    )
    messages = InMemoryMessageRepository()
    made.bind("events", declared_windows(made.config), manager, messages)
    next(iter(made.stream_slices()))
    at = instant("2026-02-20T00:00:00Z") - timedelta(hours=1)
    for seconds, rows in covers:
        start, at = at, at + timedelta(seconds=seconds)
        made.cover("1", Window(start, at), at.isoformat(), rows)
    return len(list(messages.consume_queue()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("projects", "entries", "covers", "states"),
    [
        (1000, 1000, [(7200, 4_004)], 1),
        (1000, 1000, [(7200, 4_003)], 0),
        (30_000, 30_000, [(7200, 8_000), (1, 7_999), (1, 1)], 2),
        (30_000, 30_000, [(7200, 100)] * 9, 0),
        (1, 30_000, [(7200, 7), (1, 1)], 1),
    ],
    ids=["many projects", "too few rows", "a dense one among very many", "small ones", "the others are gone"],
)
def test_states_are_rationed_by_the_entries_that_are_read_but_each_part_of_a_dense_project_has_one(
    projects: int, entries: int, covers: list[tuple[int, int]], states: int
) -> None:
    assert states_of(projects, entries, *covers) == states


def test_records_are_compared_as_instants_and_never_filtered() -> None:
    made = slicer()
    assert made.is_greater_than_or_equal(event("2026-01-01T00:00:00+00:00"), event("2026-01-01T01:00:00.0+01:00"))
    assert not made.is_greater_than_or_equal(event("2026-01-01T00:00:00Z"), event("2026-01-01T00:00:00.000001Z"))
    assert made.should_be_synced(Record(event("2020-01-01T00:00:00Z"), "events"))
