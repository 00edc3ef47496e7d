"""The state of a query whose rows lie in the range of events, and change for some days."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from source_posthog.exact.instants import earlier, instant, iso
from source_posthog.streams.event_windows import declared_duration
from source_posthog.streams.query_cursor import QueryCursor

logger = logging.getLogger("airbyte")

NO_END = "2200-01-01T00:00:00.000000Z"  # later than any event
COMPLETE = "complete"


@dataclass
class RangeCursor(QueryCursor):
    """The cursor of a query in which `{start}` and `{end}` stand for the half-open range of its rows' own instants.

    It is that from start_date to end_date, of which an incremental sync takes what can have changed: PostHog skips what
    lies outside, so the bounds stand in the query itself, where it compares its own column with them. Nothing but a
    sync that came to its end shows that rows from before are read, since their cursor, an instant as well, can be years
    later. So the state says as well which range it is about, and whether it is complete:

        {"7": {"max_inserted_at": "2026-11-01T08:30:00.1Z", "since": "2026-01-01T00:00:00.0Z", "complete": true}}

    and has an `end` where the configuration has an end_date. Of another range it is no state: all is read again.

    Attributes:
        late: how long after its own instant a row can change; an ISO 8601 duration.
    """

    late: str = ""

    def _review(self, stream_name: str) -> None:
        for project in [project for project, entry in self._entries.items() if not self._is_about_all(entry)]:
            del self._entries[project]
            logger.info(
                f"Stream {stream_name}, {self._named(project)}: the state does not cover the range from `start_date` "
                "to `end_date`, so all of that range is read."
            )

    def values(self, project: str) -> Mapping[str, str]:
        start = instant(self._range["since"])
        with self._lock:
            is_complete = COMPLETE in self._entries.get(project, {})
        if is_complete:
            with suppress(ValueError):  # no instant, which the reading says
                start = max(start, earlier(instant(self.since(project)), declared_duration(self.late, self.config)))
        return {"start": iso(start), "end": self._range.get("end", NO_END)}

    def values_without_rows(self) -> Mapping[str, str]:
        return {"start": NO_END, "end": NO_END}

    def complete(self, project: str) -> None:
        with self._lock:
            if project in self._entries:
                self._entries[project][COMPLETE] = True

    def _entry(self, project: str, reached: Any) -> dict[str, Any]:
        is_complete = {COMPLETE: True} if COMPLETE in self._entries.get(project, {}) else {}
        return {**super()._entry(project, reached), **self._range, **is_complete}

    @property
    def _range(self) -> dict[str, str]:
        """What the state says of the range of the configuration."""
        bounds = {"since": self.config["start_date"], "end": self.config.get("end_date")}
        return {name: iso(instant(bound)) for name, bound in bounds.items() if bound}

    def _is_about_all(self, entry: Mapping[str, Any]) -> bool:
        """Whether `entry` is about all of the range of the configuration."""
        try:
            since, end = instant(entry.get("since")), instant(entry.get("end", NO_END))
        except ValueError:
            return False
        return since <= instant(self._range["since"]) and instant(self._range.get("end", NO_END)) <= end
