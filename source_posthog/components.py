"""What the manifest cannot say: reading events so that none is lost, and pages that must not be believed blindly.

Four classes, each named in `manifest.yaml`:

* `ResultsExtractor` takes the rows out of an answer, and refuses an answer that would lose data in silence.
* `EventsSimpleRetriever` reads one window of one project's events, newest first.
* `EventsCartesianProductStreamSlicer` cuts the windows and keeps the state.
* `InsightsRetriever` gets past insights that are too heavy for the server, or broken.
"""

import json
import logging
import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor
from airbyte_cdk.sources.declarative.partition_routers import CartesianProductStreamSlicer
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.declarative.retrievers import SimpleRetriever
from airbyte_cdk.sources.message import MessageRepository, NoopMessageRepository
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor, CursorField
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.streams.http.page_size_reduction_exception import PageSizeReductionRequiredException
from airbyte_cdk.sources.streams.http.request_window_split_exception import RequestWindowSplitRequiredException
from airbyte_cdk.sources.types import Config, Record, StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.answers import instant, iso, offset, page, rows, unusable
from source_posthog.sync import Sync
from source_posthog.validation import EARLIEST

logger = logging.getLogger("airbyte")

MICROSECOND = timedelta(microseconds=1)  # PostHog's precision: `before` and `after` are exclusive at this step

# A page with `next: null` can still have older events behind it: the server may have looked at a short span only. It
# does so only when that span holds half a page, and no server caps a page under 100 rows, so fewer than 50 rows with
# `next: null` are all there is (shared/posthog-api.md, "next: null can lie").
HALF_OF_THE_SMALLEST_CAP = 50

# A third event list of one project waits up to 30 s on the server and then fails with a 500.
EVENT_LISTS_AT_ONCE = 2

# Tied events are told apart by the last hex digits of their ids; the last group of a UUID has 12.
LONGEST_SUFFIX = 12

# An empty window moves the state only when it ended this long ago, so that a clock that runs ahead of PostHog's by
# less than this cannot push the state past events that are still to come.
CLOCK_TOLERANCE = timedelta(days=1)

# One question for the first event covers this much time; the server refuses ranges of more than 366 days.
LONGEST_RANGE = timedelta(days=365)


def now() -> datetime:
    """The present instant, in UTC. Tests replace it."""
    return datetime.now(timezone.utc)


@dataclass
class ResultsExtractor(RecordExtractor):
    """Takes `results` out of an answer.

    The stock DpathExtractor walks the whole body and takes a missing `results` for an empty page; here it is an error.
    So is a `next` that does not lead on, since the pager of the manifest would follow it without end.

    Attributes:
        single_row: the answer may also be one row by itself, as `/api/projects/:id/` gives it.
    """

    single_row: bool = False

    def extract_records(self, response: requests.Response) -> Iterable[Mapping[str, Any]]:
        body = page(response)
        if self.single_row and "results" not in body and body.get("id") is not None:
            return [body]
        results = rows(response)
        if body.get("next") and not offset(body["next"]) > offset(response.url):
            raise unusable(response, f"its `next` does not lead on ({body['next']!r})")
        return results


