"""Recordings of sessions, window by window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests
from airbyte_cdk.sources.types import Record, StreamSlice

from source_posthog.api.answers import number_in
from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.events.windows import Range, cut
from source_posthog.exact.instants import duration, instant
from source_posthog.exact.recordings import RecordingPages
from source_posthog.streams.time_cursor import TimedListRetriever, partition_of
from source_posthog.streams.unemitted import Unemitted


@dataclass
class RecordingsRetriever(TimedListRetriever):
    """Reads the recordings that begin from start_date on, up to the present or end_date: each once.

    Without bounds PostHog gives those of the last three days, and it does not count them, so they are read in windows
    of time, oldest first, and the state follows each. What the pages of a window prove is decided in
    exact/recordings.py.

    Attributes:
        step: how long a window is, an ISO 8601 duration.
    """

    step: str = ""

    def _records_of(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None, unemitted: Unemitted
    ) -> Iterable[Record]:
        project, present = partition_of(stream_slice), self.sync.clock.present()
        for window in cut(*self._range(project, present), duration(self.step)):
            pages, rows = RecordingPages(*window), 0
            for response in self._pages(stream_slice, pages):
                new = self._new(response, pages, unemitted)
                for record in self.record_selector.select_records(response, {}, records_schema, stream_slice):
                    if record["id"] in new:
                        rows += 1
                        yield record
                for id in new.intersection(self._deep_ids(response)):
                    unemitted.add(id)
            # What may still change is read again by the next sync, and what is not there yet may begin earlier.
            is_settled = window[1] <= present - self.stream_slicer.margin
            self._cover(project, window[1] if is_settled else pages.newest, rows)

    def _range(self, project: str, present: datetime) -> Range:
        """The time that is to be read."""
        start, end = instant(self.config["start_date"]), self.config.get("end_date")
        since = self.stream_slicer.since(project)
        return max(start, since or start), min(present, instant(end)) if end else present

    def _new(self, response: requests.Response, pages: RecordingPages, unemitted: Unemitted) -> set[Any]:
        """The ids of the rows of `response` that are to be emitted. Raises PostHogError."""
        rows = [
            (row["id"], self.stream_slicer.instant_of(row, unemitted.where)) for row in self.sync.answers.rows(response)
        ]
        has_next = self.sync.answers.readable(response).get("has_next")
        if not isinstance(has_next, bool):
            raise self.sync.answers.unusable(response, "it does not say whether there is more (`has_next`)")
        try:
            return pages.add(rows, number_in(str(response.request.url), "limit"), has_next)
        except UntrueAnswer as untrue:
            raise self.sync.answers.unusable(response, str(untrue)) from untrue

    def _params(self, start: RecordingPages, rows: int) -> dict[str, Any]:
        return {"limit": rows, **start.asked()}

    def _next_offset(self, response: requests.Response, before: RecordingPages) -> RecordingPages | None:
        return before if before.offset is not None else None
