"""The forms of a state that is handed over, and what becomes of each."""

from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessage, AirbyteStateMessageSerializer

from source_posthog.exact.states import entries
from source_posthog.inputs.states import taken

SEVEN = {"7": {"timestamp": "2026-01-01T00:00:00Z"}}


# What the CDK writes beside the states of partitions; the first is how long a sync took, in seconds.
CDK = {"lookback_window": 5, "use_global_cursor": False, "state": {"a": "z"}, "parent_state": {}}


def partition(project: Any, **cursor: Any) -> dict[str, Any]:
    return {"partition": {"project_id": project, "parent_slice": {}}, "cursor": cursor}


def loaded(*states: dict[str, Any]) -> list[AirbyteStateMessage]:
    return [AirbyteStateMessageSerializer.load(one) for one in states]


def streams(state: Any) -> tuple[dict[str, Any], list[str]]:
    """The state of each stream, and what is not taken."""
    states, ignored = taken(state)
    return {
        one.stream.stream_descriptor.name: vars(one.stream.stream_state)
        for one in states
        if one.stream and one.stream.stream_state
    }, ignored


def of_events(state: dict[str, Any]) -> dict[str, Any]:
    return {"type": "STREAM", "stream": {"stream_descriptor": {"name": "events"}, "stream_state": state}}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, {}),
        (SEVEN, SEVEN),
        ({"timestamp": "2026-01-01T00:00:00Z", **SEVEN}, {"timestamp": "2026-01-01T00:00:00Z", **SEVEN}),
        ({"__ab_full_refresh_sync_complete": True}, {}),
        ({"__ab_no_cursor_state_message": True}, {}),
        ({"__ab_is_sync_complete": False, **SEVEN}, SEVEN),
        (
            {"7": {"since": "x", "before": {"since": "y"}, "__ab_z": True}},
            {"7": {"since": "x", "before": {"since": "y"}}},
        ),
        ({"7": {"__ab_full_refresh_sync_complete": True}, "8": {}}, {"8": {}}),
        ({"7": "no entry"}, {"7": "no entry"}),
        ({"states": "no list"}, {"states": "no list"}),
        ({"states": [partition(7, a="x"), partition("8", a="y")]}, {"7": {"a": "x"}, "8": {"a": "y"}}),
        ({**CDK, "states": [partition(7, a="x")]}, {"7": {"a": "x"}}),
        ({"states": [partition(7, __ab_full_refresh_sync_complete=True)]}, {}),
        ({"states": []}, {}),
    ],
)
def test_entries_are_those_of_projects_alone(content: dict[str, Any], found: dict[str, Any]) -> None:
    assert entries(content) == (found, [])


@pytest.mark.parametrize(
    ("content", "ignored"),
    [
        ({"states": [{"partition": {"id": 7}, "cursor": {}}]}, ["a partition in `states`"]),
        ({"states": [5, partition(7, slices=[], state_type="date-range")]}, ["a partition in `states`"] * 2),
        ({"use_global_cursor": True, "state": {"timestamp": "x"}}, ["the cursor for all partitions"]),
        ({"use_global_cursor": True, "states": []}, ["the cursor for all partitions"]),
    ],
)
def test_what_says_nothing_of_a_single_project_is_not_taken(content: dict[str, Any], ignored: list[str]) -> None:
    assert entries(content) == ({}, ignored)


OF_EVENTS = of_events(SEVEN)["stream"]


@pytest.mark.parametrize(
    ("state", "found", "ignored"),
    [
        (None, {}, []),
        ([], {}, []),
        ({}, {}, []),
        (loaded(of_events(SEVEN)), {"events": SEVEN}, []),
        (loaded({"stream": of_events(SEVEN)["stream"]}), {"events": SEVEN}, []),
        (loaded({"stream": {"stream_descriptor": {"name": "events"}}}), {}, []),
        (loaded(of_events({"8": {"timestamp": "x"}}), of_events(SEVEN)), {"events": SEVEN}, []),
        (loaded(of_events(SEVEN), of_events({})), {}, []),
        (loaded({"type": "LEGACY", "data": {"events": SEVEN}}), {"events": SEVEN}, []),
        (loaded({"data": {"events": SEVEN, "mine": SEVEN}}), {"events": SEVEN, "mine": SEVEN}, []),
        ({"events": SEVEN, "cohorts": {}}, {"events": SEVEN}, []),
        ({"events": SEVEN, "timestamp": "x"}, {"events": SEVEN}, ["`timestamp`"]),
        (
            loaded({"type": "GLOBAL", "global": {"stream_states": [OF_EVENTS]}}),
            {"events": SEVEN},
            [],
        ),
        (
            loaded({"type": "GLOBAL", "global": {"stream_states": [OF_EVENTS], "shared_state": {"a": 1}}}),
            {"events": SEVEN},
            ["the shared state"],
        ),
        (loaded(of_events({"use_global_cursor": True})), {}, ["the cursor for all partitions of stream events"]),
    ],
)
def test_every_form_becomes_one_state_a_stream(state: Any, found: dict[str, Any], ignored: list[str]) -> None:
    assert streams(state) == (found, ignored)
    assert streams(taken(state)[0]) == (found, [])