@dataclass
class EventsSimpleRetriever(SimpleRetriever):
    """Reads one window of one project's events: every event in [start_time, end_time) once, newest first.

    The stock retriever follows `next` and stops where it is null. On PostHog's events list both lose events: `next`
    skips events tied with the last row, and it can be null with any number of older events left. So this one pages by
    time: it asks again for all up to and including the oldest timestamp it has seen, leaves out what it has already
    given out at that timestamp, and stops only when the server has shown that nothing is left.

    A window that the server finds too slow is halved, the newest half first. Nothing is read twice.
    """

    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._gates: MutableMapping[Any, threading.BoundedSemaphore] = {}
        self._failed: set[Any] = set()  # projects that are gone, refuse access, or of which a window could not be read

    def request_params(
        self,
        stream_state: Mapping[str, Any] | None,
        stream_slice: Mapping[str, Any] | None = None,
        next_page_token: Mapping[str, Any] | None = None,
    ) -> MutableMapping[str, Any]:
        """The bounds of one request, both exclusive: the slice's own, overridden by what the token names."""
        params: MutableMapping[str, Any] = {}
        if stream_slice:
            params["after"] = iso(instant(stream_slice["start_time"]) - MICROSECOND)
            params["before"] = stream_slice["end_time"]
        params.update(next_page_token or {})
        return params

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """Give out the events of the window `stream_slice`, page by page.

        A project whose window could not be read is asked no more: its state waits for that window, so the next sync
        would read all later ones again. The slicer is told which windows are left like that.

        Raises AirbyteTracedException, naming project and window, where PostHog refuses, its answers cannot be used, or
        even a second of events is too slow for it.
        """
        if stream_slice is None:
            raise ValueError("The events stream is read in windows; read_records needs a slice")
        project_id = stream_slice["project_id"]
        name = self.name
        newest = None
        try:
            for event in self._window(stream_slice):
                if newest is None:
                    newest = event["timestamp"]  # windows are read newest first
                    self.stream_slicer.note_newest(stream_slice, newest)  # type: ignore[attr-defined]  # see below
                event["project_id"] = project_id
                yield Record(data=event, stream_name=name, associated_slice=stream_slice)
        except _Left:
            self._failed.add(project_id)
            self.stream_slicer.leave_open(stream_slice)  # type: ignore[attr-defined]  # see below
        except (AirbyteTracedException, RequestWindowSplitRequiredException) as error:
            self._failed.add(project_id)
            raise _error(stream_slice, error) from error

    def _window(self, window: StreamSlice) -> Iterator[dict[str, Any]]:
        before = instant(window["end_time"])
        floors = [instant(window["start_time"])]  # the last one bounds the next request; a halved window adds one
        given: set[str] = set()  # ids already given out at `before` - 1 µs, the oldest timestamp so far
        while floors:
            if before == floors[-1]:
                floors.pop()
                given = set()
                continue
            try:
                events, more = self._page(window, floors[-1], before)
            except RequestWindowSplitRequiredException:
                if before - floors[-1] <= 2 * MICROSECOND:
                    raise
                floors.append(floors[-1] + (before - floors[-1]) / 2)
                continue
            ids = {event["id"] for event in events}
            tied, oldest = _tied_with_the_last(events)
            fresh = list({event["id"]: event for event in reversed(events) if event["id"] not in given}.values())
            all_read = not more and len(events) < HALF_OF_THE_SMALLEST_CAP
            del events
            while fresh:
                yield fresh.pop()  # newest first, and let go of: pages of large events are most of the memory
            if all_read:
                before = floors[-1]
            elif len(tied) < len(ids):
                before, given = oldest + MICROSECOND, tied
            else:  # one timestamp fills the page, so paging by time cannot pass it
                given |= tied
                for event in self._ties(window, oldest):
                    if event["id"] not in given:
                        given.add(event["id"])
                        yield event
                before, given = oldest, set()

    def _ties(self, window: StreamSlice, at: datetime, suffix: str = "") -> Iterator[dict[str, Any]]:
        """The events of one microsecond, split by the last digits of their ids until each part fits a page.

        `next` can be trusted here: for a range of 60 s or less the server does not look at shorter spans.
        """
        events, more = self._page(window, at, at + MICROSECOND, suffix)
        if not more:
            yield from events
        elif len(suffix) == LONGEST_SUFFIX:
            raise _unusable(f"events at {iso(at)} cannot be told apart by their ids")
        else:
            for digit in "0123456789abcdef":
                yield from self._ties(window, at, digit + suffix)

    def _page(
        self, window: StreamSlice, start: datetime, end: datetime, suffix: str = ""
    ) -> tuple[list[dict[str, Any]], bool]:
        """One request for the events in [start, end) whose id ends in `suffix`; also, whether `next` is set."""
        token = {"after": iso(start - MICROSECOND), "before": iso(end)}
        if suffix:
            token["properties"] = json.dumps([{"type": "hogql", "key": f"toString(uuid) like '%{suffix}'"}])
        with self._gates.setdefault(window["project_id"], threading.BoundedSemaphore(EVENT_LISTS_AT_ONCE)):
            if window["project_id"] in self._failed:
                raise _Left
            try:
                response = self.requester.send_request(
                    stream_slice=window, request_params=self.request_params(None, window, token)
                )
            except RequestWindowSplitRequiredException:  # of the class below too, but no failure: less is asked for
                raise
            except AirbyteTracedException:
                self._failed.add(window["project_id"])  # still within the gate, so that no other window asks in vain
                raise
        if response is None or not response.ok:
            raise _Left  # the project is not there any more; the error handler has said so
        events = rows(response)
        _require_newest_first(events, start, end, suffix)
        more = bool(page(response).get("next"))
        if more and not events:
            raise _unusable("an empty page says that there is more")
        self.sync.log.page(window, len(events), is_cloud=".posthog.com" in self.config.get("base_url", ""))
        return events, more


