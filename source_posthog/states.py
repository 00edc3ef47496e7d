"""The state that is handed to a sync, in whatever form: made one state a stream, of entries by project.

{"events": {"7": {...}}}                                        as before per-stream states, also as LEGACY `data`
{"states": [{"partition": {"project_id": 7}, "cursor": {...}}]}  of a stream, as the CDK's own cursors write it
{"__ab_full_refresh_sync_complete": true}                       the CDK's word that there is nothing to go on from
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airbyte_cdk.models import (
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateType,
    AirbyteStreamState,
    StreamDescriptor,
)

FLAG = "__ab_"  # how the names of the CDK's flags begin

State = Iterable[AirbyteStateMessage] | Mapping[str, Any] | None


def taken(state: State) -> tuple[list[AirbyteStateMessage], list[str]]:
    """`state` as a message of type STREAM for each stream that has entries, and in words what of it is not taken."""
    last: dict[str, dict[str, Any]] = {}
    ignored: list[str] = []
    for name, content in _by_stream(state or [], ignored):
        last[name], others = entries(content)
        ignored += [f"{one} of stream {name}" for one in others]
    return [_message(name, found) for name, found in last.items() if found], ignored


def _message(name: str, found: Mapping[str, Any]) -> AirbyteStateMessage:
    state = AirbyteStreamState(StreamDescriptor(name=name), AirbyteStateBlob(found))  # streams here have no namespace
    return AirbyteStateMessage(type=AirbyteStateType.STREAM, stream=state)


def _by_stream(state: Iterable[Any], ignored: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The states in `state`, each with the name of its stream; to `ignored` goes what is the state of none."""
    for message in [AirbyteStateMessage(data=dict(state))] if isinstance(state, Mapping) else state:
        parts = [message.stream] if message.stream else []
        if message.global_:
            parts = message.global_.stream_states
            if message.global_.shared_state and vars(message.global_.shared_state):
                ignored.append("the shared state")
        for one in parts:
            yield one.stream_descriptor.name, vars(one.stream_state) if one.stream_state else {}
        for name, content in (message.data or {}).items():
            if isinstance(content, Mapping):
                yield name, content
            else:
                ignored.append(f"`{name}`")


def entries(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`content`, the state of a stream, by project and without flags; and the names of what in it is not taken.

    A cursor that stands for all partitions is not: a project that it had not seen would begin there too.
    """
    ignored: list[str] = []
    if isinstance(content.get("states"), list) or "use_global_cursor" in content:
        content = _by_project(content, ignored)
    plain = {project: _without_flags(entry) for project, entry in content.items() if not project.startswith(FLAG)}
    # An entry that had nothing but flags says nothing of its project.
    return {project: entry for project, entry in plain.items() if entry != {} or content[project] == {}}, ignored


def _by_project(content: Mapping[str, Any], ignored: list[str]) -> dict[str, Any]:
    found = {}
    for one in content.get("states") or []:
        match one:
            case {"partition": {"project_id": project}, "cursor": {**cursor}} if "slices" not in cursor:
                found[str(project)] = cursor
            case _:
                ignored.append("a partition in `states`")
    if content.get("use_global_cursor"):
        ignored.append("the cursor for all partitions")
    return found


def _without_flags(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {name: value for name, value in entry.items() if not name.startswith(FLAG)}
