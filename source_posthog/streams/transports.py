"""The two ways to ask PostHog for events: where the questions of `events/` become requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import requests
from airbyte_cdk.sources.types import StreamSlice

from source_posthog.api.answers import Unemittable
from source_posthog.api.errors import Skipped
from source_posthog.api.once import Slots
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import TooLarge, TooSlow, UntrueAnswer
from source_posthog.exact.events import event_list, event_query, storage_sql
from source_posthog.exact.events.page_size import (
    FIRST_LIMIT,
    LEAST_LIMIT,
    MOST_LIMIT,
    MOST_ROWS_OF_LIST,
    USUAL_ROWS_OF_LIST,
    PageSize,
    RowBytes,
)
from source_posthog.exact.events.port import Page, Query
from source_posthog.exact.events.properties import set_properties
from source_posthog.exact.events.reading import ROWS_IN_HAND
from source_posthog.exact.events.storage_order import ByHash
from source_posthog.exact.instants import instant


class PageSizes:
    """The page sizes of a sync, by project: one that is new goes by what is known of the others."""

    def __init__(self, first: int, most: int) -> None:
        self._first, self._most = first, most
        self._others = RowBytes()
        self._sizes: dict[Any, PageSize] = {}

    def of(self, project_id: Any) -> PageSize:
        return self._sizes.setdefault(project_id, PageSize(self._first, self._most, self._others))


class Transport(Protocol):
    """One way to ask.

    Attributes:
        slots: for the requests of each project that may run at the same time.
        sizes: how many rows it asks each project for.
        rows_in_hand: that the oldest window of a project may emit before the state covers them.
        rows_ahead: that its later windows may.
    """

    slots: Slots
    sizes: PageSizes
    rows_in_hand: int
    rows_ahead: int

    def ask(self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query) -> Page:
        """The answer to `query`; the port of `events.reading`, but for its errors, which are those of `requester`.

        Raises Skipped where the project is gone.
        """
        ...

    def one(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, *, oldest: bool
    ) -> datetime | None:
        """The instant of the oldest or the newest event of `query`; None where there is none. Raises as `ask`."""
        ...


@dataclass
class EventList:
    """GET /events/.

    Attributes:
        page_size: rows of a project's first page.
    """

    sync: Sync
    page_size: int = USUAL_ROWS_OF_LIST
    # A third waits up to 30 s on the server and then fails with a 500 (docs/posthog-server.md).
    slots: Slots = field(default_factory=lambda: Slots(2))
    # With the rows of a state that is not worth emitting yet (state_messages.py), a stop costs no more than 50,000.
    rows_in_hand: int = 25_000
    rows_ahead: int = 16_000

    def __post_init__(self) -> None:
        self.sizes = PageSizes(self.page_size, MOST_ROWS_OF_LIST)

    def ask(self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query) -> Page:
        def send(sending: Sending, limit: int) -> requests.Response:
            return _sound(sending(stream_slice=stream_slice, request_params=event_list.parameters(query, limit)))

        size = self.sizes.of(query.project_id)
        response, limit = sent(requester, query, size, send)
        rows, following = self._rows(response)
        # Servers since May 2026 give a thousand rows, whatever is asked for, and do not say so.
        most = len(rows) if following else None
        size.answered(limit, most, len(rows), len(response.content), response.elapsed.total_seconds())
        return event_list.page(query, limit, rows, following)

    def one(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, *, oldest: bool
    ) -> datetime | None:
        params = event_list.parameters(query, 1, oldest_first=oldest)
        response = _sound(requester.send_request(stream_slice=stream_slice, request_params=params))
        rows, following = self._rows(response)
        if following and not rows:
            raise UntrueAnswer("an empty page says that there is more")
        return instant(rows[0].get("timestamp")) if rows else None

    def _rows(self, response: requests.Response) -> tuple[list[dict[str, Any]], Any]:
        """The rows and the `next` of an answer."""
        answers = self.sync.answers
        rows, decode = answers.rows(response), answers.decoder(response)
        for place, deep in answers.deep_rows(response).items():
            if deep.keys() == {"properties"}:
                rows[place]["properties"] = deep["properties"]  # which can be emitted as a string
            else:
                rows[place] = Unemittable(rows[place])
        for row in rows:
            if "properties" in row:
                set_properties(row, row["properties"], decode)
        return rows, answers.readable(response).get("next")


@dataclass
class EventQuery:
    """POST /query/, with an EventsQuery.

    Attributes:
        page_size: rows of a project's first page.
    """

    sync: Sync
    page_size: int = FIRST_LIMIT
    # As above, no more than 100,000.
    rows_in_hand: int = ROWS_IN_HAND
    rows_ahead: int = 30_000

    def __post_init__(self) -> None:
        self.slots, self.sizes = self.sync.query_slots, PageSizes(self.page_size, MOST_LIMIT)

    def ask(self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query) -> Page:
        def send(sending: Sending, limit: int) -> requests.Response:
            return _sound(sending(stream_slice=stream_slice, request_body_json=event_query.body(query, limit)))

        size = self.sizes.of(query.project_id)
        response, limit = sent(requester, query, size, send)
        answer = self.sync.answers.readable(response)
        page = event_query.page(answer, limit, self.sync.answers.decoder(response))
        for place in self.sync.answers.deep_rows(response):
            page.rows[place] = Unemittable(page.rows[place])
        seconds = response.elapsed.total_seconds()
        size.answered(limit, answer.get("limit"), len(page.rows), len(response.content), seconds)
        return page

    def one(
        self, requester: PostHogRequester, stream_slice: StreamSlice, query: Query, *, oldest: bool
    ) -> datetime | None:
        body = event_query.body(query, 1, oldest_first=oldest)
        response = _sound(requester.send_request(stream_slice=stream_slice, request_body_json=body))
        rows = event_query.page(self.sync.answers.readable(response), 1, self.sync.answers.decoder(response)).rows
        return instant(rows[0]["timestamp"]) if rows else None


@dataclass(frozen=True)
class Counts:
    """What PostHog counts: POST /query/, with a HogQLQuery. Its methods raise as `Transport.ask`."""

    sync: Sync
    requester: PostHogRequester

    def days(self, stream_slice: StreamSlice, query: Query, arrived_before: datetime) -> dict[date, int]:
        """The number of events of each UTC day of `query` that PostHog ingested before `arrived_before`."""
        return storage_sql.days_in(self._answer(stream_slice, storage_sql.count_of_days(query, arrived_before)))

    def keys(self, stream_slice: StreamSlice, query: Query, by: ByHash | None) -> dict[Any, int]:
        """A `Count` of `query`."""
        return storage_sql.keys_in(self._answer(stream_slice, storage_sql.count_of_keys(query, by)), by)

    def _answer(self, stream_slice: StreamSlice, body: Mapping[str, Any]) -> Mapping[str, Any]:
        response = self.requester.send_request(stream_slice=stream_slice, request_body_json=body)
        return self.sync.answers.body(_sound(response))


Sending = Callable[..., requests.Response | None]


def sent(
    requester: PostHogRequester, query: Query, size: PageSize, send: Callable[[Sending, int], requests.Response]
) -> tuple[requests.Response, int]:
    """The answer to `query`, and for how many rows it was asked: for fewer of them before it is for less time."""
    while True:
        limit = size.limit
        is_least = query.is_shortest and limit <= LEAST_LIMIT
        try:
            return send(requester.send_patiently if is_least else requester.send_request, limit), limit
        except TooLarge:
            if not size.too_large(limit):
                raise
        except TooSlow:
            is_cut = query.keys.is_bounded and not query.is_shortest  # whoever asks for keys asks for fewer of them
            if is_cut or not size.too_slow(limit):
                raise


def _sound(response: requests.Response | None) -> requests.Response:
    """`response`. Raises Skipped where it says that the project is gone, of which the requester has warned."""
    if response is None or not response.ok:
        raise Skipped
    return response
