"""Cuts the time of all projects into windows, and keeps their state: where the engine of the CDK meets the ledger."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteTraceMessage,
    EstimateType,
    FailureType,
    TraceType,
    Type,
)
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.datetime.datetime_parser import DatetimeParser
from airbyte_cdk.sources.declarative.partition_routers import CartesianProductStreamSlicer
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.message import MessageRepository, NoopMessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor, CursorField
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.types import Config, Record, StreamSlice

from source_posthog.api.errors import PostHogError
from source_posthog.api.sync import Sync
from source_posthog.exact.events.half_days import DAY
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.names import FILTER, wanted_names
from source_posthog.exact.events.port import HalfDay
from source_posthog.exact.events.windows import SETTLING, Plan, Range, Window, in_turns, lay_out
from source_posthog.exact.instants import instant
from source_posthog.exact.states import entries
from source_posthog.streams.event_windows import DeclaredWindows, declared_windows
from source_posthog.streams.state_messages import StateMessages

logger = logging.getLogger("airbyte")

# A state is also emitted when it covers so many more rows of a single project, which is a part of a dense one.
ROWS_OF_A_PART = 8_000


@dataclass
class EventsCartesianProductStreamSlicer(Cursor, CartesianProductStreamSlicer):
    """Cuts each project's time into windows, and keeps each project's state.

        projects 1 and 2, start_date 2026-01-01, windows of 30 days, on 2026-02-10:
        slices  {"project_id": 1, "start_time": "2026-01-01T00:00:00.000000Z", "end_time": "2026-01-31T00:..."}
                {"project_id": 2, ... the same}, then those from 2026-01-31 to 2026-02-10
        state   {"1": {"timestamp": "2026-01-07T08:30:00.123456+00:00", "since": "2026-01-01T00:00:00.000000Z"}, ...}

    The stock cursors write another form of state, start a project that is new at the newest state of the others, and
    move past windows that are still open.

    Without `stream_slicers` the projects named in the state are sliced; with one, the projects that it gives. With two
    it is the product of both: the windows of the second for each project of the first.

    Attributes:
        stream_slicers: what gives the projects; then, if the manifest's windows are not wanted, what gives windows with
            `start_time` and `end_time` and takes `set_initial_state`.
        late_days: how far before a project's timestamp events are looked for that arrived late; an ISO 8601 duration.
        config: of the connector; options without a value have the default of the spec.
    """

    stream_slicers: list[PartitionRouter] = field(default_factory=list)
    parameters: InitVar[Mapping[str, Any] | None] = None
    late_days: str = ""
    config: Config = field(default_factory=dict)
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any] | None) -> None:
        # Not the parent's: it only warns that parent state is not kept, and projects have none.
        self._lock = threading.RLock()
        self._stream_name = "events"
        self._declared: DeclaredWindows | None = None
        self._ledger: Ledger | None = None
        self._states: StateMessages | None = None
        self._message_repository: MessageRepository = NoopMessageRepository()
        self._present: datetime | None = None

    def bind(
        self,
        stream_name: str,
        declared: DeclaredWindows,
        state_manager: ConnectorStateManager,
        message_repository: MessageRepository,
    ) -> None:
        """Be the cursor of a stream: take its windows from `declared` and its state from `state_manager`, and emit
        state messages to `message_repository`."""
        self._stream_name, self._declared = stream_name, declared
        self._states = StateMessages(stream_name, state_manager, message_repository)
        self._message_repository = message_repository
        self.set_initial_state(self._states.given)

    @property
    def declared(self) -> DeclaredWindows:
        """The windows; those of the connector's manifest where the slicer was built by hand."""
        if self._declared is None:
            self._declared = declared_windows(self.config)
        return self._declared

    @property
    def lookback(self) -> timedelta:
        """How much before the last sync is looked at again."""
        return self.declared.plan(self.sync.clock.present()).lookback

    @property
    def present(self) -> datetime:
        """When the sync began, by the server's clock."""
        return self._present or self.sync.clock.present()

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(self.declared.cursor_field)
        return self._ledger

    @property
    def cursor_field(self) -> CursorField:
        return CursorField(self.declared.cursor_field)

    # --- state

    @property
    def state(self) -> MutableMapping[str, Any]:
        found = self.ledger.state()
        return {**found, **wanted_names(self.config).written()} if found else found

    def get_stream_state(self) -> Mapping[str, Any]:
        """The state as of now; a copy."""
        with self._lock:
            return self.state

    def set_initial_state(self, stream_state: Mapping[str, Any] | None) -> None:
        """Begin from `stream_state`. Raises PostHogError, naming the entry, where one is not a valid timestamp."""
        try:
            with self._lock:
                given = entries(stream_state or {})[0]
                given.pop(FILTER, None)
                self.ledger.begin(given)
        except ValueError as invalid:
            whose, what = invalid.args
            if what == DAY:
                raise PostHogError(
                    f"The state {whose} in stream {self._stream_name} does not say in its `day` how far a day was "
                    "read. Correct the state, or clear the stream.",
                    FailureType.config_error,
                ) from invalid
            raise PostHogError(
                f"The state {whose} in stream {self._stream_name} has no valid ISO 8601 timestamp. Correct the state, "
                "or clear the stream.",
                FailureType.config_error,
            ) from invalid

    # --- windows

    def stream_slices(self) -> Iterable[StreamSlice]:
        """The windows of all projects, oldest first, a turn for each project, so that workers spread over projects."""
        if len(self.stream_slicers) > 1:
            yield from self._product(*self.stream_slicers)
            return
        if self.stream_slicers:
            partitions = [one.partition for one in self.stream_slicers[0].stream_slices()]
        else:
            partitions = [{"project_id": project} for project in self.ledger.projects]
        self.ledger.read_only({project_of(partition) for partition in partitions})
        # Only now: the answers for the projects have shown PostHog's own present.
        plan = self.declared.plan(self.sync.clock.present())
        plan = replace(plan, late=self.declared.duration(self.late_days))
        self._present = plan.present
        self._say_what_older_states_leave_open()
        yield from in_turns(self._windows_of(partition, plan) for partition in partitions)

    def _windows_of(self, partition: Mapping[str, Any], plan: Plan) -> Iterator[StreamSlice]:
        with self._lock:
            windows = lay_out(self.ledger, project_of(partition), plan, by_hand=self._states is None)
        for window in windows:
            self.sync.log.windows += 1
            bounds = {"start_time": self.declared.write(window.start), "end_time": self.declared.write(window.end)}
            if window.arrived_from:
                bounds["arrived_from"] = self.declared.write(window.arrived_from)
            yield StreamSlice(partition=partition, cursor_slice=bounds)

    def _product(self, projects: PartitionRouter, windows: Any) -> Iterator[StreamSlice]:
        """The slices of `windows` for each of `projects`, from its own state, each from where the one before ended."""
        form = getattr(windows, "datetime_format", None)
        for project in projects.stream_slices():
            text = self.ledger.timestamp(project_of(project))
            if text and form:
                text = DatetimeParser().format(instant(text), form)
            windows.set_initial_state({self.declared.cursor_field: text} if text else {})
            bounds = [(one["start_time"], one["end_time"]) for one in windows.stream_slices()]
            starts = [start for start, _ in bounds[:1]] + [end for _, end in bounds[:-1]]
            if bounds:
                first, last = instant(starts[0]), instant(bounds[-1][1])
                with self._lock:
                    self.ledger.plan(project_of(project), first, last, self.sync.clock.present() - SETTLING)
            for start, (_, end) in zip(starts, bounds, strict=True):
                yield StreamSlice(partition=project.partition, cursor_slice={"start_time": start, "end_time": end})

    def _say_what_older_states_leave_open(self) -> None:
        if self._states is not None and self.ledger.has_entry_without_since:
            logger.info(
                f"Stream {self._stream_name}: the state was written by an earlier version and does not say from which "
                "date it covers events. If start_date has been moved to an earlier date since then, clear the stream "
                "to read the earlier events."
            )

    # --- what the retriever reports, from many threads

    def cover(self, project: str, window: Window, newest: str | None = None, rows: int = 0) -> None:
        """All events of `window` are emitted, `rows` of them just now; the newest is at `newest`.

        Emits the state if it moved and enough records came since the last one.
        """
        # One lock around both, so that a newer state is never emitted before an older one.
        with self._lock:
            if window.arrived_from:
                moved = self.ledger.cover_late(project, window.start, window.end)
            else:
                moved = self.ledger.cover(project, window.start, window.end, newest, rows)
            self._emit_if_due(project, moved, rows)

    def _emit_if_due(self, project: str, moved: bool, rows: int) -> None:
        if self._states is None:
            return
        self._states.add(rows)
        is_due = self._states.is_due(self.ledger.entries)
        if moved and (is_due or self.ledger.rows_to_emit(project) >= ROWS_OF_A_PART):
            self._emit_state()

    def cover_in_part(self, project: str, half: HalfDay, rows: int) -> None:
        """`half` of a day is emitted, `rows` of it just now. Emits the state as `cover`."""
        with self._lock:
            moved = self.ledger.cover_in_part(project, half, rows)
            self._emit_if_due(project, moved, rows)

    def half_days(self, project: str) -> list[HalfDay]:
        """The days of `project` that are read in part."""
        with self._lock:
            return self.ledger.half_days(project, self.present)

    def leave_late(self, project: str) -> None:
        """What arrived late in `project` is read, as far as the server can tell."""
        with self._lock:
            self.ledger.leave_late(project)

    def unread(self, project: str, window: Window) -> Window:
        """What is left of `window` to read."""
        if window.arrived_from:
            return window
        with self._lock:
            return Window(*self.ledger.unread(project, window.start, window.end))

    def is_new(self, project: str) -> bool:
        """Whether no sync has read anything of `project` yet, this one included."""
        with self._lock:
            return self.ledger.timestamp(project) is None

    def is_next(self, project: str, start: datetime, end: datetime) -> bool:
        """Whether [start, end) is what may be emitted of `project` now, however much it is."""
        with self._lock:
            return self.ledger.is_next(project, start, end)

    def planned(self, project: str, window: Window) -> Range | None:
        """The range that was planned for `project` and has `window` in it: that of what is new, or the backfill."""
        with self._lock:
            backfill = self.ledger.backfill(project)
            return backfill if backfill and window.end <= backfill[1] else self.ledger.planned(project)

    def is_backfill(self, project: str, window: Window) -> bool:
        with self._lock:
            backfill = self.ledger.backfill(project)
            return backfill is not None and window.end <= backfill[1]

    def has_backfill(self, project: str) -> bool:
        """Whether more is going to be read of `project` than what is new."""
        with self._lock:
            return self.ledger.backfill(project) is not None

    def may_read_on(self, project: str, window: Window, rows: int, most: int) -> bool:
        """Whether `window` may emit up to `rows` more now, if a state is to lag behind by `most` rows."""
        if window.arrived_from:
            return True
        with self._lock:
            return self.ledger.may_read_on(project, window.start, window.end, rows, most)

    def expect(self, project: str, window: Window, rows: int) -> None:
        """A page of up to `rows` is under way for `window`; 0 once it is covered, or does not come."""
        if not window.arrived_from:
            with self._lock:
                self.ledger.expect(project, window.start, rows)

    # --- what the engine reports

    def observe(self, record: Record) -> None:
        """Nothing to do for a single record: the retriever reports what is emitted."""

    def close_partition(self, partition: Partition) -> None:
        """Nothing to do for the state either: a window that was not read whole ends like one that was."""
        self.sync.log.window_done(partition.to_slice() or {})

    def close_slice(self, stream_slice: Mapping[str, Any], most_recent_record: Mapping[str, Any] | None = None) -> None:
        """`stream_slice` was read to its end, and `most_recent_record` is the newest record in it, if it had any."""
        newest = most_recent_record[self.declared.cursor_field] if most_recent_record else None
        with self._lock:
            self.ledger.cover(project_of(stream_slice), *_bounds(stream_slice), newest)

    def _emit_state(self) -> None:
        if self._states:
            self.ledger.emitted()
            self._states.emit(self.state)

    def estimate(self, rows: int) -> None:
        """Tell whoever runs the sync that the stream will have so many records."""
        estimate = AirbyteEstimateTraceMessage(name=self._stream_name, type=EstimateType.STREAM, row_estimate=rows)
        trace = AirbyteTraceMessage(type=TraceType.ESTIMATE, emitted_at=time.time() * 1000, estimate=estimate)
        self._message_repository.emit_message(AirbyteMessage(type=Type.TRACE, trace=trace))

    def ensure_at_least_one_state_emitted(self) -> None:
        with self._lock:
            self._emit_state()

    def should_be_synced(self, record: Record) -> bool:
        """True: the server was asked for exactly the window, so there is nothing to filter."""
        return True

    def is_greater_than_or_equal(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
        """Whether the record `first` is as new as `second` or newer, compared as instants."""
        key = self.declared.cursor_field
        return instant(first[key]) >= instant(second[key])


def project_of(stream_slice: Mapping[str, Any]) -> str:
    """The project of a slice, as the state names it."""
    return str(stream_slice["project_id"])


def window_of(stream_slice: Mapping[str, Any]) -> Window:
    """The window that a slice names."""
    arrived_from = stream_slice.get("arrived_from")
    return Window(*_bounds(stream_slice), instant(arrived_from) if arrived_from else None)


def _bounds(stream_slice: Mapping[str, Any]) -> Range:
    return instant(stream_slice["start_time"]), instant(stream_slice["end_time"])