class _Left(Exception):
    """The window is not read to its end, and that is no error of its own."""


def _tied_with_the_last(events: list[dict[str, Any]]) -> tuple[set[str], datetime]:
    """The ids of the events of a page that share its oldest timestamp, and that timestamp."""
    tied: set[str] = set()
    oldest = instant(events[-1]["timestamp"]) if events else datetime.min
    for event in reversed(events):
        if instant(event["timestamp"]) != oldest:
            break
        tied.add(event["id"])
    return tied, oldest


def _require_newest_first(events: list[dict[str, Any]], start: datetime, end: datetime, suffix: str) -> None:
    """Refuse a page that paging by time would lose events on: out of the range asked for, or out of order."""
    newer = end - MICROSECOND
    text: Any = object()  # equal to no timestamp, not even to a missing one
    for event in events:
        if event.get("timestamp") == text:
            continue
        text = event.get("timestamp")
        try:
            at = instant(text)
        except ValueError as no_date:
            raise _unusable(f"event {event['id']} has the timestamp {text!r}, which is no date") from no_date
        if not start <= at <= newer:
            raise _unusable(f"event {event['id']} at {text} is out of the range asked for, or out of order")
        newer = at
    if suffix and not all(str(event["id"]).endswith(suffix) for event in events):
        raise _unusable("the filter by id was ignored")


def _unusable(what: str) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=f"PostHog's answer cannot be used: {what}. Nothing of that page was read.",
        failure_type=FailureType.system_error,
    )


def _error(window: StreamSlice, cause: Exception) -> AirbyteTracedException:
    """`cause` with the window in front, and what comes of it."""
    if isinstance(cause, AirbyteTracedException):
        failure_type, reason = cause.failure_type, str(cause)
    else:
        failure_type, reason = FailureType.transient_error, "PostHog is too slow even for a single instant"
    project_id = window["project_id"]
    span = f"{window['start_time']} to {window['end_time']}"
    reason = reason.removeprefix(f"Stream events, project {project_id}: ").rstrip(".")
    return AirbyteTracedException(
        message=f"Stream events, project {project_id}, window {span}: {reason}. The next sync begins there again.",
        internal_message=str(cause),
        failure_type=failure_type,
        exception=cause,
    )


