"""Which ranges of one project are emitted in this sync, and how far that moves the state."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from source_posthog.exact.instants import instant, iso

# An instant with the string that stands for it in a state: the server's own where it is that of an event.
Mark = tuple[datetime, str]


@dataclass
class Span:
    """A range that is emitted, above one that is not yet: where it ends, how far it moves the state, and its rows."""

    end: datetime
    mark: Mark | None
    rows: int


@dataclass
class Track:
    """What is emitted of [start, end) of one project.

    Attributes:
        settled: an empty range moves the state only up to here, since events may still be on their way after it.
        since: where the range that the state covers begins once this track has moved it; None leaves it as it is.
        arrived: at least so late, once this track has moved the state, began the last sync that looked for late events.
        read_to: all of [start, read_to) is emitted.
        mark: how far that moves the state.
        rows: of those that it covers, so many came since the state was last emitted.
        spans: by their starts, what is emitted above `read_to`.
        ties: by their instant, rows emitted of more ties than fit a page, until all of them are.
        under_way: by the starts of the windows, the most rows of the pages that they have asked for.
    """

    start: datetime
    end: datetime
    settled: datetime
    since: datetime | None = None
    arrived: datetime | None = None
    read_to: datetime = field(init=False)
    mark: Mark | None = None
    rows: int = 0
    spans: dict[datetime, Span] = field(default_factory=dict)
    ties: Counter[datetime] = field(default_factory=Counter)
    under_way: dict[datetime, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read_to = self.start

    def cover(self, start: datetime, end: datetime, newest: str | None, rows: int) -> None:
        mark = (instant(newest), newest) if newest else (end, iso(end)) if end <= self.settled else None
        span = Span(end, mark, rows + self.ties.pop(start, 0))
        for neighbour in (self.spans.pop(end, None), self.spans.get(start)):
            if neighbour:
                span = Span(max(span.end, neighbour.end), _later(span.mark, neighbour.mark), span.rows + neighbour.rows)
        self.spans[start] = span
        for start in sorted(self.spans):
            if start > self.read_to:
                break
            reached = self.spans.pop(start)
            self.read_to = max(self.read_to, reached.end)
            self.mark = _later(self.mark, reached.mark)
            self.rows += reached.rows

    def rows_ahead(self, window: datetime) -> int:
        """Rows that the state cannot cover yet, emitted or under way to another window than the one that begins at
        `window`. What the oldest window has under way does not count: its reader limits what it has in hand."""
        coming = (rows for start, rows in self.under_way.items() if start > self.read_to and start != window)
        return sum(span.rows for span in self.spans.values()) + self.ties.total() + sum(coming)


@dataclass
class Backfill:
    """What is emitted of [start, end), the time between an earlier start_date and the one that the state began from.

    Read from its end downwards, so that `since` can follow. `read_from`: all of [read_from, end) is emitted. `rows` as
    in `Track`.
    """

    start: datetime
    end: datetime
    read_from: datetime = field(init=False)
    rows: int = 0
    spans: dict[datetime, datetime] = field(default_factory=dict)  # start by end

    def __post_init__(self) -> None:
        self.read_from = self.end

    def cover(self, start: datetime, end: datetime, rows: int = 0) -> None:
        self.rows += rows
        self.spans[end] = min(start, self.spans.get(end, start))
        for end in sorted(self.spans, reverse=True):
            if end < self.read_from:
                break
            self.read_from = min(self.read_from, self.spans.pop(end))


def _later(one: Mark | None, other: Mark | None) -> Mark | None:
    return max((mark for mark in (one, other) if mark), key=lambda mark: mark[0], default=None)
