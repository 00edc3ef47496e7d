"""Lists that can be asked for what has changed since an instant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airbyte_cdk.sources.types import Record, StreamSlice

from source_posthog.api.errors import Skipped, Where
from source_posthog.streams.counted_lists import CountedListRetriever
from source_posthog.streams.time_cursor import TimedListRetriever, partition_of
from source_posthog.streams.unemitted import Unemitted


@dataclass
class ChangedListRetriever(CountedListRetriever, TimedListRetriever):
    """Reads the rows that have changed since the instant that is `since` in the slice, by the parameter that the
    manifest says.

    A row that changes while the list is read may be seen as it was before. So the state is never later than the
    beginning of the reading; and where rows are missing, it stays.
    """

    def _records_of(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None, unemitted: Unemitted
    ) -> Iterable[Record]:
        begun, newest, emitted = self.sync.clock.present(), None, 0
        for record in super()._records_of(records_schema, stream_slice, unemitted):
            at: datetime = self.stream_slicer.instant_of(record, unemitted.where)
            newest, emitted = max(at, newest or at), emitted + 1
            yield record
        self._cover(partition_of(stream_slice), newest and min(newest, begun), emitted)

    def _warn_of_missing(self, where: Where, counted: int, shown: int) -> None:
        super()._warn_of_missing(where, counted, shown)
        raise Skipped
