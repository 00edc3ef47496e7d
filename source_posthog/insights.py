"""Insights, some of which are too heavy for the server, or broken."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.retrievers import SimpleRetriever
from airbyte_cdk.sources.streams.http.request_window_split_exception import RequestWindowSplitRequiredException
from airbyte_cdk.sources.types import Record, StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.errors import Outage, PostHogError, Where
from source_posthog.lists import next_offset
from source_posthog.requester import PostHogRequester
from source_posthog.sync import Sync

logger = logging.getLogger("airbyte")


@dataclass
class InsightsRetriever(SimpleRetriever):
    """Reads insights in pages that shrink where the server cannot answer.

    One insight with a heavy or broken query makes the whole page fail. The stock retriever can shrink a page, but stops
    at an insight that fails alone; this one then reads that insight with `basic=true`, without its result.
    """

    requester: PostHogRequester
    page_size: int = 100
    sync: Sync = field(default_factory=Sync)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The insights of a project. Raises PostHogError where one cannot be read even without its result."""
        start: int | None = 0
        limit = largest = self.sync.page_size or self.page_size
        while start is not None:
            try:
                response = self._page(stream_slice, start, limit) if limit > 1 else self._one(stream_slice, start)
            except RequestWindowSplitRequiredException:
                limit = max(1, limit // 4)
                continue
            if response is None or not response.ok:  # the project is gone, and the requester has said so
                return
            yield from self.record_selector.select_records(response, {}, records_schema, stream_slice)
            start, limit = next_offset(response, start, self.sync), min(limit * 4, largest)

    def _page(
        self, stream_slice: StreamSlice | None, start: int, limit: int, **params: str
    ) -> requests.Response | None:
        return self.requester.send_request(
            stream_slice=stream_slice, request_params={"limit": limit, "offset": start, **params}
        )

    def _one(self, stream_slice: StreamSlice | None, start: int) -> requests.Response | None:
        """The insight at `start`, without its result if need be."""
        params = {"limit": 1, "offset": start}
        try:
            return self.requester.send_patiently(stream_slice=stream_slice, request_params=params)
        except RequestWindowSplitRequiredException as refused:
            reason = refused.error_message
        except AirbyteTracedException as error:
            if isinstance(error, Outage) or error.failure_type == FailureType.config_error:
                raise
            reason = str(error)
        try:
            response = self._page(stream_slice, start, 1, basic="true")
        except RequestWindowSplitRequiredException as refused:
            raise PostHogError(
                f"the insight at offset {start} cannot be read, even without its result: {refused.error_message}.",
                where=Where.of(self.name, stream_slice),
            ) from refused
        rows = self.sync.answers.rows(response) if response is not None and response.ok else []
        names = ", ".join(f"{row['id']} ({row.get('name') or row.get('derived_name')})" for row in rows)
        logger.warning(f"Insight {names} was read without its result, which PostHog could not provide: {reason}")
        return response
