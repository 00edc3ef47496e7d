"""The forms in which people have a state."""

from typing import Any

import pytest

from source_posthog.inputs.pasted import Unexpected, as_states

AT = "2026-01-01T00:00:00Z"
EVENTS = {"7": {"timestamp": AT, "since": AT}}
NARROWED = {**EVENTS, "filter": {"include": ["$pageview"]}}
STREAM: dict[str, Any] = {"type": "STREAM", "stream": {"stream_descriptor": {"name": "events"}, "stream_state": EVENTS}}
LEGACY = {"type": "LEGACY", "data": {"events": EVENTS}}
SHOWN = {"streamDescriptor": {"name": "events"}, "streamState": EVENTS}


@pytest.mark.parametrize(
    ("content", "states"),
    [
        ([STREAM], [STREAM]),
        (STREAM, [STREAM]),
        ({"states": [STREAM]}, [STREAM]),
        ([SHOWN], [STREAM]),
        (SHOWN, [STREAM]),
        ({"states": [SHOWN]}, [STREAM]),
        ({"stateType": "stream", "connectionId": "c", "streamState": [SHOWN]}, [STREAM]),
        ([STREAM["stream"]], [STREAM]),
        (
            [{"streamDescriptor": {"name": "events"}}],
            [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "events"}, "stream_state": None}}],
        ),
        ({"stateType": "legacy", "state": {"events": EVENTS}}, [LEGACY]),
        ({"events": EVENTS}, [LEGACY]),
        (EVENTS, [STREAM]),
        (NARROWED, [{"type": "STREAM", "stream": {**STREAM["stream"], "stream_state": NARROWED}}]),
        ([], []),
        ({}, []),
        (None, []),
        ("text", ["text"]),
        ({"7": AT}, [{"7": AT}]),
    ],
    ids=repr,
)
def test_each_form_becomes_states_of_the_protocol(content: Any, states: list[Any]) -> None:
    assert as_states(content) == states


def test_an_entry_of_a_project_alone_is_not_taken() -> None:
    with pytest.raises(Unexpected, match="does not say of which stream and project"):
        as_states({"timestamp": AT, "since": AT})


@pytest.mark.parametrize("entry", [{"timestamp": AT}, {"since": AT}, {"ended_at": AT}, {}], ids=repr)
def test_entries_that_can_be_those_of_a_query_are_not_taken_for_events(entry: dict[str, str]) -> None:
    """A query can have `timestamp` as its cursor: taken for the state of events, it would leave events out."""
    with pytest.raises(Unexpected, match="does not say of which stream"):
        as_states({"7": entry, "8": entry})
