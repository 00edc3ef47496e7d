"""Reads the windows of a project by what PostHog counts: days with few events together, those with many in the order of
storage."""

import logging
import threading
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.errors import Skipped
from source_posthog.api.once import Switch
from source_posthog.api.progress import WHY_FEWER
from source_posthog.exact.errors import NotAccepted, Unanswered, Uncut
from source_posthog.exact.events.port import Ask, Batch, HalfDay, Keys, Page, Query
from source_posthog.exact.events.reading import read_range
from source_posthog.exact.events.storage_order import ByHash, Count, Part, read_day, segments
from source_posthog.exact.instants import instant
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer
from source_posthog.streams.lanes import Lane
from source_posthog.streams.transports import Transport

logger = logging.getLogger("airbyte")


class MoreThanAPage(Exception):
    """A range has more events than fit a page, of which none is emitted yet. `end`: of what is still to be read."""

    def __init__(self, end: datetime) -> None:
        super().__init__()
        self.end = end


def one_page(ask: Ask) -> Ask:
    """`ask`, which then raises MoreThanAPage where an answer is not complete."""

    def asked(query: Query) -> Page:
        page = ask(query)
        if not page.complete:
            raise MoreThanAPage(query.end)
        return page

    return asked


class Ahead:
    """Pages that are asked for before they are needed, in threads of their own; the port of `events.reading`.

    `ask`: as of now. `early`: for a page whose rows are not emitted yet.
    """

    def __init__(self, ask: Ask, early: Ask) -> None:
        self._ask, self._early = ask, early
        self._coming: dict[Query, Future[Page]] = {}

    def __call__(self, query: Query) -> Page:
        if coming := self._coming.pop(query, None):
            with suppress(AirbyteTracedException, Skipped):  # it is asked for again, which says what is wrong with it
                return coming.result()
        return self._ask(query)

    def expect(self, query: Query) -> None:
        """`query` is going to be asked for soon."""
        if query not in self._coming:
            future = self._coming[query] = Future[Page]()
            threading.Thread(target=self._work, args=(query, future), name="ahead", daemon=True).start()

    def _work(self, query: Query, future: Future[Page]) -> None:
        try:
            future.set_result(self._early(query))
        except BaseException as error:  # as in any executor: it belongs to whoever asks the future
            future.set_exception(error)


