"""What was emitted of a range before it has to be read in another way."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from source_posthog.exact.events.port import Batch, Row, identity
from source_posthog.exact.instants import instant


@dataclass
class Emitted:
    """How far down a range is emitted that is read newest first.

    Attributes:
        down_to: all from here to the end of the range is emitted.
        below: the events emitted before that: those at the instant of the last page's oldest row, which may have more.
    """

    down_to: datetime
    below: set[tuple[Any, ...]] = field(default_factory=set)

    def add(self, batch: Batch) -> None:
        """The rows of `batch` are going to be emitted."""
        if batch.start < min(batch.end, self.down_to):
            self.down_to, self.below = batch.start, set()
        self.below.update(_at(row) for row in self._below(batch))

    def take_from(self, batch: Batch) -> None:
        """Take what is emitted out of the rows of `batch`."""
        batch.rows = [row for row in batch.rows if _at(row) not in self.below]

    def _below(self, batch: Batch) -> Iterator[Row]:
        for row in reversed(batch.rows):
            if instant(row["timestamp"]) >= self.down_to:
                return
            yield row


def _at(row: Row) -> tuple[Any, ...]:
    """The event of `row` and its instant: copies of one event can be at two."""
    return row["timestamp"], *identity(row)
