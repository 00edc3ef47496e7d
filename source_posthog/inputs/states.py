"""The state that is handed to a sync, in whatever form: made one state a stream (exact/states.py).

{"events": {"7": {...}}} is one from before per-stream states, also as LEGACY `data`.
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

from source_posthog.exact.states import entries

State = Iterable[AirbyteStateMessage] | Mapping[str, Any] | None


def taken(state: State) -> tuple[list[AirbyteStateMessage], list[str]]:
    """`state` as a message of type STREAM for each stream that has entries, and in words what of it is not taken."""
    last: dict[str, dict[str, Any]] = {}
    ignored: list[str] = []
    for name, content in _by_stream(state or [], ignored):
        last[name], others = entries(content)
        ignored += [f"{one} of stream {name}" for one in others]
    return [_message(name, found) for name, found in last.items() if found], ignored


def named_in(state: State) -> set[str]:
    """The streams that `state` has, also those without entries."""
    return {name for name, _ in _by_stream(state or [], [])}


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
