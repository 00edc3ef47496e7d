"""The two ways to ask PostHog for events: where the questions of `events/` become requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor
from airbyte_cdk.sources.streams.http.request_window_split_exception import RequestWindowSplitRequiredException
from airbyte_cdk.sources.types import StreamSlice

from source_posthog.events import event_list, event_query
from source_posthog.events.instants import instant
from source_posthog.events.page_size import FIRST_LIMIT, LEAST_LIMIT, ROWS_OF_LIST, PageSize
from source_posthog.events.reading import Page, Query, UntrueAnswer
from source_posthog.lanes import Abandoned
from source_posthog.places import Places
from source_posthog.requester import PostHogRequester
from source_posthog.sync import Sync


class Transport(Protocol):
    """One way to ask.

    Attributes:
        places: for the requests of each project that may run at the same time.
        requests_an_hour: what the budget in the manifest leaves for them on PostHog's cloud.
    """

    places: Places
    requests_an_hour: int

    def ask(self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query) -> Page:
        """The answer to `query`; the port of `events.reading`, but for its errors, which are those of `requester`.

        Raises Abandoned where the project is gone.
        """
        ...

    def one(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, *, oldest: bool
    ) -> datetime | None:
        """The instant of the oldest or the newest event of `query`; None where there is none. Raises as `ask`."""
        ...

    def count(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, arrived_before: datetime
    ) -> int | None:
        """The number of events of `query` that PostHog ingested before `arrived_before`; None where it does not count
        in this way. Raises as `ask`."""
        ...


@dataclass
class EventList:
    """GET /events/.

    Attributes:
        request_params: those of a slice, overridden by its last argument.
        extractor: takes the rows out of an answer.
        page_size: rows a page.
    """

    request_params: Callable[[None, StreamSlice, Mapping[str, Any]], Mapping[str, Any]]
    extractor: RecordExtractor
    sync: Sync
    page_size: int = ROWS_OF_LIST
    # A third waits up to 30 s on the server and then fails with a 500 (docs/posthog-server.md).
    places: Places = field(default_factory=lambda: Places(2))
    requests_an_hour: int = 1140

    def ask(self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query) -> Page:
        params = {**self.request_params(None, stream_slice, event_list.parameters(query)), "limit": self.page_size}
        send = requester.send_patiently if query.is_shortest else requester.send_request
        return event_list.page(query, *self._rows(send(stream_slice=stream_slice, request_params=params)))

    def one(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, *, oldest: bool
    ) -> datetime | None:
        params = {**event_list.parameters(query), **({"orderBy": '["timestamp"]'} if oldest else {})}
        rows, following = self._rows(requester.send_request(stream_slice=stream_slice, request_params=params))
        if following and not rows:
            raise UntrueAnswer("an empty page says that there is more")
        return instant(rows[0].get("timestamp")) if rows else None

    def count(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, arrived_before: datetime
    ) -> int | None:
        return None

    def _rows(self, response: requests.Response | None) -> tuple[list[dict[str, Any]], Any]:
        """The rows and the `next` of an answer."""
        response = _sound(response)
        rows = cast(list[dict[str, Any]], self.extractor.extract_records(response))
        return rows, self.sync.answers.body(response).get("next")


@dataclass
class EventQuery:
    """POST /query/, with an EventsQuery.

    Attributes:
        page_size: rows of a project's first page.
    """

    sync: Sync
    page_size: int = FIRST_LIMIT
    requests_an_hour: int = 2280
    _sizes: dict[Any, PageSize] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.places = self.sync.query_places

    def ask(self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query) -> Page:
        size = self._sizes.setdefault(query.project_id, PageSize(self.page_size))
        while True:
            limit = size.limit
            is_least = query.is_shortest and limit <= LEAST_LIMIT
            send = requester.send_patiently if is_least else requester.send_request
            try:
                response = send(stream_slice=stream_slice, request_body_json=event_query.body(query, limit))
            except RequestWindowSplitRequiredException as refused:
                if refused.failure_type == FailureType.system_error or not size.too_slow(limit):
                    raise
                continue
            response = _sound(response)
            answer = self.sync.answers.body(response)
            page = event_query.page(answer, self.sync.answers.decoder(response))
            seconds = response.elapsed.total_seconds()
            size.answered(limit, answer.get("limit"), len(page.rows), len(response.content), seconds)
            return page

    def one(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, *, oldest: bool
    ) -> datetime | None:
        body = event_query.body(query, 1, oldest_first=oldest)
        response = _sound(requester.send_request(stream_slice=stream_slice, request_body_json=body))
        rows = event_query.page(self.sync.answers.body(response), self.sync.answers.decoder(response)).rows
        return instant(rows[0]["timestamp"]) if rows else None

    def count(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, arrived_before: datetime
    ) -> int | None:
        body = event_query.count_body(query, arrived_before)
        response = _sound(requester.send_request(stream_slice=stream_slice, request_body_json=body))
        return event_query.counted(self.sync.answers.body(response))


def _sound(response: requests.Response | None) -> requests.Response:
    """`response`. Raises Abandoned where it says that the project is gone, of which the requester has warned."""
    if response is None or not response.ok:
        raise Abandoned
    return response
