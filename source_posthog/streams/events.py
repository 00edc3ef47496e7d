"""Reads a window of events: where the requests of the CDK meet the exact reader in `exact/events/`."""

import logging
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.extractors import RecordSelector
from airbyte_cdk.sources.declarative.retrievers import SimpleRetriever
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.answers import Unemittable
from source_posthog.api.errors import Outage, PostHogError, Skipped, Where, located
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import NotAccepted, OtherInstants, Unanswered, UntrueAnswer
from source_posthog.exact.events.late import Emitted
from source_posthog.exact.events.page_size import FIRST_LIMIT, USUAL_ROWS_OF_LIST
from source_posthog.exact.events.port import Batch, Page, Query
from source_posthog.exact.events.properties import UNREADABLE
from source_posthog.exact.events.reading import read_range, require_true_instant
from source_posthog.exact.events.storage_order import ByHash
from source_posthog.exact.events.windows import Window
from source_posthog.exact.instants import MICROSECOND, instant, iso
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer, project_of, window_of
from source_posthog.streams.history import History
from source_posthog.streams.lanes import Lane, Lanes
from source_posthog.streams.mapped import MappedReading, MoreThanAPage, one_page
from source_posthog.streams.retention import Retention
from source_posthog.streams.transports import Counts, EventList, EventQuery, Transport
from source_posthog.streams.unemitted import Unemitted

logger = logging.getLogger("airbyte")


@dataclass(frozen=True)
class _Turns:
    """The turns of one project's windows, for its lane."""

    slicer: EventsCartesianProductStreamSlicer
    transport: Transport
    project_id: Any

    def may_read_on(self, window: Window) -> bool:
        rows = self.transport.sizes.of(self.project_id).limit
        return self.slicer.may_read_on(str(self.project_id), window, rows, self.transport.rows_ahead)

    def expect(self, window: Window) -> None:
        self.slicer.expect(str(self.project_id), window, self.transport.sizes.of(self.project_id).limit)


