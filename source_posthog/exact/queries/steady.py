"""Whether the rows of an answer come again: a query can compute its keys anew with each question.

By such keys nothing can be read on from: what lies after the last row is another part of the table each time.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

KeyValues = tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """Rows of an answer, and the columns that they have."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def by_key(self, keys: Sequence[str]) -> Iterator[tuple[KeyValues, dict[str, Any]]]:
        """Each row by its names, with its key before it."""
        for row in self.rows:
            named = dict(zip(self.columns, row, strict=True))
            yield tuple([str(named[name]) for name in keys]), named


def come_again(first: Rows, again: Rows, keys: Sequence[str]) -> bool:
    """Whether at least half of the rows of `first` are in `again`, the answer to the same question a moment later.

    A row is, if one with its key has the same value in half of the other columns that tell rows apart. So rows may
    come, go and change in between; but where most keys are others, or the same keys stand at other rows, the rows
    cannot be found by them. Columns may hold the present, and ages, which all grow by as much.
    """
    others = [
        name
        for place, name in enumerate(first.columns)
        if name not in keys and len({str(row[place]) for row in first.rows}) > 1
    ]
    growth = {name: _growth(first, again, keys, name) for name in others}
    there = set()
    for key, row in again.by_key(keys):
        there.update(_marks(key, row, others))
        there.update((*key, name, str(row[name] - grown)) for name, grown in growth.items() if _is_number(row[name]))
    found = 0
    for key, row in first.by_key(keys):
        marks = _marks(key, row, others)
        found += 2 * sum(mark in there for mark in marks) >= len(marks)
    return 2 * found >= len(first.rows)


def _marks(key: KeyValues, row: dict[str, Any], others: Sequence[str]) -> list[KeyValues]:
    """The key with the value of each of `others`; the key alone where there are none."""
    return [(*key, name, str(row[name])) for name in others] or [key]


def _growth(first: Rows, again: Rows, keys: Sequence[str], column: str) -> int:
    """By how much most of the numbers in `column` have grown."""
    before = {key: row[column] for key, row in first.by_key(keys)}
    grown = Counter(
        row[column] - before[key]
        for key, row in again.by_key(keys)
        if key in before and _is_number(row[column]) and _is_number(before[key])
    )
    return max(grown, key=grown.__getitem__, default=0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int)
