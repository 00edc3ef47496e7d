"""The partitions and the state of a query's stream."""

import threading
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.message import MessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor, CursorField
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.types import Config, Record, StreamSlice, StreamState

from source_posthog.api.errors import PostHogError
from source_posthog.exact.instants import earlier, instant, iso
from source_posthog.streams.event_windows import declared_duration
from source_posthog.streams.parents import ParentRouter
from source_posthog.streams.state_messages import StateMessages


@dataclass
class QueryCursor(Cursor, PartitionRouter):
    """One partition a project; for a query with a `cursor_field` also its state, up to where each project is read:

        {"7": {"updated_at": "2026-11-01T08:30:00.123456Z"}, "8": {"updated_at": "2026-10-02T00:00:00Z"}}

    The stock cursors know instants only, write another form of state, and move at the end of a partition.

    Attributes:
        parents: gives the partitions: the projects, or the organizations.
        column: the query's `cursor_field`; "" where there is none, and then this is no cursor.
        lookback: how far before the state rows are read again, of a cursor that is an instant; an ISO 8601 duration.
    """

    parents: ParentRouter
    column: str = ""
    lookback: str = ""
    config: Config = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._is_incremental = False
        self._entries: dict[str, dict[str, Any]] = {}
        self._states: StateMessages | None = None

    def bind(
        self,
        stream_name: str,
        is_incremental: bool,
        state_manager: ConnectorStateManager,
        message_repository: MessageRepository,
    ) -> None:
        """Be the cursor of a stream: take its state from `state_manager`, and emit state messages to
        `message_repository`. Raises PostHogError where the state is not valid."""
        self._is_incremental = is_incremental
        self._states = StateMessages(stream_name, state_manager, message_repository)
        for project, entry in (self._states.given if is_incremental else {}).items():
            if not isinstance(entry, Mapping) or not self._is_valid(entry.get(self.column)):
                raise PostHogError(
                    f"The state of {self._named(project)} in stream {stream_name} is not valid: it must be "
                    f'{{"{self.column}": ...}}. Correct the state, or clear the stream.',
                    FailureType.config_error,
                )
            self._entries[project] = dict(entry)
        self._review(stream_name)

    def _review(self, stream_name: str) -> None:
        """Say what is odd in the entries of the state, and drop what is of no use."""

    def _named(self, partition: str) -> str:
        """As in a sentence: project 7."""
        return f"{self.parents.key.removesuffix('_id')} {partition}"

    def _is_valid(self, value: Any) -> bool:
        """Whether a state can have this `value` of the cursor."""
        return not _is_beyond_time(value)

    @property
    def is_incremental(self) -> bool:
        """Whether the sync reads by the cursor; in a full refresh it does not."""
        return self._is_incremental

    @property
    def cursor_field(self) -> CursorField:
        return CursorField(self.column)

    # --- projects

    def stream_slices(self) -> Iterable[StreamSlice]:
        return self.parents.stream_slices()

    def get_stream_state(self) -> Mapping[str, StreamState] | None:
        return None

    def get_request_params(self, **_: Any) -> Mapping[str, Any]:
        return {}

    get_request_headers = get_request_body_data = get_request_body_json = get_request_params

    # --- state

    def since(self, project: str) -> Any:
        """From which value on `project` is to be read; None for all of it."""
        with self._lock:
            value = self._entries.get(project, {}).get(self.column)
        if not self.lookback:
            return value
        try:
            return iso(earlier(instant(value), declared_duration(self.lookback, self.config)))
        except ValueError:  # none, or no instant, which the reading says
            return value

    def values(self, project: str) -> Mapping[str, str]:
        """What stands for `{name}` in the query, for `project`."""
        return {}

    def values_without_rows(self) -> Mapping[str, str]:
        """As `values`, so that the query finds no row where that costs less."""
        return {}

    def cover(self, project: str, reached: Any, rows: int) -> None:
        """All rows of `project` up to the cursor value `reached` are emitted, `rows` of them just now.

        Emits the state, if enough records came since the last one: it names all projects. Rows that are read again take
        nothing back: each sync that is stopped among them would begin earlier than the one before.
        """
        with self._lock:
            covered = self._entries.get(project, {}).get(self.column)
            if not (self.lookback and covered and instant(reached) < instant(covered)):
                self._entries[project] = self._entry(project, reached)
            if self._states is None:
                return
            self._states.add(rows)
            if self._states.is_due(len(self._entries)):
                self._states.emit(self.state)

    def _entry(self, project: str, reached: Any) -> dict[str, Any]:
        """The state of `project` once all rows up to the cursor value `reached` are emitted."""
        return {self.column: reached}

    def complete(self, project: str) -> None:
        """`project` was read to its end."""

    @property
    def state(self) -> MutableMapping[str, Any]:
        return {project: dict(entry) for project, entry in self._entries.items()}

    def ensure_at_least_one_state_emitted(self) -> None:
        with self._lock:
            if self._states:
                self._states.emit(self.state)

    # --- what the engine reports

    def observe(self, record: Record) -> None:
        """Nothing to do for a single record: the retriever reports what is emitted."""

    def close_partition(self, partition: Partition) -> None:
        """Nothing to do: a project that was not read whole keeps the state of its last page."""

    def should_be_synced(self, record: Record) -> bool:
        """True: the server was asked for exactly these rows."""
        return True


def _is_beyond_time(value: Any) -> bool:
    """Whether `value` is an instant that UTC has no year for, by hours: it cannot be asked for."""
    try:
        at = instant(value)
    except ValueError:
        return False
    try:
        return not iso(at)
    except ValueError:
        return True
