"""A table behind the port of `queries.reading`: SQLite, with what little of HogQL the questions have."""

import random
import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from source_posthog.exact.errors import NotAccepted
from source_posthog.exact.queries.reading import AskSql, Result
from source_posthog.exact.queries.statements import Statement

SQL = "SELECT * FROM t"
BROKEN = "\ue000"  # stands for a byte that is no UTF-8
_WHOLE_SECOND = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)Z$")


# No table of the tests needs as many: a reading that has no end fails and does not hang.
MOST_QUESTIONS = 500


def only(*answers: Result) -> AskSql:
    """Gives these answers one after the other, and fails where one more is asked for."""
    waiting = iter(answers)

    def ask(_: Statement) -> Result:
        answer = next(waiting, None)
        assert answer, "asked on after the last answer"
        return answer

    return ask


class Table:
    """Rows with the ClickHouse types `types`, in pages of `limit` rows.

    Attributes:
        cuts: instants are shown with milliseconds, and compared with microseconds.
        asked: the questions so far.
    """

    def __init__(
        self, types: Mapping[str, str], rows: Sequence[Sequence[Any]] = (), limit: int = 10, *, cuts: bool = False
    ) -> None:
        self.types, self.limit, self.cuts = dict(types), limit, cuts
        self.asked: list[Statement] = []
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.rng = random.Random(1)
        self.database.create_function("rand", 0, lambda: self.rng.randrange(2**32))
        self.database.create_function("generateUUIDv4", 0, lambda: f"{self.rng.getrandbits(128):032x}")
        # A microsecond passes between two questions, and none within one.
        self.database.create_function("now64", 0, lambda: f"2026-05-01T00:00:00.{len(self.asked):06d}Z")
        self.database.create_function("isValidUTF8", 1, lambda text: BROKEN not in text)
        self.database.execute(f"CREATE TABLE t ({', '.join(f'`{column}`' for column in types)})")
        self.insert(*rows)

    def insert(self, *rows: Sequence[Any]) -> None:
        stored = [
            [_WHOLE_SECOND.sub(r"\1.000000Z", cell) if isinstance(cell, str) else cell for cell in row] for row in rows
        ]
        self.database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(self.types))})", stored)

    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._shown(self.database.execute(SQL).fetchall())]

    def delete(self, **values: Any) -> None:
        where = " AND ".join(f"`{column}` = :{column}" for column in values)
        stored = {column: _stored(value) for column, value in values.items()}
        self.database.execute(f"DELETE FROM t WHERE {where}", stored)

    def __call__(self, question: Statement) -> Result:
        self.asked.append(question)
        assert len(self.asked) <= MOST_QUESTIONS, "the reading has no end"
        limit = min(self.limit, question.most or self.limit)
        sql = question.limited(limit)
        sql = re.sub(r"isNull\((`.*?`)\)", r"(\1 IS NULL)", sql)
        sql = re.sub(r"isNotNull\((`.*?`)\)", r"(\1 IS NOT NULL)", sql)
        sql = re.sub(r"to(?:String|Date|DateTime)\((.*?)\)", r"(\1)", sql)
        values = {name: value for name, value in question.values.items() if f"{{{name}}}" in sql}
        try:
            cursor = self.database.execute(re.sub(r"\{(\w+)\}", r":\1", sql), values)
        except sqlite3.OperationalError as error:
            raise NotAccepted(str(error)) from error
        rows = self._shown(cursor.fetchall())
        columns = [one[0] for one in cursor.description]
        types = {column: self.types.get(column, "UInt64") for column in columns}
        return Result(types, rows, complete=len(rows) < limit)

    def _shown(self, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
        return [[_shown(cell, self.cuts) if isinstance(cell, str) else cell for cell in row] for row in rows]


def _stored(cell: Any) -> Any:
    """An instant so that it has its place in the order of strings."""
    return _WHOLE_SECOND.sub(r"\1.000000Z", cell) if isinstance(cell, str) else cell


def _shown(cell: str, cuts: bool) -> str:
    """An instant has six digits of fraction, or only three; none where all are zero."""
    shown = cell.replace(".000000Z", "Z").replace(BROKEN, "\ufffd")
    return re.sub(r"(\.\d{3})\d{3}Z$", r"\1Z", shown) if cuts else shown


def any_value(type_: str, rng: random.Random, most: int) -> Any:
    """One of `most` values of a type, or of a few more."""
    number = rng.randrange(most)
    if type_.startswith("Nullable"):
        return None if rng.random() < 0.2 else any_value(type_[9:-1], rng, most)
    if type_ == "UUID":
        return f"{rng.randrange(2):08x}-0000-4000-8000-{number:012x}"
    if type_.startswith("DateTime64"):
        fraction = rng.choice(["", ".000001", ".000002", ".500000", ".500250", ".999999"])
        return f"2026-01-{1 + number % 28:02d}T00:00:00{fraction}Z"
    if type_ == "Date":
        return f"2026-01-{1 + number % 28:02d}"
    if type_ == "String":
        return rng.choice(["", "a", "B", "ü", "🦔", "\ufffd", "\x00", "'", "\\", "{x}", "%"]) + str(number % 7)
    return number - most // 2