@dataclass
class EventsCartesianProductStreamSlicer(Cursor, CartesianProductStreamSlicer):
    """Cuts each project's time into windows, and keeps each project's state.

    The state is the newest instant up to which all of a project's events were given out:

        {"<project id>": {"timestamp": "2026-01-01T00:00:00.123456+00:00"}, ...}

    The stock cursors write another form of state, and start a project that is new at the newest state of the others.
    A state from before 0.1.8, `{"timestamp": ...}`, stands for every project without an entry of its own and is kept.

    The engine reads windows on many threads and closes them in any order, so a project's state waits for its oldest
    open window: a window that is still being read, or has failed, holds back the state of its project and of no other.

    Attributes:
        stream_slicers: what gives the projects. Without any, the projects named in the state are sliced.
        config: `start_date`, `events_time_step` (days, 30), `events_lookback_hours` (1).
        requester: asks for the oldest event of a range; None if nobody is to be asked.
    """

    stream_slicers: list[PartitionRouter] = field(default_factory=list)
    parameters: InitVar[Mapping[str, Any] | None] = None
    config: Config = field(default_factory=dict)
    requester: HttpRequester | None = None
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any] | None) -> None:
        # Not the parent's: it only warns that parent state is not kept, and projects have none.
        self._state: MutableMapping[str, Any] = {}
        # Per project, its windows by start, oldest first: None while open, else how far closing it moves the state.
        self._windows: MutableMapping[str, dict[str, str | None]] = {}
        self._newest: MutableMapping[tuple[Any, Any], str] = {}
        self._left: set[tuple[Any, Any]] = set()
        self._lock = threading.Lock()
        self.cursor_field = CursorField("timestamp")
        self.bind("events", "timestamp", ConnectorStateManager(), NoopMessageRepository())

    def bind(
        self,
        stream_name: str,
        cursor_field: str,
        state_manager: ConnectorStateManager,
        message_repository: MessageRepository,
    ) -> None:
        """Take the stream's state from `state_manager`, and emit state messages to `message_repository` from now on."""
        self._stream_name = stream_name
        self.cursor_field = CursorField(cursor_field)
        self._state_manager = state_manager
        self._message_repository = message_repository
        self.set_initial_state(state_manager.get_stream_state(stream_name, None))

    # --- state

    @property
    def state(self) -> MutableMapping[str, Any]:
        return dict(self.get_stream_state())

    def get_stream_state(self) -> Mapping[str, Any]:
        """The state as of now; a copy."""
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in self._state.items()}

    def set_initial_state(self, stream_state: Mapping[str, Any]) -> None:
        """Begin from `stream_state`. Raises AirbyteTracedException, naming the entry, where a timestamp is no date."""
        key = self.cursor_field.cursor_field_key
        for project, entry in (stream_state or {}).items():
            try:
                text = entry if project == key else dict(entry).get(key)
                if text is not None:
                    instant(text)
            except (TypeError, ValueError) as no_date:
                where = "for all projects" if project == key else f"of project {project}"
                raise AirbyteTracedException(
                    message=f"The state {where} in stream {self._stream_name} has no timestamp in ISO 8601. Reset the "
                    "stream, or correct the state.",
                    internal_message=str(no_date),
                    failure_type=FailureType.config_error,
                ) from no_date
        self._state = dict(stream_state or {})

    def _cursor_of(self, project: str) -> str | None:
        """The timestamp that stands for `project` in the state."""
        key = self.cursor_field.cursor_field_key
        return (self._state.get(project) or self._state).get(key)

    # --- windows

    def stream_slices(self) -> Iterable[StreamSlice]:
        """The windows of all projects, oldest first, a turn for each project, so that workers spread over projects."""
        end = now()
        if self.stream_slicers:
            partitions = [part.partition for part in CartesianProductStreamSlicer.stream_slices(self)]
        else:
            partitions = [{"project_id": key} for key in self._state if key != self.cursor_field.cursor_field_key]
        turns = deque(self._windows_of(partition, end) for partition in partitions)
        while turns:
            windows = turns.popleft()
            if window := next(windows, None):
                turns.append(windows)
                yield window

    def _windows_of(self, partition: Mapping[str, Any], end: datetime) -> Iterator[StreamSlice]:
        project = str(partition["project_id"])
        windows = self._windows[project] = {}
        step = timedelta(days=self.config.get("events_time_step", 30))
        start = self._start_of(project)
        if first := self._first_event(partition, start, end, step):
            with self._lock:  # up to there is one empty window, which need not be read
                windows[iso(start)] = _end_of_empty({"end_time": iso(first)})
            start = first
        self.sync.log.windows += math.ceil((end - start) / step)
        while start < end:
            stop = min(start + step, end)
            bounds = {"start_time": iso(start), "end_time": iso(stop)}
            with self._lock:
                windows[bounds["start_time"]] = None
            yield StreamSlice(partition=partition, cursor_slice=bounds)
            start = stop

    def _first_event(
        self, partition: Mapping[str, Any], start: datetime, end: datetime, step: timedelta
    ) -> datetime | None:
        """The instant before which nothing of [start, end) is left, if asking for it takes fewer requests than reading.

        The last day is never skipped, for the reason of CLOCK_TOLERANCE. None where nothing can be skipped.
        """
        end -= CLOCK_TOLERANCE
        if self.requester is None or (end - start) / step < 3 * (1 + (end - start) / LONGEST_RANGE):
            return None
        while start < end:
            stop = min(start + LONGEST_RANGE, end)
            try:
                if oldest := self._one_event(partition, start, stop, orderBy='["timestamp"]'):
                    first = instant(oldest["timestamp"])
                    # A server that does not know `orderBy` gives the newest event, with others before it.
                    is_first = start < first < stop and not self._one_event(partition, start, first)
                    return first if is_first else start
            except (AirbyteTracedException, RequestWindowSplitRequiredException, _Left, KeyError, ValueError) as error:
                logger.info(f"Project {partition['project_id']}: its first event is not known ({error})")
                return start
            start = stop
        return end

    def _one_event(
        self, partition: Mapping[str, Any], start: datetime, stop: datetime, **params: str
    ) -> dict[str, Any] | None:
        """An event of [start, stop), the newest if `params` do not say otherwise; None where there is none."""
        response = self.requester.send_request(  # type: ignore[union-attr]  # only called where there is one
            stream_slice=StreamSlice(partition=partition, cursor_slice={}),
            request_params={"after": iso(start - MICROSECOND), "before": iso(stop), **params},
        )
        if response is None or not response.ok:
            raise _Left
        if not rows(response) and page(response).get("next"):
            raise unusable(response, "an empty page says that there is more")
        return next(iter(rows(response)), None)

    def _start_of(self, project: str) -> datetime:
        """Where to begin: some hours before the state, for events that arrived late, but not before start_date."""
        starts = []
        if self.config.get("start_date"):
            starts.append(instant(self.config["start_date"]))
        if cursor := self._cursor_of(project):
            starts.append(max(instant(cursor), EARLIEST) - timedelta(hours=self.config.get("events_lookback_hours", 1)))
        return max(starts)

    # --- what the engine and the retriever report, from many threads

    def leave_open(self, window: Mapping[str, Any]) -> None:
        """`window` ends without having been read: the engine will close it, but the state must not pass it."""
        self._left.add(_key(window))

    def note_newest(self, window: Mapping[str, Any], timestamp: str) -> None:
        """`timestamp` is that of the newest record of `window`, which is being read."""
        self._newest[_key(window)] = timestamp

    def observe(self, record: Record) -> None:
        """Nothing to do for a single record: the retriever notes the newest of each window."""

    def close_partition(self, partition: Partition) -> None:
        """All of the window was given out: move the state where that is now allowed, and emit it if it moved."""
        window = partition.to_slice() or {}
        newest = self._newest.pop(_key(window), None)
        self.sync.log.windows_done += 1
        # One lock around both, so that a newer state is never emitted before an older one.
        with self._lock:
            if self._close(window, newest):
                self._emit_state()

    def close_slice(self, stream_slice: Mapping[str, Any], most_recent_record: Mapping[str, Any] | None = None) -> None:
        """`stream_slice` was read to its end, and `most_recent_record` is the newest record in it, if it had any."""
        newest = most_recent_record[self.cursor_field.cursor_field_key] if most_recent_record else None
        with self._lock:
            self._close(stream_slice, newest)

    def _close(self, window: Mapping[str, Any], newest: str | None) -> bool:
        """Mark `window` as closed; move its project's timestamp past the closed windows before the first open one."""
        project = str(window["project_id"])
        if _key(window) in self._left:
            return False
        windows = self._windows.setdefault(project, {})
        windows[window["start_time"]] = newest or _end_of_empty(window)
        before = self._state.get(project)
        for start, covered in list(windows.items()):
            if covered is None:
                break
            del windows[start]
            if covered:
                self._advance(project, covered)
        return self._state.get(project) is not before

    def _advance(self, project: str, covered: str) -> None:
        """Move the timestamp of `project` to `covered`, never back."""
        cursor = self._cursor_of(project)
        if cursor is None or instant(covered) > instant(cursor):
            self._state[project] = {self.cursor_field.cursor_field_key: covered}

    def _emit_state(self) -> None:
        self._state_manager.update_state_for_stream(self._stream_name, None, self.get_stream_state())
        self._message_repository.emit_message(self._state_manager.create_state_message(self._stream_name, None))

    def ensure_at_least_one_state_emitted(self) -> None:
        with self._lock:
            self._emit_state()

    def should_be_synced(self, record: Record) -> bool:
        """True: the server was asked for exactly the window, so there is nothing to filter."""
        return True

    def is_greater_than_or_equal(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
        """Whether the record `first` is as new as `second` or newer, compared as instants."""
        key = self.cursor_field.cursor_field_key
        return instant(first[key]) >= instant(second[key])


def _key(window: Mapping[str, Any]) -> tuple[Any, Any]:
    return window.get("project_id"), window.get("start_time")


def _end_of_empty(window: Mapping[str, Any]) -> str:
    """How far an empty window moves the state: to its end if that is long past, else nowhere ("")."""
    end: str = window["end_time"]
    return end if instant(end) <= now() - CLOCK_TOLERANCE else ""


@dataclass
class InsightsRetriever(SimpleRetriever):
    """Reads insights in pages that shrink where the server cannot answer.

    One insight with a heavy or broken query makes the whole page fail. The stock retriever can shrink a page, but stops
    at an insight that fails alone; this one then reads that insight with `basic=true`, without its result.
    """

    page_size: int = 100

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        start, largest = 0, self.config.get("_page_size", self.page_size)
        limit = largest
        while True:
            try:
                response = self._page(stream_slice, start, limit)
            except PageSizeReductionRequiredException:
                limit = max(1, limit // 4)
                continue
            except AirbyteTracedException as error:
                if limit > 1 or error.failure_type == FailureType.config_error:
                    raise
                response = self._page(stream_slice, start, limit, basic="true")
                self._warn(response, error)
            if response is None or not response.ok:  # the project is gone, and the error handler has said so
                return
            yield from self.record_selector.select_records(response, {}, records_schema, stream_slice)
            following = page(response).get("next")
            if not following:
                return
            start, limit = offset(following), min(limit * 4, largest)

    def _page(
        self, stream_slice: StreamSlice | None, start: int, limit: int, **params: str
    ) -> requests.Response | None:
        return self.requester.send_request(
            stream_slice=stream_slice, request_params={"limit": limit, "offset": start, **params}
        )

    @staticmethod
    def _warn(response: requests.Response | None, error: AirbyteTracedException) -> None:
        insights = rows(response) if response is not None and response.ok else []
        names = ", ".join(f"{row['id']} ({row.get('name') or row.get('derived_name')})" for row in insights)
        logger.warning(f"Insight {names} was read without its result, which PostHog could not give: {error}")