@dataclass
class EventsSimpleRetriever(SimpleRetriever):
    """Reads one window of one project's events: every event in [start_time, end_time) once.

    The stock retriever follows `next` and stops where it is null. On PostHog's events list both lose events: `next`
    skips events tied with the last row, and it can be null with any number of older events left. What is asked instead,
    and what an answer proves, is decided in `events/`.

    Attributes:
        events_api: how to ask: "list" (GET /events/) or "query" (POST /query/).
        late_requester: asks for what arrived late; a refusal of that filter (400) is no error.
        first_event_requester: asks for a single event of a long range; None if empty history is not to be skipped.
        count_requester: asks for numbers of events; None where they are not counted.
        project_requester: asks for a project by itself, once; None if nobody is to be warned of its retention.
    """

    requester: PostHogRequester
    record_selector: RecordSelector
    stream_slicer: EventsCartesianProductStreamSlicer = field(default_factory=EventsCartesianProductStreamSlicer)
    events_api: str = "list"
    late_requester: PostHogRequester | None = None
    first_event_requester: PostHogRequester | None = None
    count_requester: PostHogRequester | None = None
    project_requester: PostHogRequester | None = None
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._transport: Transport
        if self.events_api == "query":
            self._transport = EventQuery(self.sync, self.sync.page_size or FIRST_LIMIT)
        else:
            page_size = self.sync.page_size or USUAL_ROWS_OF_LIST
            self._transport = EventList(self.sync, page_size)
        self._lanes = Lanes(self._transport.slots)
        counting = self.count_requester
        self._counts = Counts(self.sync, counting) if counting and self.sync.page_size is None else None
        self._history = History(
            self.stream_slicer, self._transport, self.first_event_requester, self._counts, self.sync
        )
        asking = self.project_requester
        self._retention = Retention(asking, self.config["start_date"]) if asking else None
        if self.record_selector.transformations or self.record_selector.record_filter:
            raise ValueError(
                "Events are emitted as they come: the record_selector can have no transformations and no filter"
            )

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
        """Emit the events of the window `stream_slice`, and report to the slicer what is emitted.

        Raises PostHogError, naming project and window, where PostHog refuses or its answers cannot be used.
        """
        if stream_slice is None:
            raise ValueError("The events stream is read in windows; read_records needs a slice")
        project_id, window = stream_slice["project_id"], window_of(stream_slice)
        lane, share = self._lanes.of(project_id), 0.0
        unemitted = Unemitted(self._where(stream_slice), self.sync.log)
        an_hour = self.sync.once(
            ("requests an hour", self.name), partial(self.requester.requests_an_hour, stream_slice)
        )
        with lane.reading(window):
            try:
                for batch in self._batches(stream_slice, window, lane):
                    rows = len(batch.rows)
                    batch.rows.reverse()
                    while batch.rows:  # newest first, and let go of: pages of large events are most of the memory
                        event = batch.rows.pop()
                        event["project_id"] = project_id
                        if isinstance(event, Unemittable):
                            unemitted.add(event["id"])
                            continue
                        if UNREADABLE in event:
                            self.sync.log.unreadable(event)
                        yield Record(data=event, stream_name=self.name, associated_slice=stream_slice)
                    self._report(stream_slice, window, batch, rows)
                    lane.moved()
                    if self._retention:  # only now, so that no record waits for it
                        self._retention.look(project_id)
                    share += (batch.end - batch.start) / (window.end - window.start)
                    self.sync.log.page(stream_slice, rows, an_hour, share)
                if window.arrived_from:
                    self.stream_slicer.leave_late(project_of(stream_slice))
            except Skipped:
                lane.is_abandoned = True
                self.sync.log.totals.failed(project_id)
            except (AirbyteTracedException, Unanswered, UntrueAnswer) as error:
                lane.is_abandoned = True
                self.sync.log.totals.failed(project_id)
                raise self._located(error, stream_slice) from error
            finally:
                self.stream_slicer.expect(project_of(stream_slice), window, 0)
        unemitted.require_none()

    def _report(self, stream_slice: StreamSlice, window: Window, batch: Batch, rows: int) -> None:
        """Tell the slicer that the `rows` of `batch` are emitted."""
        if window.arrived_from:
            self.sync.log.late(rows)
            if self._lanes.filter_refused:
                return  # what was read instead does not show what arrived
        elif not self.stream_slicer.is_backfill(project_of(stream_slice), window):
            self.sync.log.totals.emit(stream_slice["project_id"], rows)
        if batch.half:
            self.stream_slicer.cover_in_part(project_of(stream_slice), batch.half, rows)
        else:
            covered = Window(batch.start, batch.end, window.arrived_from)
            self.stream_slicer.cover(project_of(stream_slice), covered, batch.newest, rows)
        self.stream_slicer.expect(project_of(stream_slice), window, 0)

    def _batches(self, stream_slice: StreamSlice, window: Window, lane: Lane) -> Iterator[Batch]:
        if window.arrived_from:
            yield from self._late_batches(stream_slice, window, lane)
            return
        project, ask = project_of(stream_slice), partial(self._ask, stream_slice, lane)
        is_backfill = self.stream_slicer.is_backfill(project, window)
        self._history.look(stream_slice, lane, window, must=self.stream_slicer.is_new(project))
        left = self.stream_slicer.unread(project, window)
        query = Query(stream_slice["project_id"], left.start, left.end)
        counted = lane.counted(self.stream_slicer.planned(project, window))
        if self._counts and not counted.is_asked:
            try:
                yield from read_range(query, one_page(ask), lane.reach, in_parts=False)
                return
            except MoreThanAPage as more:
                query = replace(query, end=more.end)
                self._history.look(stream_slice, lane, window, must=True)
        if self._counts and counted.days is not None:
            reading = MappedReading(
                self.name,
                stream_slice["project_id"],
                self.stream_slicer,
                self._transport,
                lane,
                ask=ask,
                early=partial(self._ask_early, stream_slice, lane),
                count=partial(self._count, self._counts, stream_slice, lane),
                days=counted.days,
                order_refused=self._lanes.order_refused,
            )
            yield from reading.read(query, backwards=is_backfill)
            return
        in_hand = self._transport.rows_in_hand
        yield from read_range(query, ask, lane.reach, in_parts=not is_backfill, rows_in_hand=in_hand)

    def _late_batches(self, stream_slice: StreamSlice, window: Window, lane: Lane) -> Iterator[Batch]:
        """What arrived late; where the server cannot tell, all of the lookback again, without what came until then."""
        ask = partial(self._ask, stream_slice, lane)
        query = Query(stream_slice["project_id"], window.start, window.end, arrived_from=window.arrived_from)
        emitted = Emitted(window.end)
        if not self._lanes.filter_refused:
            try:
                for batch in read_range(query, ask, lane.late_reach, in_parts=False):
                    emitted.add(batch)
                    yield batch
                return
            except NotAccepted as refused:
                if self._lanes.filter_refused.turn_on():
                    logger.warning(
                        f"Stream {self.name}: this PostHog server cannot tell which events arrived late ({refused}), "
                        "so the events_lookback_hours before the last sync are read again instead."
                    )
        start = max(window.start, window.end - self.stream_slicer.lookback)
        if start < emitted.down_to:
            query = replace(query, start=start, end=emitted.down_to, arrived_from=None)
            for batch in read_range(query, ask, lane.reach, in_parts=False):
                emitted.take_from(batch)
                yield batch

    def _ask(self, stream_slice: StreamSlice, lane: Lane, query: Query) -> Page:
        """Ask PostHog; the port of `events.reading`."""
        turns = _Turns(self.stream_slicer, self._transport, query.project_id)
        with lane.turn(window_of(stream_slice), turns):
            page = self._answer(stream_slice, lane, query)
        if page.rows and not lane.instants_checked:
            self._require_true_instants(stream_slice, lane, page)
        return page

    def _ask_early(self, stream_slice: StreamSlice, lane: Lane, query: Query) -> Page:
        """As `_ask`, out of turn: an error is none yet, since what is asked for may not be needed."""
        with lane.requests:
            return self._transport.ask(self._requester_of(query), stream_slice, query)

    def _requester_of(self, query: Query) -> PostHogRequester:
        is_filtered = query.arrived_from or query.keys.is_bounded  # by words that old servers do not know
        return (self.late_requester if is_filtered else None) or self.requester

    def _count(
        self, counts: Counts, stream_slice: StreamSlice, lane: Lane, query: Query, by: ByHash | None
    ) -> Mapping[Any, int]:
        with lane.requests:
            return counts.keys(stream_slice, query, by)

    def _answer(self, stream_slice: StreamSlice, lane: Lane, query: Query) -> Page:
        requester = self._requester_of(query)
        try:
            return self._transport.ask(requester, stream_slice, query)
        except AirbyteTracedException as error:
            if query.arrived_from and self._answers_without_filter(error, requester, stream_slice, query):
                raise NotAccepted(error) from error
            lane.is_abandoned = True  # before the next window of the project asks in vain
            raise

    def _require_true_instants(self, stream_slice: StreamSlice, lane: Lane, page: Page) -> None:
        """Once a project: ask for an event by the instant that it has in `page`.

        Raises OtherInstants where it is at another one, as on servers that show the wall time of the project's zone.
        Nothing is asked where that zone is UTC, or where the reader sees it for itself at the next page.
        """
        with lane.history:
            if not lane.instants_checked and page.complete and self._zone(stream_slice) != "UTC":
                with lane.requests:  # it waits for no turn: those whose turn it is may wait here
                    ask = partial(self._answer, stream_slice, lane)
                    require_true_instant(ask, stream_slice["project_id"], page.rows[0], page.step)
            lane.instants_checked = True

    def _zone(self, stream_slice: StreamSlice) -> str:
        return str(self.sync.project(stream_slice["project_id"]).get("timezone") or "")

    def _answers_without_filter(
        self, error: AirbyteTracedException, requester: PostHogRequester, stream_slice: StreamSlice, query: Query
    ) -> bool:
        """Whether `query` fails for its filter by arrival: events lists of some servers answer 500 to words that they
        do not know (docs/posthog-server.md)."""
        if isinstance(error, Outage) or error.failure_type != FailureType.transient_error:
            return False
        try:
            self._transport.one(requester, stream_slice, replace(query, arrived_from=None), oldest=False)
        except (AirbyteTracedException, Unanswered, UntrueAnswer):
            return False
        return True

    def _located(
        self, cause: AirbyteTracedException | Unanswered | UntrueAnswer, stream_slice: StreamSlice
    ) -> PostHogError:
        """`cause` with the window in front, and what comes of it."""
        if isinstance(cause, OtherInstants):
            reason = (
                f"PostHog shows other instants than it filters by: {cause}. It is known to show the wall time of a "
                f"project's time zone, here {self._zone(stream_slice) or 'unknown'}, as if it were UTC. Set "
                f"`events_api` to {'query' if self.events_api == 'list' else 'list'}, or update PostHog."
            )
            cause = PostHogError(reason, FailureType.system_error)
        elif isinstance(cause, UntrueAnswer):
            reason = f"PostHog's answer cannot be used: {cause}. None of that page was read."
            cause = PostHogError(reason, FailureType.system_error)
        elif isinstance(cause, Unanswered):
            cause = PostHogError(f"PostHog does not answer: {cause}.", FailureType.transient_error)
        return located(cause, self._where(stream_slice), "The next sync resumes from there.")

    def _where(self, stream_slice: StreamSlice) -> Where:
        span = f"{stream_slice['start_time']} to {stream_slice['end_time']}"
        return Where(self.name, stream_slice["project_id"], span)
