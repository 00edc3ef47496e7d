"""When a project has events, asked once: which days have how many, and the empty time at both ends of a long range."""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.errors import Skipped
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import Unanswered, UntrueAnswer
from source_posthog.exact.events.names import Names
from source_posthog.exact.events.port import Query
from source_posthog.exact.events.windows import SETTLING, Range, Window, empty_ends, first_event, is_long, last_event
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer, project_of
from source_posthog.streams.lanes import Lane
from source_posthog.streams.transports import Counts
from source_posthog.streams.ways import EventWay

logger = logging.getLogger("airbyte")

# Events that arrived less than this before the sync, or during it, are not counted: a page that was read
# before may lack them, and fewer events than were counted are a warning.
MOST_DELAY = timedelta(minutes=10)


@dataclass
class History:
    """The history of all projects of a sync.

    Attributes:
        way: how it is asked for.
        names: of the events that are wanted.
    """

    slicer: EventsCartesianProductStreamSlicer
    way: EventWay
    names: Names
    sync: Sync

    def look(self, stream_slice: StreamSlice, lane: Lane, window: Window, *, must: bool = False) -> None:
        """Once for each range that was planned for a project: find out which of its days have events, if it is a long
        one or it `must` be known, and of what is new skip the empty time before the first and after the last."""
        project, requester = project_of(stream_slice), self.way.first_event_requester
        planned = self.slicer.planned(project, window)
        if planned is None or requester is None:
            return
        with lane.history:
            counted, is_worth_it = lane.counted(planned), is_long(*planned, self.slicer.declared.step)
            if counted.is_asked or lane.is_abandoned or not (must or is_worth_it):
                return
            if self.way.counts:
                counted.days = self._days(self.way.counts, stream_slice, lane, planned)
            if is_worth_it and not self.slicer.is_backfill(project, window):
                self._skip_empty_ends(requester, stream_slice, lane, planned)
            counted.is_asked = True

    def _days(self, counts: Counts, stream_slice: StreamSlice, lane: Lane, planned: Range) -> dict[date, int] | None:
        """The number of events of each day of `planned`; None where PostHog does not say."""
        project = stream_slice["project_id"]
        try:
            with lane.requests:
                query = Query(project, *planned, names=self.names)
                days = counts.days(stream_slice, query, self.slicer.present - MOST_DELAY)
        except (AirbyteTracedException, Unanswered, UntrueAnswer, Skipped) as error:
            line = f"Project {project}: could not count the events ({error}), so they are read by time"
            logger.log(_level(error), line)
            return None
        if days and not self.slicer.has_backfill(str(project)):
            is_resumed = bool(self.slicer.half_days(str(project)))
            self.slicer.estimate(self.sync.log.totals.count(project, sum(days.values()), is_resumed=is_resumed))
        return days

    def _skip_empty_ends(
        self, requester: PostHogRequester, stream_slice: StreamSlice, lane: Lane, planned: Range
    ) -> None:
        """Cover the time of `planned` before its first event and after its last one."""
        one = partial(self._one_event, requester, stream_slice, lane)
        (start, end), step, days = planned, self.slicer.declared.step, lane.counted(planned).days
        try:
            if days is None:
                last = last_event(start, end, step, newest=one)
                first = first_event(start, end, oldest=partial(one, oldest=True), newest=one) if start < last else last
            else:
                first, last = empty_ends(start, end, days, newest=one)
        except (AirbyteTracedException, Unanswered, UntrueAnswer, ValueError) as error:  # nothing depends on it
            logger.log(_level(error), f"Project {stream_slice['project_id']}: could not find the first event ({error})")
            return
        project = project_of(stream_slice)
        self.slicer.cover(project, Window(last, max(last, end - SETTLING)))
        self.slicer.cover(project, Window(start, first))

    def _one_event(
        self,
        requester: PostHogRequester,
        stream_slice: StreamSlice,
        lane: Lane,
        start: datetime,
        end: datetime,
        *,
        oldest: bool = False,
    ) -> datetime | None:
        """The instant of one event of [start, end), the newest or the oldest; None where there is none."""
        query = Query(stream_slice["project_id"], start, end, names=self.names)
        with lane.requests:
            return self.way.transport.one(requester, stream_slice, query, oldest=oldest)


def _level(error: Exception) -> int:
    """Of a line about `error`: what is refused is refused to the reading too, which says so."""
    is_refused = isinstance(error, AirbyteTracedException) and error.failure_type == FailureType.config_error
    return logging.DEBUG if is_refused else logging.INFO
