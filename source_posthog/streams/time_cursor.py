"""The partitions and the state of a list that is incremental by an instant of its rows."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airbyte_cdk.sources.types import StreamSlice

from source_posthog.api import clock
from source_posthog.api.errors import PostHogError, Where, one_line
from source_posthog.exact.instants import instant, iso
from source_posthog.streams.event_windows import declared_duration
from source_posthog.streams.lists import ListRetriever
from source_posthog.streams.query_cursor import QueryCursor

logger = logging.getLogger("airbyte")


@dataclass
class TimeCursor(QueryCursor):
    """One partition a project or organization, each with the instant from which on it is read:

        slice   {"project_id": 7, "since": "2026-10-31T23:50:00.000000Z"}, without `since` where all is read
        state   {"7": {"created_at": "2026-11-01T00:00:00.000000Z"}}

    A row becomes visible some time after its instant, and not in the order of the instants, hence the lookback.
    """

    def _review(self, stream_name: str) -> None:
        for partition, entry in self._entries.items():
            value = entry.get(self.column)
            if value and instant(value) > clock.now():
                logger.warning(
                    f"Stream {stream_name}: the state of {self._named(partition)} is in the future ({value}): nothing "
                    "of it is read until then. Correct the state, or clear the stream."
                )

    @property
    def margin(self) -> timedelta:
        """The lookback."""
        return declared_duration(self.lookback, self.config)

    def stream_slices(self) -> Iterable[StreamSlice]:
        for one in super().stream_slices():
            since = self.since(partition_of(one))
            yield StreamSlice(partition=one.partition, cursor_slice={"since": iso(since)} if since else {})

    def since(self, project: str) -> datetime | None:
        """From which instant on the partition is to be read, itself included; None for all of it."""
        since = super().since(project)
        return instant(since) if since else None

    def cover(self, project: str, reached: datetime, rows: int) -> None:
        super().cover(project, iso(reached), rows)

    def _is_valid(self, value: Any) -> bool:
        try:
            return value is None or (super()._is_valid(value) and bool(instant(value)))
        except ValueError:
            return False

    def instant_of(self, row: Mapping[str, Any], where: Where) -> datetime:
        """The instant of `row` by which the stream is incremental. Raises PostHogError where it has none."""
        try:
            return instant(row.get(self.column))
        except ValueError:
            raise PostHogError(
                f"the row {row['id']} has no valid `{self.column}` ({one_line(repr(row.get(self.column)))}), by which "
                "the stream is read. Run the sync again; if this persists, remove the stream from the connection.",
                where=where,
            ) from None


def partition_of(stream_slice: StreamSlice | None) -> str:
    """The project or organization of `stream_slice`, as a state names it."""
    if stream_slice is None:
        raise ValueError("The list is read in projects or organizations; read_records needs a slice")
    return str(next(iter(stream_slice.partition.values())))


@dataclass
class TimedListRetriever(ListRetriever):
    """Reads a list whose state is a TimeCursor.

    Attributes:
        stream_slicer: the state.
    """

    stream_slicer: TimeCursor = field(kw_only=True)

    def _cover(self, partition: str, reached: datetime | None, rows: int) -> None:
        """All rows of `partition` up to `reached` are emitted, `rows` of them just now; None where there are none."""
        if reached and self.stream_slicer.is_incremental:
            self.stream_slicer.cover(partition, reached, rows)
