"""The slicer built from two slicers, as version 1.1.25 is: the windows of the second for each project of the first."""

import pytest
from airbyte_cdk.legacy.sources.declarative.incremental.datetime_based_cursor import DatetimeBasedCursor
from airbyte_cdk.sources.declarative.datetime.min_max_datetime import MinMaxDatetime
from airbyte_cdk.sources.declarative.partition_routers import ListPartitionRouter
from airbyte_cdk.sources.declarative.requesters.request_option import RequestOption
from airbyte_cdk.sources.types import StreamSlice

from source_posthog.exact.instants import instant
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer

FORMAT = "%Y-%m-%dT%H:%M:%S.%f%z"


def at(text: str) -> MinMaxDatetime:
    return MinMaxDatetime(datetime=text, datetime_format=FORMAT, parameters={})


def product(*projects: str) -> EventsCartesianProductStreamSlicer:
    windows = DatetimeBasedCursor(
        start_datetime=MinMaxDatetime(
            datetime="2021-01-01T00:00:00.000000+0000", datetime_format=FORMAT, parameters={}
        ),
        end_datetime=MinMaxDatetime(datetime="2021-02-01T00:00:00.000000+0000", datetime_format=FORMAT, parameters={}),
        step="P10D",
        cursor_field="timestamp",
        datetime_format=FORMAT,
        cursor_granularity="PT0.000001S",
        start_time_option=RequestOption(inject_into="request_parameter", field_name="after", parameters={}),  # type: ignore[arg-type]  # the CDK takes a string
        config={},
        parameters={},
    )
    router = ListPartitionRouter(values=list(projects), cursor_field="project_id", config={}, parameters={})
    return EventsCartesianProductStreamSlicer(stream_slicers=[router, windows], parameters={})  # type: ignore[list-item]  # any second slicer


@pytest.mark.parametrize(
    ("state", "number"),
    [
        ({}, 4),
        ({"2331": {"timestamp": "2021-01-01T17:00:00.000000+00:00"}}, 4),
        ({"timestamp": "2021-01-01T17:00:00.000000+00:00"}, 4),
        ({"2331": {"timestamp": "2021-01-27T17:00:00+00:00"}}, 1),
        ({"another": {"timestamp": "2021-01-27T17:00:00+00:00"}}, 4),
    ],
    ids=["no state", "state", "from before 0.1.8", "late state, no fraction", "state of another project"],
)
def test_each_project_has_the_windows_of_the_second_slicer_from_its_own_state(
    state: dict[str, object], number: int
) -> None:
    slicer = product("2331")
    slicer.set_initial_state(state)
    slices = list(slicer.stream_slices())
    assert len(slices) == number
    assert {one["project_id"] for one in slices} == {"2331"}
    assert instant(slices[-1]["end_time"]) == instant("2021-02-01T00:00:00Z")
    entry = state.get("2331", state)
    first = entry["timestamp"] if isinstance(entry, dict) and "timestamp" in entry else "2021-01-01T00:00:00Z"
    assert instant(slices[0]["start_time"]) == instant(first)


def test_each_window_begins_where_the_one_before_ended() -> None:
    slices = list(product("2331").stream_slices())
    assert [one["start_time"] for one in slices[1:]] == [one["end_time"] for one in slices[:-1]]


def test_projects_have_states_of_their_own_that_wait_for_the_oldest_window() -> None:
    slicer = product("1", "2")
    slicer.set_initial_state({"2": {"timestamp": "2021-01-25T00:00:00+00:00"}})
    slices = list(slicer.stream_slices())
    assert [one["project_id"] for one in slices] == ["1", "1", "1", "1", "2"]
    slicer.close_slice(slices[1], {"timestamp": "2021-01-12T00:00:00+00:00"})
    assert "1" not in slicer.get_stream_state()
    slicer.close_slice(slices[0], None)
    assert slicer.get_stream_state() == {
        "1": {"timestamp": "2021-01-12T00:00:00+00:00"},
        "2": {"timestamp": "2021-01-25T00:00:00+00:00"},
    }


def test_a_slice_that_was_not_made_here_stands_for_itself() -> None:
    slicer = product("2331")
    bounds = {"start_time": "2021-01-01T00:00:00Z", "end_time": "2021-02-01T00:00:00Z"}
    window = StreamSlice(partition={"project_id": "2331"}, cursor_slice=bounds)
    slicer.close_slice(window, {"timestamp": "2021-01-20T00:00:00.5+00:00"})
    assert slicer.get_stream_state() == {"2331": {"timestamp": "2021-01-20T00:00:00.5+00:00"}}
