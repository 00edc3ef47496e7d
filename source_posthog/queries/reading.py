"""Reads every row of a query once, through any transport that can prove an answer complete.

    for batch in read(definition, types, ask):
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

from source_posthog.queries.definitions import Definition
from source_posthog.queries.keys import BROKEN, Key, UnfitColumns, is_before, is_later, latest_of, no_later
from source_posthog.queries.order import Order, Position, Row, Types, Unreadable, order_of, unreadable
from source_posthog.queries.statements import Question, any_rows, broken_rows, latest, page
from source_posthog.queries.steady import Rows, come_again


@dataclass
class Answer:
    """An answer.

    Attributes:
        types: of the columns, in their order.
        rows: each with a value for each column.
        complete: the transport's proof that there is nothing more.
    """

    types: Types
    rows: list[Row]
    complete: bool


Ask = Callable[[Question], Answer]


class Refused(Exception):
    """Raised by `ask`: PostHog does not accept the question. Its string is PostHog's own sentence."""


@dataclass
class Batch:
    """Rows to emit now.

    Attributes:
        columns: of the rows.
        reached: the value of the cursor up to which all rows are emitted then; None without a cursor or a row.
        has_twins: whether two different rows have the same key.
    """

    columns: Sequence[str]
    rows: list[Row]
    reached: Any = None
    has_twins: bool = False


