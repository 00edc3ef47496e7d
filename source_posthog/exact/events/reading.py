"""Reads every event of a range once, through any transport that can prove an answer complete.

    for batch in read_range(Query(7, start, end), ask, Reach()):
        emit(batch.rows)
        ledger.cover(7, batch)

Newest first, page by page: each question goes up to and including the oldest timestamp seen so far, since more events
can share it than fitted the page; what was already emitted at that timestamp is skipped, and has to come again: where
it does not, the server filters by other instants than it shows. A page of a single timestamp that is not complete holds
more ties than fit: that instant is read alone, split by the digits of the ids.

An instant may be shown more coarsely than it is stored (`Page.step`), so "timestamp" above means its whole step.

A dense range is read in parts, the oldest part first (each newest first as ever), so that the state can follow.
"""

from collections.abc import Generator, Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from source_posthog.exact.errors import OtherInstants, TooSlow, UntrueAnswer
from source_posthog.exact.events.port import ANY, Ask, Batch, Identity, Page, Query, Row, identity
from source_posthog.exact.events.reach import SHORTEST_RANGE, Reach
from source_posthog.exact.instants import MICROSECOND, instant, rounded_down

# So many pages of a project's oldest window may be emitted before the state covers them, and no more than so many rows:
# pages of the events list are small, those of a query may be fifty times as large.
PAGES_IN_HAND, ROWS_IN_HAND = 25, 60_000
# After so many pages, or rows, the density of a range is judged: the first may be a burst.
PAGES_TO_JUDGE, ROWS_TO_JUDGE = 3, 10_000
# How much longer or shorter than the last part, for the same number of events, the next may be.
STRETCH = 8
SPILL = 0.1  # of a page

HEX_DIGITS = "0123456789abcdef"

# An event that does not come again is looked for as far around its timestamp as time zones reach.
ZONES = timedelta(days=1)


def read_range(
    query: Query, ask: Ask, reach: Reach, *, in_parts: bool = True, rows_in_hand: int = ROWS_IN_HAND
) -> Iterator[Batch]:
    """Every event of `query` once, as batches that together cover its range.

    `in_parts`: cut a dense range into parts and read the oldest first. Without, coverage grows from the end downwards.
    `rows_in_hand`: so many rows of a part, no more, may be emitted before it is covered.

    Raises UntrueAnswer where an answer cannot be believed, TooSlow where the server is too slow for even the shortest
    range, and whatever `ask` raises. What was covered by then stands.
    """
    yield from _RangeReader(query, ask, reach, in_parts, rows_in_hand).read(query.start, query.end, set(), 0.0)


@dataclass
class _RangeReader:
    query: Query
    ask: Ask
    reach: Reach
    in_parts: bool
    rows_in_hand: int
    page_rows: int = field(default=0)  # the most rows of a page that was not complete: what the server gives at most
    step: timedelta = MICROSECOND  # of the last page

    def read(
        self, start: datetime, end: datetime, edge: Set[Identity], in_hand: float, *, sparse: bool = False
    ) -> Generator[Batch, None, int]:
        """Read [start, end) without the events of `edge`, which were emitted at its last step; return its rows.

        `in_hand`: pages emitted above `end` that no state covers yet. `sparse`: there was next to nothing just below
        `start`.
        """
        before, rows = end, 0
        while before > start:
            lowest = self.reach.start_of(start, before)
            page = self._answer(lowest, before)
            if page is None:
                continue
            instants = instants_of(replace(self.query, start=lowest, end=before), page)
            fresh = fresh_rows(page.rows, edge)
            self._require_again(edge, page, instants, before)
            rows += len(fresh)
            self.step = step = page.step
            oldest = rounded_down(instants[-1], step) if instants else before
            reached = lowest if page.complete else min(before, oldest + step)
            newest = page.rows[0]["timestamp"] if instants and instants[0] >= reached else None
            tied = {identity(row) for row, at in zip(page.rows, instants, strict=True) if at < oldest + step}
            first = page.rows[0]["timestamp"] if instants else None
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
            if instants[0] < oldest + step:
                oldest = max(oldest, lowest)
                rows += yield from self._ties(replace(self.query, start=oldest, end=before), edge)
                yield Batch([], oldest, before, first)
                before, edge = oldest, set()
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

    def _require_again(self, edge: Set[Identity], page: Page, instants: list[datetime], end: datetime) -> None:
        """Raise OtherInstants unless `edge`, emitted at the last step before `end`, comes again in `page`."""
        last_step = rounded_down(end - MICROSECOND, page.step)
        if edge and (page.complete or instants[-1] < last_step):
            rows = (row for row, at in zip(page.rows, instants, strict=True) if at >= last_step)
            self._require_gone(edge - {identity(row) for row in rows}, last_step)

    def _require_gone(self, missing: Set[Identity], at: datetime) -> None:
        """Raise OtherInstants if one of `missing`, events that were shown as being at `at`, is at another instant."""
        for id, *_ in sorted(missing, key=str)[:1]:
            require_gone(self.ask, self.query, id, at)

    def _ties(self, query: Query, edge: Set[Identity]) -> Generator[Batch, None, int]:
        """Read `query`, the events of one step, without those of `edge`; return their number.

        They are split by the digits of their ids until each share fits a page.
        """
        emitted, again = set(edge), set[Identity]()
        rows = 0
        shares = [query]
        while shares:
            share = shares.pop()
            page = self.ask(share)
            instants_of(share, page)
            fresh = fresh_rows(page.rows, emitted)
            found = {identity(row) for row in page.rows}
            again |= found
            if not page.complete and (smaller := _shares(share, found)):
                shares += smaller
                continue
            emitted |= found
            rows += len(fresh)
            yield Batch(fresh, query.start, query.start)
        self._require_gone(edge - again, query.start)
        return rows

    @property
    def pages_in_hand(self) -> float:
        return min(PAGES_IN_HAND, self.rows_in_hand / self.page_rows)

    def _is_dense(self, pages: float, pages_left: float, in_hand: float) -> bool:
        """Whether the rest of a range, of about `pages_left`, is to be read in parts after `pages` of it were read."""
        most = self.pages_in_hand - in_hand
        enough = min(1 if in_hand else PAGES_TO_JUDGE, ROWS_TO_JUDGE / self.page_rows)
        return pages >= enough and pages + pages_left > most and (pages_left > 1 or pages > most)

    def _boundary(self, at: datetime) -> datetime:
        """`at`, or a bit later: what is shown as of one timestamp is read as one."""
        return rounded_down(at + self.step - MICROSECOND, self.step)

    def _parts(
        self, start: datetime, end: datetime, edge: Set[Identity], each: timedelta, in_hand: float, *, sparse: bool
    ) -> Generator[Batch, None, int]:
        """Read [start, end) in parts, the oldest first. `each`: the range of one page, judged by those read so far.

        After a part with next to nothing in it, the dense range is searched for by halves.
        """
        rows = 0
        # Less the page that is under way and one for a wrong guess; and less a bit, which spills over into a page more.
        pages = max(1.0, self.pages_in_hand - in_hand - 2) - SPILL
        while start < end:
            length = max(each * pages, (end - start) / 2 if sparse else MICROSECOND)
            stop = min(self._boundary(start + length), end) if end - start > 1.25 * length else end
            part = yield from self.read(start, stop, edge if stop == end else set(), in_hand, sparse=sparse)
            sparse = part < self.page_rows
            if not sparse:
                right = (stop - start) * (self.page_rows / part)
                each = max(min(max(right, each / STRETCH), each * STRETCH), MICROSECOND)
            rows += part
            start = stop
        return rows


