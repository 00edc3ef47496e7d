"""A state as people have it at hand, made states of the protocol.

[{"type": "STREAM", "stream": {...}}]                                 the protocol's own, also without their type
{"states": [...]}                                                     a list of those, or of the next
[{"streamDescriptor": {"name": "events"}, "streamState": {...}}]      as Airbyte's interface shows it
{"stateType": "stream", "streamState": [...]}                         as its API gives it, around such a list
{"events": {...}}                                                     by stream, as before states of a single stream
{"7": {"timestamp": "...", "since": "..."}, "filter": {...}}          by project, as only that of events looks
"""

from collections.abc import Callable, Mapping
from typing import Any

from airbyte_cdk.models import AirbyteStateType

from source_posthog.exact.events.names import FILTER

STATES = {kind.value for kind in AirbyteStateType}
_PARTS_OF_A_STATE = {"type", "stream", "global", "data", "streamDescriptor", "stream_descriptor"}
_OF_EVENTS = {"since", "arrived"}  # beside `timestamp`, which can be the cursor of a query as well


class Unexpected(Exception):
    """JSON, but not what it should be; with what is wrong, where there is a word for that."""


def as_states(content: Any) -> list[Any]:
    """The states in `content`, decoded JSON; what is in none of the forms stays as it is.

    Raises Unexpected for an entry of a project alone, and for entries of projects that can be those of any stream.
    """
    match content:
        case {"states": [*states]} | {"stateType": "stream", "streamState": [*states]}:
            content = states
        case {"timestamp": str()}:
            raise Unexpected(
                "it does not say of which stream and project. If it is that of events, write "
                '{"events": {"the id of the project": ...}} around it'
            )
        case {"stateType": "legacy", "state": by_stream}:
            content = _legacy(by_stream)
        case _ if _are_all(content, _is_project):
            content = {"stream_descriptor": {"name": _stream_of(content)}, "stream_state": content}
        case _ if _are_all(content, str.isidentifier) and not content.keys() & _PARTS_OF_A_STATE:
            content = _legacy(content)
    contents = content if isinstance(content, list) else [content] if content else []
    return [_with_type(one) for one in contents]


def _are_all(content: Any, has_form: Callable[[str], bool]) -> bool:
    """Whether `content` has an object under each of its names, which have a form."""
    return (
        isinstance(content, dict)
        and bool(content)
        and all(has_form(name) and isinstance(one, dict) for name, one in content.items())
    )


def _is_project(name: str) -> bool:
    return name.isdecimal() or name == FILTER  # which stands beside the projects


def _stream_of(entries: Mapping[str, Mapping[str, Any]]) -> str:
    if FILTER in entries or any("timestamp" in entry and entry.keys() & _OF_EVENTS for entry in entries.values()):
        return "events"
    raise Unexpected('it does not say of which stream. If it is that of events, write {"events": ...} around it')


def _legacy(by_stream: Any) -> dict[str, Any]:
    return {"type": AirbyteStateType.LEGACY.value, "data": by_stream}


def _with_type(state: Any) -> Any:
    match state:
        case {"streamDescriptor": descriptor} | {"stream_descriptor": descriptor}:
            content = state.get("streamState", state.get("stream_state"))
            stream = {"stream_descriptor": descriptor, "stream_state": content}
            return {"type": AirbyteStateType.STREAM.value, "stream": stream}
    return state
