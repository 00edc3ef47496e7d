"""Reads every event of a range once, through any transport that can prove an answer complete.

    for batch in read(Query(7, start, end), ask, Reach()):
        emit(batch.rows)
        ledger.cover(7, batch)

Newest first, page by page: each question goes up to and including the oldest timestamp seen so far, since more events
can share it than fitted the page; what was already emitted at that timestamp is skipped. A page of a single timestamp
that is not complete holds more ties than fit: that microsecond is read alone, split by the last digits of the ids.

A dense range is read in parts, the oldest part first (each newest first as ever), so that the state can follow.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from source_posthog.events.instants import MICROSECOND, instant

Row = dict[str, Any]

# A range that is too slow is halved down to this; below it, slowness is a fault like any other.
SHORTEST_RANGE = timedelta(seconds=1)

# So many answers have to come before a longer range is tried again.
LEAST_PATIENCE, MOST_PATIENCE = 8, 1024

# So many pages of a project's oldest window may be emitted before the state covers them, and no more than so many rows:
# pages of the events list are small, those of a query may be fifty times as large.
PAGES_IN_HAND, ROWS_IN_HAND = 25, 60_000
# After so many pages, or rows, the density of a range is judged: the first may be a burst.
PAGES_TO_JUDGE, ROWS_TO_JUDGE = 3, 10_000
# How much longer or shorter than the last part, for the same number of events, the next may be.
STRETCH = 8
SPILL = 0.1  # of a page

# Ties are told apart by the last hex digits of their ids; the last group of a UUID has 12.
LONGEST_SUFFIX = 12
HEX_DIGITS = "0123456789abcdef"


@dataclass(frozen=True)
class Query:
    """A question: the events of `project_id` in [start, end).

    Attributes:
        suffix: only those whose id ends in these hex digits.
        arrived_from: only those that PostHog ingested at this instant or later.
    """

    project_id: Any
    start: datetime
    end: datetime
    suffix: str = ""
    arrived_from: datetime | None = None

    @property
    def is_shortest(self) -> bool:
        """Whether the range is not halved any more where the server is too slow for it."""
        return self.end - self.start <= SHORTEST_RANGE


@dataclass
class Page:
    """An answer.

    Attributes:
        rows: newest first, each with `id` and `timestamp`.
        complete: the transport's proof that the query holds nothing but these rows.
    """

    rows: list[Row]
    complete: bool


Ask = Callable[[Query], Page]


class TooSlow(Exception):
    """Raised by `ask`: the server could not answer for so long a range in time."""


class UntrueAnswer(Exception):
    """An answer that would lose events if it were believed. Its string says what is wrong with it."""


@dataclass
class Batch:
    """Rows to emit now, newest first; once that is done, all events of [start, end) are emitted.

    Attributes:
        newest: the timestamp of the newest event of [start, end), as the server wrote it; None if there is none.
    """

    rows: list[Row]
    start: datetime
    end: datetime
    newest: str | None = None


@dataclass
class Reach:
    """The longest range that the server can answer for one project in time, as far as is known; for one sync.

    It is halved where the server is too slow and tried twice as long now and then, since the spell may have passed.
    Windows of the project that are read at the same time share it.

    Attributes:
        answers: so many of the longest range came since it was set.
        patience: so many have to come before a longer one is tried; twice as many after each that was too slow.
        trying: the longest range is such a try, and not answered yet.
    """

    longest: timedelta | None = None
    answers: int = 0
    patience: int = LEAST_PATIENCE
    trying: bool = False

    def start_of(self, start: datetime, end: datetime) -> datetime:
        """Where the next question begins, of those that are to be asked for [start, end)."""
        return start if self.longest is None else max(start, end - self.longest)

    def answered(self, length: timedelta) -> None:
        if self.longest is None or length < self.longest:
            return
        if self.trying:
            self.patience, self.trying = LEAST_PATIENCE, False
        self.answers += 1
        if self.answers >= self.patience:
            self.longest, self.answers, self.trying = 2 * length, 0, True

    def too_slow(self, length: timedelta) -> None:
        if self.trying and self.longest is not None and length >= self.longest:
            self.patience = min(2 * self.patience, MOST_PATIENCE)
        shorter = max(length / 2, SHORTEST_RANGE)
        self.longest, self.answers, self.trying = min(self.longest or shorter, shorter), 0, False


def read(
    query: Query, ask: Ask, reach: Reach, *, in_parts: bool = True, rows_in_hand: int = ROWS_IN_HAND
) -> Iterator[Batch]:
    """Every event of `query` once, as batches that together cover its range.

    `in_parts`: cut a dense range into parts and read the oldest first. Without, coverage grows from the end downwards.
    `rows_in_hand`: so many rows of a part, no more, may be emitted before it is covered.

    Raises UntrueAnswer where an answer cannot be believed, TooSlow where the server is too slow for even the shortest
    range, and whatever `ask` raises. What was covered by then stands.
    """
    yield from _Reader(query, ask, reach, in_parts, rows_in_hand).read(query.start, query.end, set(), 0.0)


@dataclass
class _Reader:
    query: Query
    ask: Ask
    reach: Reach
    in_parts: bool
    rows_in_hand: int
    page_rows: int = field(default=0)  # the most rows of a page that was not complete: what the server gives at most

    def read(
        self, start: datetime, end: datetime, edge: set[str], in_hand: float, *, sparse: bool = False
    ) -> Generator[Batch, None, int]:
        """Read [start, end) without the ids of `edge`, which were emitted at its last microsecond; return its rows.

        `in_hand`: pages emitted above `end` that no state covers yet. `sparse`: there was next to nothing just below
        `start`.
        """
        before, rows = end, 0
        while before > start:
            lowest = self.reach.start_of(start, before)
            page = self._answer(lowest, before)
            if page is None:
                continue
            instants = _instants(replace(self.query, start=lowest, end=before), page)
            fresh = list({row["id"]: row for row in page.rows if row["id"] not in edge}.values())
            rows += len(fresh)
            reached = lowest if page.complete else instants[-1] + MICROSECOND
            newest = page.rows[0]["timestamp"] if instants and instants[0] >= reached else None
            tied = {row["id"] for row, at in zip(page.rows, instants, strict=True) if at == instants[-1]}
            oldest = page.rows[-1]["timestamp"] if instants else None
            is_complete = page.complete
            del page  # pages are most of the memory: whoever emits the batch lets go of it row by row
            yield Batch(fresh, reached, before, newest)
            del fresh
            length = before - reached
            if is_complete:
                before, edge = reached, set()
                continue
            edge = tied if before > reached else edge | tied
            before = reached
            self.page_rows = max(self.page_rows, len(instants))
            if instants[0] == instants[-1]:
                rows += yield from self._ties(instants[-1], edge)
                yield Batch([], instants[-1], before, oldest)
                before, edge = instants[-1], set()
            pages = rows / self.page_rows
            if self.in_parts and self._is_dense(pages, (before - start) / max(length, MICROSECOND), in_hand):
                each = max((end - before) / pages, MICROSECOND)
                rows += yield from self._parts(start, before, edge, each, in_hand + pages, sparse=sparse)
                before = start
        return rows

    def _answer(self, start: datetime, end: datetime) -> Page | None:
        """The page of [start, end); None where the server is too slow for it and less is to be asked for."""
        try:
            page = self.ask(replace(self.query, start=start, end=end))
        except TooSlow:
            if end - start <= SHORTEST_RANGE:
                raise
            self.reach.too_slow(end - start)
            return None
        self.reach.answered(end - start)
        return page

    def _ties(self, at: datetime, emitted: set[str], suffix: str = "") -> Generator[Batch, None, int]:
        """Read the events of one microsecond that are not in `emitted`; return their number.

        They are split by the last digits of their ids until each share fits a page.
        """
        query = replace(self.query, start=at, end=at + MICROSECOND, suffix=suffix)
        page = self.ask(query)
        _instants(query, page)
        rows = 0
        if page.complete:
            fresh = {row["id"]: row for row in page.rows if row["id"] not in emitted}
            emitted |= fresh.keys()
            rows = len(fresh)
            yield Batch(list(fresh.values()), at, at)
        elif len(suffix) == LONGEST_SUFFIX:
            raise UntrueAnswer(f"events at {at.isoformat()} cannot be distinguished by their ids")
        else:
            for digit in HEX_DIGITS:
                rows += yield from self._ties(at, emitted, digit + suffix)
        return rows

    @property
    def pages_in_hand(self) -> float:
        return min(PAGES_IN_HAND, self.rows_in_hand / self.page_rows)

    def _is_dense(self, pages: float, pages_left: float, in_hand: float) -> bool:
        """Whether the rest of a range, of about `pages_left`, is to be read in parts after `pages` of it were read."""
        most = self.pages_in_hand - in_hand
        enough = min(1 if in_hand else PAGES_TO_JUDGE, ROWS_TO_JUDGE / self.page_rows)
        return pages >= enough and pages + pages_left > most and (pages_left > 1 or pages > most)

    def _parts(
        self, start: datetime, end: datetime, edge: set[str], each: timedelta, in_hand: float, *, sparse: bool
    ) -> Generator[Batch, None, int]:
        """Read [start, end) in parts, the oldest first. `each`: the range of one page, judged by those read so far.

        After a part with next to nothing in it, the dense range is searched for by halves.
        """
        rows = 0
        # Less the page that is under way and one for a wrong guess; and less a bit, which spills over into a page more.
        pages = max(1.0, self.pages_in_hand - in_hand - 2) - SPILL
        while start < end:
            length = max(each * pages, (end - start) / 2 if sparse else MICROSECOND)
            stop = start + length if end - start > 1.25 * length else end
            part = yield from self.read(start, stop, edge if stop == end else set(), in_hand, sparse=sparse)
            sparse = part < self.page_rows
            if not sparse:
                right = (stop - start) * (self.page_rows / part)
                each = max(min(max(right, each / STRETCH), each * STRETCH), MICROSECOND)
            rows += part
            start = stop
        return rows


def _instants(query: Query, page: Page) -> list[datetime]:
    """The instants of the rows. Raises UntrueAnswer where reading on by them would lose events."""
    if not page.rows and not page.complete:
        raise UntrueAnswer("an empty page says that there is more")
    newest_allowed = query.end - MICROSECOND
    instants: list[datetime] = []
    text: object = instants  # equal to no timestamp, not even to a missing one
    at = newest_allowed
    for row in page.rows:
        if row.get("timestamp") != text:
            text = row.get("timestamp")
            try:
                at = instant(text)
            except ValueError:
                raise UntrueAnswer(
                    f"event {row['id']} has {text!r} as its timestamp, which is not a valid one"
                ) from None
            if not query.start <= at <= newest_allowed:
                raise UntrueAnswer(f"event {row['id']} at {text} is outside the requested range, or out of order")
            newest_allowed = at
        instants.append(at)
    if query.suffix and not all(str(row["id"]).endswith(query.suffix) for row in page.rows):
        raise UntrueAnswer("the filter by id was ignored")
    return instants
