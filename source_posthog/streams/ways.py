"""A way to ask for events, as the manifest declares it: who sends the questions, and how they are written."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from functools import partial
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.events.page_size import FIRST_LIMIT, USUAL_ROWS_OF_LIST
from source_posthog.exact.events.port import Query
from source_posthog.exact.events.windows import Window
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer
from source_posthog.streams.transports import Counts, EventList, EventQuery, Transport


@dataclass(kw_only=True)
class EventWay:
    """
    Attributes:
        events_api: how to ask: "list" (GET /events/) or "query" (POST /query/).
        late_requester: asks for what arrived late; a refusal of that filter (400) is no error.
        first_event_requester: asks for a single event of a long range; None if empty history is not to be skipped.
        count_requester: asks for numbers of events; None where they are not counted.
        transport, counts: made of these.
    """

    requester: PostHogRequester
    events_api: str
    late_requester: PostHogRequester | None = None
    first_event_requester: PostHogRequester | None = None
    count_requester: PostHogRequester | None = None
    sync: Sync = field(default_factory=Sync)
    parameters: InitVar[Mapping[str, Any] | None] = None

    def __post_init__(self, parameters: Mapping[str, Any] | None) -> None:
        size = self.sync.page_size
        self.transport: Transport = (
            EventQuery(self.sync, size or FIRST_LIMIT)
            if self.events_api == "query"
            else EventList(self.sync, size or USUAL_ROWS_OF_LIST)
        )
        self.counts = Counts(self.sync, self.count_requester) if self.count_requester and size is None else None

    def requester_of(self, query: Query) -> PostHogRequester:
        is_filtered = query.arrived_from is not None or query.keys.is_bounded  # by words that old servers do not know
        return (self.late_requester if is_filtered else None) or self.requester

    def requests_an_hour(self, stream_slice: StreamSlice) -> int | None:
        """How many the budget leaves room for; None where it has no limit."""
        ask = partial(self.requester.requests_an_hour, stream_slice)
        return self.sync.once(("requests an hour", self.requester.name, self.events_api), ask)


@dataclass(frozen=True)
class WindowTurns:
    """The turns of one project's windows, for its lane."""

    slicer: EventsCartesianProductStreamSlicer
    transport: Transport
    project_id: Any

    def may_read_on(self, window: Window) -> bool:
        rows = self.transport.sizes.of(self.project_id).limit
        return self.slicer.may_read_on(str(self.project_id), window, rows, self.transport.rows_ahead)

    def expect(self, window: Window) -> None:
        self.slicer.expect(str(self.project_id), window, self.transport.sizes.of(self.project_id).limit)
