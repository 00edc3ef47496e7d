"""Reads a window of events: where the requests of the CDK meet the exact reader in `exact/events/`."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.extractors import RecordSelector
from airbyte_cdk.sources.declarative.retrievers import SimpleRetriever
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.answers import Unemittable
from source_posthog.api.errors import NoList, Outage, PostHogError, Skipped, Where, located
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import NotAccepted, OtherInstants, Unanswered, UntrueAnswer
from source_posthog.exact.events.elements import elements_of
from source_posthog.exact.events.late import Emitted
from source_posthog.exact.events.names import wanted_names
from source_posthog.exact.events.port import Ask, Batch, Page, Query
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
from source_posthog.streams.transports import Counts
from source_posthog.streams.unemitted import Unemitted
from source_posthog.streams.ways import EventWay, WindowTurns

logger = logging.getLogger("airbyte")


@dataclass
class EventsSimpleRetriever(SimpleRetriever):
    """Reads one window of one project's events: every event in [start_time, end_time) once.

    The stock retriever follows `next` and stops where it is null. On PostHog's events list both lose events: `next`
    skips events tied with the last row, and it can be null with any number of older events left. What is asked instead,
    and what an answer proves, is decided in `events/`.

    Attributes:
        events_api, late_requester, first_event_requester, count_requester: as in EventWay.
        make_instead: how to ask where PostHog no longer has its list; None if there is no other way.
        project_requester: asks for a project by itself, once; None if nobody is to be warned of its retention.
    """

    requester: PostHogRequester
    record_selector: RecordSelector
    stream_slicer: EventsCartesianProductStreamSlicer = field(default_factory=EventsCartesianProductStreamSlicer)
    events_api: str = "list"
    late_requester: PostHogRequester | None = None
    first_event_requester: PostHogRequester | None = None
    count_requester: PostHogRequester | None = None
    make_instead: Callable[[], EventWay] | None = None
    project_requester: PostHogRequester | None = None
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._way = EventWay(
            requester=self.requester,
            events_api=self.events_api,
            late_requester=self.late_requester,
            first_event_requester=self.first_event_requester,
            count_requester=self.count_requester,
            sync=self.sync,
        )
        self._turning = threading.Lock()
        self._lanes = Lanes(self._way.transport.slots)
        self._names = wanted_names(self.config)
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
                        if "elements_chain" in event and "elements" not in event:  # only now: they are large
                            event["elements"] = elements_of(event["elements_chain"])
                        if UNREADABLE in event:
                            self.sync.log.unreadable(event)
                        yield Record(data=event, stream_name=self.name, associated_slice=stream_slice)
                    self._report(stream_slice, window, batch, rows)
                    lane.moved()
                    if self._retention:  # only now, so that no record waits for it
                        self._retention.look(project_id)
                    share += (batch.end - batch.start) / (window.end - window.start)
                    self.sync.log.page(stream_slice, rows, self._way.requests_an_hour(stream_slice), share)
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
        """What there is in `window`. Where PostHog's list is gone, by queries: from where the reader is, or if nothing
        of the window is emitted yet, all of it, as queries read it best."""
        is_begun = False

        def ask(query: Query) -> Page:
            try:
                return self._ask(stream_slice, lane, query)
            except NoList as gone:
                self._turn_to_queries(gone)
                if not is_begun:
                    raise
                return self._ask(stream_slice, lane, query)

        try:
            for batch in self._events_of(stream_slice, window, lane, ask):
                is_begun = True
                yield batch
        except NoList as gone:
            self._turn_to_queries(gone)
            yield from self._events_of(stream_slice, window, lane, ask)

    def _turn_to_queries(self, gone: NoList) -> None:
        """From now on, events are asked for by queries. Raises PostHogError where that is not possible."""
        with self._turning:
            if self.make_instead is None:
                raise PostHogError(str(gone), FailureType.config_error)
            instead = self.make_instead()
            if self._way is instead:
                return
            self._lanes.turn_to(instead.transport.slots)
            self._way = instead
        logger.warning(
            f"Stream {self.name}: PostHog no longer has its events list, so events are read by queries, as with "
            "`events_api: query`. Set that option, so that the list is not asked for first."
        )

    def _events_of(self, stream_slice: StreamSlice, window: Window, lane: Lane, ask: Ask) -> Iterator[Batch]:
        if window.arrived_from:
            yield from self._late_batches(stream_slice, window, lane, ask)
            return
        project, way = project_of(stream_slice), self._way
        is_backfill = self.stream_slicer.is_backfill(project, window)
        history = History(self.stream_slicer, way, self._names, self.sync)
        history.look(stream_slice, lane, window, must=self.stream_slicer.is_new(project))
        left = self.stream_slicer.unread(project, window)
        query = self._query(stream_slice, left.start, left.end)
        counted = lane.counted(self.stream_slicer.planned(project, window))
        if way.counts and not counted.is_asked:
            try:
                yield from read_range(query, one_page(ask), lane.reach, in_parts=False)
                return
            except MoreThanAPage as more:
                query = replace(query, end=more.end)
                history.look(stream_slice, lane, window, must=True)
        if way.counts and counted.days is not None:
            reading = MappedReading(
                self.name,
                stream_slice["project_id"],
                self.stream_slicer,
                way.transport,
                lane,
                ask=ask,
                early=partial(self._ask_early, stream_slice, lane),
                count=partial(self._count, way.counts, stream_slice, lane),
                days=counted.days,
                order_refused=self._lanes.order_refused,
            )
            yield from reading.read(query, backwards=is_backfill)
            return
        in_hand = way.transport.rows_in_hand
        yield from read_range(query, ask, lane.reach, in_parts=not is_backfill, rows_in_hand=in_hand)

    def _late_batches(self, stream_slice: StreamSlice, window: Window, lane: Lane, ask: Ask) -> Iterator[Batch]:
        """What arrived late; where the server cannot tell, all of the lookback again, without what came until then."""
        query = replace(self._query(stream_slice, window.start, window.end), arrived_from=window.arrived_from)
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

    def _query(self, stream_slice: StreamSlice, start: datetime, end: datetime) -> Query:
        """The question for all events of [start, end) that are wanted."""
        return Query(stream_slice["project_id"], start, end, names=self._names)

    def _ask(self, stream_slice: StreamSlice, lane: Lane, query: Query) -> Page:
        """Ask PostHog, in the turn of the window of `stream_slice`. Raises NoList where only queries are left."""
        turns = WindowTurns(self.stream_slicer, self._way.transport, query.project_id)
        with lane.turn(window_of(stream_slice), turns):
            page = self._answer(stream_slice, lane, query)
        if page.rows and not lane.instants_checked:
            self._require_true_instants(stream_slice, lane, page)
        return page

    def _ask_early(self, stream_slice: StreamSlice, lane: Lane, query: Query) -> Page:
        """As `_ask`, out of turn: an error is none yet, since what is asked for may not be needed."""
        with lane.requests:
            return self._way.transport.ask(self._way.requester_of(query), stream_slice, query)

    def _count(
        self, counts: Counts, stream_slice: StreamSlice, lane: Lane, query: Query, by: ByHash | None
    ) -> Mapping[Any, int]:
        with lane.requests:
            return counts.keys(stream_slice, query, by)

    def _answer(self, stream_slice: StreamSlice, lane: Lane, query: Query) -> Page:
        way = self._way
        try:
            return way.transport.ask(way.requester_of(query), stream_slice, query)
        except AirbyteTracedException as error:
            if query.arrived_from and self._answers_without_filter(error, way, stream_slice, query):
                raise NotAccepted(error) from error
            lane.is_abandoned = True  # before the next window of the project asks in vain
            raise

    def _require_true_instants(self, stream_slice: StreamSlice, lane: Lane, page: Page) -> None:
        """Once a project: ask for an event by the instant that it has in `page`.

        Raises OtherInstants where it is at another one, as on servers that show the wall time of the project's zone.
        Nothing is asked where that zone is UTC, or where the reader sees it for itself at the next page: there may be
        none where days can be counted, and are read in the order of storage.
        """
        with lane.history:
            may_be_last = page.complete or self._way.counts
            if not lane.instants_checked and may_be_last and self._zone(stream_slice) != "UTC":
                with lane.requests:  # it waits for no turn: those whose turn it is may wait here
                    ask, window = partial(self._answer, stream_slice, lane), window_of(stream_slice)
                    query = self._query(stream_slice, window.start, window.end)
                    require_true_instant(ask, query, page.rows[0], page.step)
            lane.instants_checked = True

    def _zone(self, stream_slice: StreamSlice) -> str:
        return str(self.sync.project(stream_slice["project_id"]).get("timezone") or "")

    def _answers_without_filter(
        self, error: AirbyteTracedException, way: EventWay, stream_slice: StreamSlice, query: Query
    ) -> bool:
        """Whether `query` fails for its filter by arrival: events lists of some servers answer 500 to words that they
        do not know (docs/posthog-server.md)."""
        if isinstance(error, Outage) or error.failure_type != FailureType.transient_error:
            return False
        try:
            asking = way.requester_of(query)
            way.transport.one(asking, stream_slice, replace(query, arrived_from=None), oldest=False)
        except (AirbyteTracedException, Unanswered, UntrueAnswer):
            return False
        return True

    def _located(
        self, cause: AirbyteTracedException | Unanswered | UntrueAnswer, stream_slice: StreamSlice
    ) -> PostHogError:
        """`cause` with the window in front, and what comes of it."""
        if isinstance(cause, OtherInstants) and self._zone(stream_slice) != "UTC":
            other = "query" if self._way.events_api == "list" else "list"
            reason = (
                f"PostHog shows other instants than it filters by: {cause}. It is known to show the wall time of a "
                f"project's time zone, here {self._zone(stream_slice) or 'unknown'}, as if it were UTC. Set "
                f"`events_api` to {other}, or update PostHog."
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
