"""The activity log, newest first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.types import Record, StreamSlice

from source_posthog.api.errors import PostHogError, one_line
from source_posthog.streams.time_cursor import TimedListRetriever, partition_of
from source_posthog.streams.unemitted import Unemitted


@dataclass
class ActivityLogRetriever(TimedListRetriever):
    """Reads a log that is paged by cursor, newest first, back to where the state begins.

    The log has no filter by time, and older servers know no other order. So its state moves when all that is new was
    read: a row that comes meanwhile is newer than the first one that was seen.
    """

    def _records_of(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None, unemitted: Unemitted
    ) -> Iterable[Record]:
        project = partition_of(stream_slice)
        since = self.stream_slicer.since(project)
        newest: datetime | None = None
        last: datetime | None = None
        tied: set[Any] = set()  # the ids of the rows at `last`
        emitted = 0
        for response in self._pages(stream_slice):
            wanted: set[Any] = set()
            for row in self.sync.answers.rows(response):
                at = self.stream_slicer.instant_of(row, unemitted.where)
                if last and at > last:
                    raise self.sync.answers.unusable(response, "its rows are not in their order, newest first")
                if row["id"] in tied:
                    raise PostHogError(
                        f"rows that share an instant ({self.stream_slicer.column} {row[self.stream_slicer.column]}) "
                        "changed their order between two pages, so one of them may be missing. Run the sync again.",
                        FailureType.transient_error,
                        unemitted.where,
                    )
                tied = tied | {row["id"]} if at == last else {row["id"]}
                newest, last = newest or at, at
                if since is None or at >= since:
                    wanted.add(row["id"])
            for record in self.record_selector.select_records(response, {}, records_schema, stream_slice):
                if record["id"] in wanted:
                    emitted += 1
                    yield record
            for id in wanted.intersection(self._deep_ids(response)):
                unemitted.add(id)
            if since and last and last < since:
                break
        self._cover(project, newest, emitted)

    def _params(self, start: str, rows: int) -> dict[str, Any]:
        return {"page_size": rows, **({"cursor": start} if start else {})}

    def _next_offset(self, response: requests.Response, before: str) -> str | None:
        """The cursor in the `next` of a page, and nothing else of it: behind a proxy it can name another host."""
        following = self.sync.answers.readable(response).get("next")
        if not following:
            return None
        cursors = parse_qs(urlsplit(str(following)).query).get("cursor", [])
        if not cursors or cursors[0] == before:
            raise self.sync.answers.unusable(response, f"its `next` does not lead on ({one_line(repr(following))})")
        return cursors[0]