@dataclass
class MappedReading:
    """One window of one project.

    Attributes:
        ask: in the window's turn; the port of `events.reading`.
        early: out of turn.
        days: how many events PostHog counts of each UTC day.
        order_refused: this PostHog cannot be asked in the order of storage.
    """

    stream: str
    project_id: Any
    slicer: EventsCartesianProductStreamSlicer
    transport: Transport
    lane: Lane
    ask: Ask
    early: Ask
    count: Count
    days: Mapping[date, int]
    order_refused: Switch

    @property
    def project(self) -> str:
        return str(self.project_id)

    def read(self, query: Query, *, backwards: bool) -> Iterator[Batch]:
        """Every event of `query` once. `backwards`: the newest segment first."""
        parts = list(self._parts(query))
        found = (one for part in parts for one in self._segments(part))
        for part, is_dense in reversed(list(found)) if backwards else found:
            yield from self._day(part, backwards=backwards) if is_dense else self._by_time(part, backwards=backwards)

    def _by_time(self, query: Query, *, backwards: bool) -> Iterator[Batch]:
        in_hand = self.transport.rows_in_hand
        yield from read_range(query, self.ask, self.lane.reach, in_parts=not backwards, rows_in_hand=in_hand)

    def _parts(self, query: Query) -> Iterator[Query]:
        """`query`, cut where the days begin and end that an earlier sync has read in part."""
        start = query.start
        for at in sorted(at for half in self.slicer.half_days(self.project) for at in (half.start, half.end)):
            if start < at < query.end:
                yield replace(query, start=start, end=at)
                start = at
        yield replace(query, start=start)

    def _segments(self, query: Query) -> Iterator[tuple[Query, bool]]:
        if self._half_of(query):
            yield query, True
            return
        start = query.start
        while start < query.end:  # one at a time: how many rows a page has is known better after each
            one = next(segments(start, query.end, self.days, self.transport.sizes.of(self.project_id).usual))
            yield replace(query, start=one.start, end=one.end), one.is_dense
            start = one.end

    def _half_of(self, query: Query) -> HalfDay | None:
        """What is read of `query`, a range within a day."""
        halves = self.slicer.half_days(self.project)
        return next((half for half in halves if half.start <= query.start and query.end <= half.end), None)

    def _rows(self) -> int:
        return self.transport.sizes.of(self.project_id).limit

    def _day(self, query: Query, *, backwards: bool) -> Iterator[Batch]:
        """The events of `query`, a range within a day, in the order of storage; of a half that an earlier sync has read
        what has arrived since."""
        newest = None
        if (half := self._half_of(query)) and (half := (yield from self._late(query, half))):
            query = replace(query, keys=Keys(half.reached))
            newest = half.newest if half.newest and instant(half.newest) < query.end else None  # it may be of the rest
        counted, rows = _Counted(self.count), 0
        try:
            for part in self._parts_of_day(query, counted):
                rows += len(part.rows)
                newest = _newer(newest, part.newest)
                if part.reached is None:
                    yield Batch(part.rows, query.start, query.end, newest)
                else:
                    query = replace(query, keys=Keys(part.reached))
                    reached = HalfDay(query.start, query.end, part.reached, self.slicer.present, newest)
                    yield Batch(part.rows, query.start, query.start, half=reached)
        except (Uncut, Unanswered) as reason:
            self._say_that_it_is_read_by_time(query, reason)
            if query.keys.is_bounded:
                yield from self._rest_by_time(query, newest)
            else:
                yield from self._by_time(query, backwards=backwards)
            return
        if counted.events and rows < counted.events:
            logger.warning(
                f"Stream {self.stream}, project {self.project}: {counted.events} events of {query.start:%Y-%m-%d} "
                f"counted by PostHog, {rows} emitted, {counted.events - rows} fewer. {WHY_FEWER}"
            )

    def _late(self, query: Query, half: HalfDay) -> Generator[Batch, None, HalfDay | None]:
        """What of `half` may have arrived since it was read. Returns `half` with that; None where the server cannot
        tell."""
        query = replace(query, keys=Keys(None, half.reached), arrived_from=half.began - self.slicer.lookback)
        rows, newest = 0, half.newest
        try:
            for batch in read_range(query, self.ask, self.lane.late_reach, in_parts=False):
                rows, newest = rows + len(batch.rows), _newer(newest, batch.newest)
                yield Batch(batch.rows, query.start, query.start)
        except NotAccepted:
            if rows:  # one of its machines can, so that the next sync may be told
                raise
            return None
        return replace(half, newest=newest)

    def _parts_of_day(self, query: Query, count: Count) -> Iterator[Part]:
        if self.order_refused:
            raise NotAccepted
        ask = Ahead(self.ask, self.early)

        def expect(following: Query) -> None:
            if self.slicer.is_next(self.project, query.start, query.end):  # others may have to wait with their rows
                ask.expect(following)

        yield from read_day(query, ask, count, self._rows, expect)

    def _say_that_it_is_read_by_time(self, query: Query, reason: Exception) -> None:
        if isinstance(reason, NotAccepted):
            if self.order_refused.turn_on():
                logger.info(
                    f"Stream {self.stream}: this PostHog server cannot be asked in its order of storage ({reason}), so "
                    "days of many events are read by time"
                )
            return
        why = str(reason) or "its events have names by which they cannot be asked for"
        logger.info(f"Stream {self.stream}, project {self.project}: {query.start:%Y-%m-%d} is read by time ({why})")

    def _rest_by_time(self, query: Query, newest: str | None) -> Iterator[Batch]:
        """The events of `query`, some of a day, which no state covers before all of them are emitted."""
        for batch in read_range(query, self.ask, self.lane.reach, in_parts=False):
            newest = _newer(newest, batch.newest)
            yield Batch(batch.rows, query.start, query.start)
        yield Batch([], query.start, query.end, newest)


class _Counted:
    """A `Count` that remembers its first answer: how many events a day has in all; None before there is one."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self.events: int | None = None

    def __call__(self, query: Query, by: ByHash | None) -> Mapping[Any, int]:
        found = self._count(query, by)
        if self.events is None:
            self.events = sum(found.values())
        return found


def _newer(one: str | None, other: str | None) -> str | None:
    return max((text for text in (one, other) if text), key=instant, default=None)