def read(
    definition: Definition,
    types: Types,
    ask: Ask,
    *,
    by_cursor: bool = False,
    since: Any = None,
    present: datetime | None = None,
) -> Iterator[Batch]:
    """Every row of the query once, each page as a batch.

    `types`: of the columns, as far as is known; they may be those of another project.
    `by_cursor`: in the order of the cursor, without the rows in which it is NULL, from the value `since` on, if any.
    `present`: no batch has `reached` a later time than this. Once a page ends after it, rows are read up to the latest
    that there is by then: what comes in as fast as it is read would have no end, and waits for the next sync.

    Raises UnfitColumns where the query cannot be read by its keys, Unreadable where an answer shows that rows would be
    lost, and whatever `ask` raises.
    """
    reader = _Reader(definition, ask, by_cursor, since, present, order_of(definition, types, by_cursor))
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
class _Reader:
    """One reading of a query in one project.

    Attributes:
        last: the position of the last row so far, and `after` the values that it has there.
        edge: the rows that come again with it, which are emitted.
        until: the latest value of the cursor that is read; None for any.
        keys_before: those of the page before, without the cursor.
        has_text: the keys are known to be text, whatever signs are in it.
    """

    definition: Definition
    ask: Ask
    by_cursor: bool
    since: Any
    present: datetime | None
    order: Order
    last: Position | None = None
    after: list[Any] | None = None
    edge: list[Row] = field(default_factory=list)
    until: str | None = None
    keys_before: set[tuple[Any, ...]] = field(default_factory=set)
    has_text: bool = False

    def first(self) -> Answer:
        """The first page, asked for by the types that the columns have in this very project."""
        try:
            answer = self.following()
        except (Refused, Unreadable):
            answer = self.ask(any_rows(self.definition.sql))
            if self._order_in(answer).keys == self.order.keys:
                raise
        if self._order_in(answer).keys == self.order.keys:
            return answer
        self.order = self._order_in(answer)
        return self.following()

    def following(self, most: int | None = None) -> Answer:
        """The page after the last row so far. Raises Unreadable where the state is no value of the cursor."""
        cursor = self.order.cursor
        if cursor and self.since is not None:
            try:
                cursor.position(self.since)
            except (ValueError, TypeError):
                raise unreadable(cursor, self.since, "the state") from None
        bounds = {"since": self.since, "until": self.until}
        question = page(self.definition.sql, self.order.keys, cursor=cursor, after=self.after, **bounds)
        return self.ask(replace(question, most=most))

    def _order_in(self, answer: Answer) -> Order:
        return order_of(self.definition, answer.types, self.by_cursor)

    def batch(self, answer: Answer) -> Batch:
        """What is to be emitted of a page, all of whose rows are checked before.

        Raises Unreadable, and UnfitColumns where the keys move with each question.
        """
        order = self._order_in(answer)  # its columns can stand in another order
        if order.keys != self.order.keys:
            raise Unreadable("the types of its columns changed between two pages")
        if not answer.rows:
            if not answer.complete:
                raise Unreadable("an empty page says that there is more")
            return Batch(list(answer.types), [])
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
        return Batch(list(answer.types), fresh, reached, _has_twins(answer.rows, positions))

    def _latest(self, cursor: Key) -> str:
        """The latest instant of `cursor` that there is. Raises Unreadable."""
        answer = self.ask(latest(self.definition.sql, cursor))
        try:
            ((value,),) = answer.rows
            return latest_of(cursor, value)
        except (TypeError, ValueError):
            raise Unreadable(f"the answer has no latest `{cursor.name}`") from None

    def _fresh(self, rows: list[Row], positions: list[Position]) -> list[Row]:
        """The rows that were not emitted with the page before."""
        emitted, fresh = self.edge, []
        for row, position in zip(rows, positions, strict=True):
            if self.last and position.is_asked_with(self.last) and row in emitted:
                emitted.remove(row)
            else:
                fresh.append(row)
        return fresh

    def _asked_again(self, rows: list[Row], positions: list[Position]) -> list[Row]:
        last = positions[-1]
        return [row for row, position in zip(rows, positions, strict=True) if position.is_asked_with(last)]

    def _require_text(self, answer: Answer, order: Order) -> None:
        """Raise Unreadable where a key can be bytes that PostHog shows by another sign: what comes after is not known.

        The sign is text too, which anybody can send. So the server is asked which of both there is, once a reading.
        """
        texts = [(key, place) for key, place in zip(order.keys, order.places, strict=True) if key.is_text]
        if self.has_text or not any(BROKEN in row[place] for row in answer.rows for _, place in texts):
            return
        try:
            rows = self.ask(broken_rows(self.definition.sql, [key for key, _ in texts])).rows
        except Refused:  # an old server, which cannot tell
            rows = []
        if rows != [[0]]:
            raise Unreadable(
                f"it has the sign {BROKEN} in a key, and rows whose keys are bytes that are no UTF-8, which PostHog "
                "shows by this sign: convert them in the query, for example with hex()"
            )
        self.has_text = True

    def _require_order(self, answer: Answer, order: Order, positions: list[Position]) -> None:
        least = positions[0] if self.last is None else self.last
        first = order.values(answer.rows[0])[0]
        if order.cursor and self.since is not None and is_before(order.cursor, first, self.since):
            raise Unreadable("its rows lie before the state, from which on they were asked for")
        for position in positions:
            if position.is_before(least):
                raise Unreadable("its rows are not in the order that was asked for, or not those after the page before")
            least = position

    def _require_progress(self, answer: Answer, order: Order, end: Position) -> None:
        """Raise Unreadable where the page after this one would not lead on."""
        last = self.last
        if last is None or not end.is_asked_with(last):
            return
        like = f"there are {len(answer.rows)} rows and more like {order.named(answer.rows[-1])}"
        if last.is_blurred:
            name = order.keys[len(last.values) - 1].name
            raise Unreadable(
                f"{like}, all within what this PostHog server shows as one and the same `{name}`, since it cuts "
                "instants to milliseconds. The next page would be this one again: read the query by another column, "
                f"for example toString({name}), which has all digits"
            )
        if end == last:
            raise Unreadable(
                f"{like}, so that the next page would be this one again: name columns in `primary_key` that together "
                "are unique"
            )

    def _require_steady(self, answer: Answer, order: Order, is_past: bool) -> None:
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
                f"cannot be read by {', '.join(f'`{name}`' for name in names)}: asked for the same page twice, PostHog "
                "gave most rows other values there, or these values to other rows. Name columns that are stored, "
                "and not computed anew with each question as now64(), rand(), row_number() and generateUUIDv4() are"
            )


def _has_twins(rows: list[Row], positions: list[Position]) -> bool:
    return any(
        positions[place - 1] == positions[place] and not positions[place].is_blurred and rows[place - 1] != rows[place]
        for place in range(1, len(rows))
    )
