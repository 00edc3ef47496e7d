"""The tables of one account's projects."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from .engine import Answer, Engine

# How rows are read: instants as ISO 8601, and tuples as arrays.
_READING = "date_time_input_format = 'best_effort', input_format_json_named_tuples_as_objects = 0"


@dataclass(frozen=True, eq=False)
class Table:
    """A table of a project: its name in ClickHouse, quoted, and the type of each column."""

    name: str
    columns: dict[str, str]


class ClickHouse:
    """The tables of one account, in a database of their own until the end of the `with` block.

    with ClickHouse(engine) as clickhouse, PostHogServer(account, clickhouse=clickhouse) as server:
        clickhouse.table(7, "visits", {"id": "UUID", "at": "DateTime64(6, 'UTC')"}, [["0190...", "2026-01-01"]])
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._database = engine.new_name()
        self._tables: dict[tuple[int, str], Table] = {}
        engine.run(f"CREATE DATABASE {self._database} ENGINE = Memory")

    def table(
        self, project_id: int, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]] = ()
    ) -> Table:
        """Put a table of `columns` (name: type) and `rows` in place, at once; it replaces one of this name.

        Row are as in JSON; instants are ISO 8601 strings, or seconds since the epoch. Raises ClickHouseError.
        """
        made = Table(f"{self._database}.{quoted(f'{project_id} {name}')}", dict(columns))
        types = ", ".join(f"{quoted(column)} {type_}" for column, type_ in columns.items())
        lines = "\n".join(json.dumps(list(row)) for row in rows)
        statements = [f"DROP TABLE IF EXISTS {made.name}", f"CREATE TABLE {made.name} ({types}) ENGINE = Memory"]
        if lines:
            statements.append(f"INSERT INTO {made.name} SETTINGS {_READING} FORMAT JSONCompactEachRow\n{lines}")
        self.engine.run(*statements)
        self._tables[project_id, name] = made
        return made

    def get(self, project_id: int, name: str) -> Table | None:
        """A table that there is."""
        return self._tables.get((project_id, name))

    def select(self, sql: str, settings: Mapping[str, str | float]) -> Answer:
        """See `Engine.select`."""
        return self.engine.select(sql, settings)

    def close(self) -> None:
        self.engine.run(f"DROP DATABASE {self._database}")

    def __enter__(self) -> "ClickHouse":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def quoted(name: str) -> str:
    """`name` as an identifier of ClickHouse, whatever is in it."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
