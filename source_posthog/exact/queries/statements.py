"""A query of the user's own, wrapped into the question for one page.

    SELECT * FROM (
    SELECT uuid, event, timestamp FROM events
    ) WHERE `timestamp` >= toDateTime({since}) AND `timestamp` >= toDateTime({after_0})
    AND (`timestamp` > toDateTime({after_0}) OR (... = ... AND toString(`uuid`) >= {after_1}))
    ORDER BY `timestamp`, toString(`uuid`)

Row go beside the question, where PostHog puts them in place of `{name}`; nothing is pasted into HogQL but names of
columns. Nothing is asked for but columns of the query itself, so no row depends on a join that is not the query's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from source_posthog.exact.queries.keys import Key


@dataclass(frozen=True)
class Statement:
    """What to ask.

    Attributes:
        hogql: without the LIMIT, which whoever asks puts behind it.
        values: what stands for `{name}` in it.
        most: how many rows are wanted at the most; None for as many as a page holds.
    """

    hogql: str
    values: dict[str, Any] = field(default_factory=dict)
    most: int | None = None

    def limited(self, rows: int) -> str:
        return f"{self.hogql} LIMIT {rows}"


def any_rows(sql: str) -> Statement:
    """Rows of the query, in any order: they show its columns."""
    return Statement(_wrapped(sql))


def rows_without(sql: str, column: str) -> Statement:
    """The number of rows in which `column` is NULL."""
    return Statement(_wrapped(sql, [f"isNull({quoted(column)})"], select="count() AS number"))


def broken_rows(sql: str, keys: Sequence[Key]) -> Statement:
    """The number of rows in which one of `keys` holds bytes that are no UTF-8."""
    return Statement(
        _wrapped(sql, [" OR ".join(f"not(isValidUTF8({_column(key)}))" for key in keys)], select="count() AS number")
    )


def numbers(rows: int) -> Statement:
    """So many rows, without reading a table."""
    return Statement(f"SELECT number FROM numbers({rows})")


def latest(sql: str, cursor: Key) -> Statement:
    """The greatest value of `cursor`."""
    return Statement(_wrapped(sql, select=f"max({quoted(cursor.name)}) AS latest"))


def page_of(
    sql: str,
    keys: Sequence[Key],
    *,
    cursor: Key | None = None,
    since: Any = None,
    until: Any = None,
    after: Sequence[Any] | None = None,
) -> Statement:
    """The rows from `after` on, in the order of `keys`.

    Rows with the keys of `after` come again, since there can be more of them than were on the page that ended there.
    Where a key is NULL, which nothing can come after, a row comes first, on any page.

    `cursor`: the first of `keys`, where only rows are asked for that have a value in it, from `since` on and up to
        `until` if given.
    `after`: the values of `keys` in the last row of the page before; None for the first page.
    """
    conditions, values = [], {}
    if cursor and cursor.is_nullable:
        conditions.append(f"isNotNull({quoted(cursor.name)})")
    if cursor and since is not None:
        conditions.append(f"{_column(cursor)} >= {cursor.kind.bound.format('{since}')}")
        values["since"] = cursor.kind.sent(since)
    if cursor and until is not None:
        conditions.append(f"{_column(cursor)} <= {cursor.kind.bound.format('{until}')}")
        values["until"] = cursor.kind.sent(until)
    nulls = " OR ".join(f"isNull({quoted(key.name)})" for key in keys if key.is_nullable and key is not cursor)
    if after is not None:
        following = _from(keys)
        conditions.append(f"({nulls} OR ({following}))" if nulls else following)
        for place, (key, value) in enumerate(zip(keys, after, strict=True)):
            values[f"after_{place}"] = key.kind.sent(value)
    order = ", ".join([*([f"({nulls}) DESC"] if nulls else []), *map(_column, keys)])
    return Statement(f"{_wrapped(sql, conditions)} ORDER BY {order}", values)


def quoted(column: str) -> str:
    """`column` as HogQL writes the name of a column, whatever is in it."""
    return "`" + column.replace("\\", "\\\\").replace("`", "``") + "`"


def _wrapped(sql: str, conditions: Sequence[str] = (), select: str = "*") -> str:
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return (
        f"SELECT {select} FROM (\n{sql}\n){where}"  # the query can end in a comment, which goes to the end of its line
    )


def _column(key: Key) -> str:
    return key.kind.column.format(quoted(key.name))


def _from(keys: Sequence[Key]) -> str:
    """The keys are those of `after` or come after them: compared one by one, the next where all before are equal."""
    columns = [_column(key) for key in keys]
    bounds = [key.kind.bound.format(f"{{after_{place}}}") for place, key in enumerate(keys)]
    condition = f"{columns[-1]} >= {bounds[-1]}"
    for column, bound in reversed(list(zip(columns, bounds, strict=True))[:-1]):
        condition = f"({column} > {bound} OR ({column} = {bound} AND {condition}))"
    # Says the same of the first key alone, by which ClickHouse can skip most of a table.
    return condition if len(keys) == 1 else f"{columns[0]} >= {bounds[0]} AND {condition}"
