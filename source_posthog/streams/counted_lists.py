"""Lists whose order the server leaves open: what was read is compared with how many rows the server counts."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from airbyte_cdk.sources.types import Record, StreamSlice

from source_posthog.api.errors import Where
from source_posthog.streams.lists import ListRetriever
from source_posthog.streams.unemitted import Unemitted

logger = logging.getLogger("airbyte")

TIMES = 2  # that a list is read in which rows are missing


@dataclass
class CountedListRetriever(ListRetriever):
    """Reads a list whose rows can move between two pages: one that moves is on both, and another one on neither.

    Each row is emitted once. A list with fewer rows than PostHog counts is read once more, for those that were missing;
    if some still are, the log says how many. It can have more: rows that were deleted meanwhile, and the count of some
    lists stops at a number.

    An answer without a `next` has no more than was asked for, and its count says whether there is more; where it has no
    count, it has all rows.
    """

    def _records_of(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None, unemitted: Unemitted
    ) -> Iterable[Record]:
        seen: set[Any] = set()
        counted = 0
        for _ in range(TIMES):
            counted = 0
            for response in self._pages(stream_slice):
                counted = max(counted, self._count(response))
                for record in self.record_selector.select_records(response, {}, records_schema, stream_slice):
                    if record[self.key] not in seen:
                        seen.add(record[self.key])
                        yield record
                for id in self._deep_ids(response):
                    if id not in seen:
                        seen.add(id)
                        unemitted.add(id)
            if len(seen) >= counted:
                return
        self._warn_of_missing(unemitted.where, counted, len(seen))

    def _warn_of_missing(self, where: Where, counted: int, shown: int) -> None:
        logger.warning(
            f"{where}: PostHog counts {counted} rows, and its list shows {shown}, also when it is read again: rows may "
            "be missing, which the next sync reads."
        )

    def _next_offset(self, response: requests.Response, before: Any) -> Any:
        if "next" in self.sync.answers.readable(response):
            return super()._next_offset(response, before)
        rows = len(self.sync.answers.rows(response, self.key))
        return before + rows if rows and before + rows < self._count(response) else None

    def _count(self, response: requests.Response) -> int:
        """How many rows the whole list has, as its page `response` says; 0 where it does not."""
        count = self.sync.answers.readable(response).get("count")
        return count if isinstance(count, int) else 0
