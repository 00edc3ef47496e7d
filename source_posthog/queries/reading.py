"""Reads every row of a query once, through any transport that can prove an answer complete.

    for batch in read(definition, types, ask):
        emit(batch.rows)

In the order of the primary key, or of the cursor and then the primary key, and page by page: each question goes on from
the last row of the page before, never by a number of rows. So a row that keeps its key is not lost, whatever is
inserted, changed or deleted between two pages. The last row's key itself is asked for again: more rows can have it than
fitted the page, and those that were emitted are skipped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from source_posthog.queries.definitions import Definition
from source_posthog.queries.keys import Key, cursor_key, no_later, primary_keys
from source_posthog.queries.statements import Question, any_rows, page

Row = list[Any]
Types = Mapping[str, str]  # by column, the type of its values as ClickHouse names it


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


class Unreadable(Exception):
    """Rows would be lost if they were read by the key that the query has. Its string says why."""


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
    `present`: no batch has `reached` a later time than this.

    Raises UnfitColumns where the query cannot be read by its keys, Unreadable where an answer shows that rows would be
    lost, and whatever `ask` raises.
    """
    reader = _Reader(definition, ask, by_cursor, since, present, _order(definition, types, by_cursor))
    answer = reader.first()
    while True:
        is_complete = answer.complete
        batch = reader.batch(answer)
        del answer  # pages are most of the memory: whoever emits the batch lets go of it row by row
        yield batch
        if is_complete:
            return
        answer = reader.following()


@dataclass(frozen=True)
class _Order:
    """What the rows are ordered by; `places` are those of the keys in a row, and `cursor` is the first of them if it is
    read by it."""

    keys: tuple[Key, ...]
    places: tuple[int, ...]
    cursor: Key | None

    def position(self, row: Row) -> tuple[Any, ...]:
        """Where `row` stands in the order. Raises Unreadable."""
        try:
            return tuple([key.position(row[place]) for key, place in zip(self.keys, self.places, strict=True)])
        except (ValueError, TypeError):
            named = self.named(row)
            return tuple(_position(key, row[place], named) for key, place in zip(self.keys, self.places, strict=True))

    def values(self, row: Row) -> list[Any]:
        return [row[place] for place in self.places]

    def named(self, row: Row) -> str:
        pairs = zip(self.keys, self.values(row), strict=True)
        return "the row with " + ", ".join(f"{key.name} {value!r}" for key, value in pairs)


def _order(definition: Definition, types: Types, by_cursor: bool) -> _Order:
    """Raises UnfitColumns."""
    keys, cursor = primary_keys(definition, types), None
    if by_cursor and (cursor := cursor_key(definition, types)):
        keys = (cursor, *(key for key in keys if key.name != cursor.name))
    names = list(types)
    return _Order(keys, tuple(names.index(key.name) for key in keys), cursor)


@dataclass
class _Reader:
    """One reading of a query in one project.

    Attributes:
        last: the position of the last row so far, and `after` the values that it has there.
        edge: the rows at that position, which are emitted.
    """

    definition: Definition
    ask: Ask
    by_cursor: bool
    since: Any
    present: datetime | None
    order: _Order
    last: tuple[Any, ...] | None = None
    after: list[Any] | None = None
    edge: list[Row] = field(default_factory=list)

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

    def following(self) -> Answer:
        """The page after the last row so far. Raises Unreadable where the state is no value of the cursor."""
        cursor = self.order.cursor
        if cursor and self.since is not None:
            _position(cursor, self.since, "the state")
        question = page(self.definition.sql, self.order.keys, cursor=cursor, since=self.since, after=self.after)
        return self.ask(question)

    def _order_in(self, answer: Answer) -> _Order:
        return _order(self.definition, answer.types, self.by_cursor)

    def batch(self, answer: Answer) -> Batch:
        """What is to be emitted of a page, all of whose rows are checked before. Raises Unreadable."""
        order = self._order_in(answer)  # its columns can stand in another order
        if order.keys != self.order.keys:
            raise Unreadable("the types of its columns changed between two pages")
        if not answer.rows:
            if not answer.complete:
                raise Unreadable("an empty page says that there is more")
            return Batch(list(answer.types), [])
        positions = [order.position(row) for row in answer.rows]
        self._require_order(positions)
        if positions[-1] == self.last and not answer.complete:
            raise Unreadable(
                f"there are {len(answer.rows)} rows and more like {order.named(answer.rows[-1])}, so that the next "
                "page would be this one again: name columns in `primary_key` that together are unique"
            )
        emitted, fresh = self.edge, []
        for row, position in zip(answer.rows, positions, strict=True):
            if position == self.last and row in emitted:
                emitted.remove(row)
            else:
                fresh.append(row)
        self.last, self.after = positions[-1], order.values(answer.rows[-1])
        self.edge = [row for row, position in zip(answer.rows, positions, strict=True) if position == self.last]
        reached = no_later(order.cursor, self.after[0], self.present) if order.cursor else None
        return Batch(list(answer.types), fresh, reached, _has_twins(answer.rows, positions))

    def _require_order(self, positions: list[tuple[Any, ...]]) -> None:
        least = positions[0] if self.last is None else self.last
        cursor = self.order.cursor
        if cursor and self.since is not None and positions[0][0] < cursor.position(self.since):
            raise Unreadable("its rows lie before the state, from which on they were asked for")
        for position in positions:
            if position < least:
                raise Unreadable("its rows are not in the order that was asked for, or not those after the page before")
            least = position


def _has_twins(rows: list[Row], positions: list[tuple[Any, ...]]) -> bool:
    return any(
        positions[place - 1] == positions[place] and rows[place - 1] != rows[place] for place in range(1, len(rows))
    )


def _position(key: Key, value: Any, where: str) -> Any:
    if value is None:
        raise Unreadable(
            f"`{key.name}` is NULL in {where}, and nothing comes after NULL: each column that the query is read by "
            "must have a value in each row"
        )
    try:
        return key.position(value)
    except (ValueError, TypeError):
        raise Unreadable(f"{value!r} in {where} is not a value that the column `{key.name}` can be read by") from None
