"""Reads every row of a query once, through any transport that can prove an answer complete.

    for batch in read_query(definition, types, ask):
        emit(batch.rows)

In the order of the primary key, or of the cursor and then the primary key, and page by page: each question goes on from
the last row of the page before, never by a number of rows. So a row that keeps its key is not lost, whatever is
inserted, changed or deleted between two pages. The last row's key itself is asked for again: more rows can have it than
fitted the page, and those that were emitted are skipped.

An instant can be shown cut to milliseconds, while the server orders by all of its digits. Such a value is the end of
what is known of a row's place: what is later than its whole millisecond comes again, and all rows of that millisecond
count as tied.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from source_posthog.exact.errors import NotAccepted, UnfitColumns, UntrueAnswer
from source_posthog.exact.queries.definitions import Definition
from source_posthog.exact.queries.keys import Key, is_before, is_later, latest_of, no_later
from source_posthog.exact.queries.order import Order, Position, Types, Values, order_of, unreadable
from source_posthog.exact.queries.statements import Statement, any_rows, broken_rows, latest, page_of
from source_posthog.exact.queries.steady import Rows, come_again
from source_posthog.exact.query_api import BROKEN


@dataclass
class Result:
    """An answer.

    Attributes:
        types: of the columns, in their order.
        rows: each with a value for each column.
        complete: the transport's proof that there is nothing more.
    """

    types: Types
    rows: list[Values]
    complete: bool


AskSql = Callable[[Statement], Result]


@dataclass
class QueryBatch:
    """Rows to emit now.

    Attributes:
        columns: of the rows.
        reached: the value of the cursor up to which all rows are emitted then; None without a cursor or a row.
        has_twins: whether two different rows have the same key.
    """

    columns: Sequence[str]
    rows: list[Values]
    reached: Any = None
    has_twins: bool = False


def read_query(
    definition: Definition,
    types: Types,
    ask: AskSql,
    *,
    by_cursor: bool = False,
    since: Any = None,
    present: datetime | None = None,
) -> Iterator[QueryBatch]:
    """Every row of the query once, each page as a batch.

    `types`: of the columns, as far as is known; they may be those of another project.
    `by_cursor`: in the order of the cursor, without the rows in which it is NULL, from the value `since` on, if any.
    `present`: no batch has `reached` a later time than this. Once a page ends after it, rows are read up to the latest
    that there is by then: what comes in as fast as it is read would have no end, and waits for the next sync.

    Raises UnfitColumns where the query cannot be read by its keys, UntrueAnswer where an answer shows that rows would
    be lost, and whatever `ask` raises.
    """
    reader = _QueryReader(definition, ask, by_cursor, since, present, order_of(definition, types, by_cursor))
    answer = reader.first()
    while True:
        is_complete = answer.complete
        batch = reader.batch(answer)
        del answer  # pages are most of the memory: whoever emits the batch lets go of it row by row
        yield batch
        if is_complete:
            return
        answer = reader.following()


@dataclass
class _QueryReader:
    """One reading of a query in one project.

    Attributes:
        last: the position of the last row so far, and `after` the values that it has there.
        edge: the rows that come again with it, which are emitted.
        until: the latest value of the cursor that is read; None for any.
        keys_before: those of the page before, without the cursor.
        has_text: the keys are known to be text, whatever signs are in it.
    """

    definition: Definition
    ask: AskSql
    by_cursor: bool
    since: Any
    present: datetime | None
    order: Order
    last: Position | None = None
    after: list[Any] | None = None
    edge: list[Values] = field(default_factory=list)
    until: str | None = None
    keys_before: set[tuple[Any, ...]] = field(default_factory=set)
    has_text: bool = False

    def first(self) -> Result:
        """The first page, asked for by the types that the columns have in this very project."""
        try:
            answer = self.following()
        except (NotAccepted, UntrueAnswer):
            answer = self.ask(any_rows(self.definition.sql))
            if self._order_in(answer).keys == self.order.keys:
                raise
        if self._order_in(answer).keys == self.order.keys:
            return answer
        self.order = self._order_in(answer)
        return self.following()

    def following(self, most: int | None = None) -> Result:
        """The page after the last row so far. Raises UntrueAnswer where the state is no value of the cursor."""
        cursor = self.order.cursor
        if cursor and self.since is not None:
            try:
                cursor.position(self.since)
            except (ValueError, TypeError):
                raise unreadable(cursor, self.since, "the state") from None
        bounds = {"since": self.since, "until": self.until}
        question = page_of(self.definition.sql, self.order.keys, cursor=cursor, after=self.after, **bounds)
        return self.ask(replace(question, most=most))

    def _order_in(self, answer: Result) -> Order:
        return order_of(self.definition, answer.types, self.by_cursor)

    def batch(self, answer: Result) -> QueryBatch:
        """What is to be emitted of a page, all of whose rows are checked before.

        Raises UntrueAnswer, and UnfitColumns where the keys move with each question.
        """
        order = self._order_in(answer)  # its columns can stand in another order
        if order.keys != self.order.keys:
            raise UntrueAnswer("the types of its columns changed between two pages")
        if not answer.rows:
            if not answer.complete:
                raise UntrueAnswer("an empty page says that there is more")
            return QueryBatch(list(answer.types), [])
        positions = [order.position(row) for row in answer.rows]
        self._require_text(answer, order)
        self._require_order(answer, order, positions)
        end = order.values(answer.rows[-1])
        if not answer.complete:
            self._require_progress(answer, order, positions[-1])
            is_past = bool(order.cursor) and self.until is None and is_later(order.keys[0], end[0], self.present)
            self._require_steady(answer, order, is_past)
            if is_past:
                self.until = self._latest(order.keys[0])
        fresh = self._fresh(answer.rows, positions)
        self.last, self.after = positions[-1], end
        self.edge = self._asked_again(answer.rows, positions)
        reached = no_later(order.cursor, end[0], self.present) if order.cursor else None
        return QueryBatch(list(answer.types), fresh, reached, _has_twins(answer.rows, positions))

    def _latest(self, cursor: Key) -> str:
        """The latest instant of `cursor` that there is. Raises UntrueAnswer."""
        answer = self.ask(latest(self.definition.sql, cursor))
        try:
            ((value,),) = answer.rows
            return latest_of(cursor, value)
        except (TypeError, ValueError):
            raise UntrueAnswer(f"the answer does not contain the latest `{cursor.name}`") from None

    def _fresh(self, rows: list[Values], positions: list[Position]) -> list[Values]:
        """The rows that were not emitted with the page before."""
        emitted, fresh = self.edge, []
        for row, position in zip(rows, positions, strict=True):
            if self.last and position.is_asked_with(self.last) and row in emitted:
                emitted.remove(row)
            else:
                fresh.append(row)
        return fresh

    def _asked_again(self, rows: list[Values], positions: list[Position]) -> list[Values]:
        last = positions[-1]
        return [row for row, position in zip(rows, positions, strict=True) if position.is_asked_with(last)]

    def _require_text(self, answer: Result, order: Order) -> None:
        """Raise UntrueAnswer where a key can be bytes that PostHog shows by another sign: what comes next is not known.

        The sign is text too, which anybody can send. So the server is asked which of both there is, once a reading.
        """
        texts = [(key, place) for key, place in zip(order.keys, order.places, strict=True) if key.is_text]
        if self.has_text or not any(BROKEN in row[place] for row in answer.rows for _, place in texts):
            return
        try:
            rows = self.ask(broken_rows(self.definition.sql, [key for key, _ in texts])).rows
        except NotAccepted:  # an old server, which cannot tell
            rows = []
        if rows != [[0]]:
            raise UntrueAnswer(
                f"a key contains {BROKEN}, which is how PostHog shows bytes that are not valid UTF-8: convert the key "
                "in the query, for example with hex()"
            )
        self.has_text = True

    def _require_order(self, answer: Result, order: Order, positions: list[Position]) -> None:
        least = positions[0] if self.last is None else self.last
        first = order.values(answer.rows[0])[0]
        if order.cursor and self.since is not None and is_before(order.cursor, first, self.since):
            raise UntrueAnswer("it has rows from before the state, which were not requested")
        for position in positions:
            if position.is_before(least):
                raise UntrueAnswer("its rows are not in the requested order, or do not follow the previous page")
            least = position

    def _require_progress(self, answer: Result, order: Order, end: Position) -> None:
        """Raise UntrueAnswer where the page after this one would not lead on."""
        last = self.last
        if last is None or not end.is_asked_with(last):
            return
        shared = (
            f"at least {len(answer.rows)} rows share this key, more than a page holds ({order.named(answer.rows[-1])})"
        )
        if last.is_blurred:
            name = order.keys[len(last.values) - 1].name
            raise UntrueAnswer(
                f"{shared}, since this PostHog server cuts timestamps to milliseconds, so the `{name}` of these rows "
                f"looks the same. Page the query by another column, for example toString({name}), which has all digits"
            )
        if end == last:
            raise UntrueAnswer(f"{shared}: choose columns for `primary_key` that are unique together")

    def _require_steady(self, answer: Result, order: Order, is_past: bool) -> None:
        """Ask a page that others follow once more, and raise UnfitColumns where most of its rows do not come again.

        The first page is asked again, the first that ends after the present, and one that has only keys of the page
        before, of which the cursor has changed.
        """
        keys = {tuple(order.values(row)[bool(order.cursor) :]) for row in answer.rows} - {()}
        keys_before, self.keys_before = self.keys_before, keys
        if self.last is not None and not is_past and not (keys and keys <= keys_before):
            return
        again = self.following(most=len(answer.rows))
        names = [key.name for key in order.keys]
        if not come_again(Rows(list(answer.types), answer.rows), Rows(list(again.types), again.rows), names):
            raise UnfitColumns(
                f"cannot be paged by {', '.join(f'`{name}`' for name in names)}: when the same page was requested "
                "twice, most of its rows were not found again by these columns. Use columns that are stored, not ones "
                "that each query computes anew, as now64(), rand(), row_number() and generateUUIDv4() do"
            )


def _has_twins(rows: list[Values], positions: list[Position]) -> bool:
    return any(
        positions[place - 1] == positions[place] and not positions[place].is_blurred and rows[place - 1] != rows[place]
        for place in range(1, len(rows))
    )