def instants_of(query: Query, page: Page) -> list[datetime]:
    """The instants of the rows. Raises UntrueAnswer where reading on by them would lose events."""
    if not page.rows and not page.complete:
        raise UntrueAnswer("an empty page says that there is more")
    oldest_allowed, newest_allowed = rounded_down(query.start, page.step), query.end
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
            if not oldest_allowed <= at < query.end:
                raise OtherInstants(f"event {row['id']} at {text} is outside the requested range")
            if at > newest_allowed:
                raise UntrueAnswer(f"event {row['id']} at {text} is out of order")
            newest_allowed = at
        instants.append(at)
    if (query.like or query.unlike) and not all(query.fits(row["id"]) for row in page.rows):
        raise UntrueAnswer("the filter by id was ignored")
    if not query.names.are_all and not all(query.names.may_have(row.get("event")) for row in page.rows):
        raise UntrueAnswer("the filter by name was ignored")
    return instants


def fresh_rows(rows: Iterable[Row], emitted: Set[Identity]) -> list[Row]:
    """`rows` that are not `emitted`, each event once. Raises UntrueAnswer for a row that cannot be told from others."""
    fresh: dict[Identity, Row] = {}
    try:
        for row in rows:
            fresh.setdefault(identity(row), row)
    except TypeError:
        raise UntrueAnswer("the id, the name or the distinct_id of an event is not a string") from None
    return [row for one, row in fresh.items() if one not in emitted]


def _shares(query: Query, found: Set[Identity]) -> list[Query]:
    """`query`, whose events do not fit a page, in smaller questions; `found` are those of its first page.

    None where all of them are copies of one event: nothing is left to read. Raises UntrueAnswer where they cannot be
    told apart.
    """
    ids = {str(id) for id, *_ in found}
    length = len(min(ids))
    if any(len(id) != length for id in ids):
        raise UntrueAnswer(f"events at {query.start.isoformat()} have ids of different lengths")
    if len(ids) == 1 and query.like in ids:
        if len(found) > 1:
            raise UntrueAnswer(f"events at {query.start.isoformat()} cannot be distinguished by their ids")
        return []
    if len(ids) == 1:
        (id,) = ids
        return [replace(query, unlike=(*query.unlike, id)), replace(query, like=id)]
    digits = [{id[place] for id in ids} for place in range(length)]
    place = max(range(length), key=lambda place: (len(digits[place]), place))
    if not digits[place] <= set(HEX_DIGITS):
        raise UntrueAnswer(f"events at {query.start.isoformat()} have ids that are no UUIDs")
    like = query.like or ANY * length
    return [replace(query, like=like[:place] + digit + like[place + 1 :]) for digit in reversed(HEX_DIGITS)]


def require_true_instant(ask: Ask, query: Query, row: Row, step: timedelta) -> None:
    """Raise OtherInstants unless the event of `row` is found at the instant that it shows, or nowhere around it.

    `query`: of the project.
    """
    at = rounded_down(instant(row["timestamp"]), step)
    query = replace(query, start=at, end=at + step)
    page = ask(query)
    if page.complete and all(one["id"] != row["id"] for one in page.rows):
        require_gone(ask, query, row["id"], at)


def require_gone(ask: Ask, query: Query, id: str, at: datetime) -> None:
    """Raise OtherInstants if event `id`, which was shown as being at `at` and is not found there, exists all the same.

    Otherwise it was deleted meanwhile. `query`: of the project.
    """
    around = replace(query, start=at - ZONES, end=at + ZONES, like=str(id), unlike=())
    try:
        exists = bool(ask(around).rows)
    except TooSlow:
        exists = True  # as far as is known
    if exists:
        raise OtherInstants(f"event {id}, shown as being at {at.isoformat()}, is not found at that instant")
