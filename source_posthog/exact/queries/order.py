"""What the rows of a query are ordered by, and where a row stands in that order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.queries.definitions import Definition
from source_posthog.exact.queries.keys import Key, cursor_key, primary_keys, require_names

Values = list[Any]
Types = Mapping[str, str]  # by column, the type of its values as ClickHouse names it


class Position(NamedTuple):
    """Where a row stands in the order, as far as that is known.

    Attributes:
        values: of the keys, as Python orders them, up to the first that is blurred.
        is_blurred: the last of them can be later than it is shown, and so nothing is known of what comes after it.
    """

    values: tuple[Any, ...]
    is_blurred: bool = False

    def is_before(self, other: "Position") -> bool:
        """Whether it lies before `other`, as far as both are known."""
        shared = min(len(self.values), len(other.values))
        return self.values[:shared] < other.values[:shared]

    def is_asked_with(self, other: "Position") -> bool:
        """Whether a row there comes again when the rows from `other` on are asked for, and may have come before it."""
        return self.values[: len(other.values)] == other.values


@dataclass(frozen=True)
class Order:
    """What the rows are ordered by.

    Attributes:
        places: of the keys in a row.
        cursor: the first of the keys, if the rows are read by it.
    """

    keys: tuple[Key, ...]
    places: tuple[int, ...]
    cursor: Key | None

    def position(self, row: Values) -> Position:
        """Where `row` stands. Raises UntrueAnswer where a key has no value, or none of its type."""
        values = []
        for key, place in zip(self.keys, self.places, strict=True):
            value = row[place]
            try:
                values.append(key.position(value))
            except (ValueError, TypeError):
                raise unreadable(key, value, self.named(row)) from None
            if key.blur(value):
                return Position(tuple(values), is_blurred=True)
        return Position(tuple(values))

    def values(self, row: Values) -> list[Any]:
        """Those of the keys in `row`."""
        return [row[place] for place in self.places]

    def named(self, row: Values) -> str:
        pairs = zip(self.keys, self.values(row), strict=True)
        return "the row with " + ", ".join(f"{key.name} {value!r}" for key, value in pairs)


def order_of(definition: Definition, types: Types, by_cursor: bool) -> Order:
    """The order of a result with the columns `types`. Raises UnfitColumns."""
    require_names(types)
    keys, cursor = primary_keys(definition, types), None
    if by_cursor and (cursor := cursor_key(definition, types)):
        keys = (cursor, *(key for key in keys if key.name != cursor.name))
    names = list(types)
    return Order(keys, tuple(names.index(key.name) for key in keys), cursor)


def unreadable(key: Key, value: Any, where: str) -> UntrueAnswer:
    """Why rows cannot be read on from `value`."""
    if value is None:
        return UntrueAnswer(
            f"`{key.name}` is NULL in {where}, and no page can start after NULL: every column that the query is "
            "paged by must have a value in every row"
        )
    return UntrueAnswer(f"{value!r} in {where} is not a valid value of the column `{key.name}`")
