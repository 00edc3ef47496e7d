"""The process that ClickHouse runs in: chDB in an environment of its own, since few tests need it."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from posthog_server.environments import environment

from .scratch import Scratch

REQUIREMENT = "chdb-core-lite==26.5.0"

_CHILD = Path(__file__).with_name("child.py")
_ERROR = re.compile(r"Code: (\d+)\. DB::Exception: (.*?)\.? \(([A-Z_0-9]+)\)", re.DOTALL)


class ClickHouseError(Exception):
    """ClickHouse refused a statement.

    Attributes:
        code, name: its number and its name in ClickHouse, e.g. 47 and "UNKNOWN_IDENTIFIER".
        message: ClickHouse's own sentence, without these.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        match = _ERROR.search(text)
        self.code, self.message, self.name = (int(match[1]), match[2], match[3]) if match else (0, text, "UNKNOWN")


@dataclass(frozen=True)
class Answer:
    """What a SELECT found. `types` are ClickHouse's, and instants in the rows are ISO 8601 strings in UTC with Z.

    Attributes:
        rows_read, bytes_read: how much of its tables ClickHouse went through; bytes as they are in memory.
    """

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    rows_read: int
    bytes_read: int


class Engine:
    """A ClickHouse until the end of the `with` block. Statements of several threads run one after the other.

    This build writes a float wrongly where its exponent has three digits and a zero between them: 1e300 as 1e30.

    Attributes:
        scratch: where it keeps its files.
    """

    def __init__(self) -> None:
        made = clickhouse_environment()
        self._lock = threading.Lock()
        self._names = count(1)
        self.scratch = Scratch(made / "running")
        self._process = subprocess.Popen(
            [str(made / "bin" / "python"), str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "TMPDIR": str(self.scratch.folder)},
            pass_fds=[self.scratch.lock],
            start_new_session=True,  # Ctrl-C is for us: it ends with its input
        )

    def new_name(self) -> str:
        """A name of a database that no other user of this engine has."""
        return f"test_{next(self._names)}"

    def run(self, *statements: str) -> None:
        """Run `statements` with none of others between them. Raises ClickHouseError at the first that is refused."""
        with self._lock:
            for statement in statements:
                self._run(statement)

    def select(self, sql: str, settings: Mapping[str, str | float]) -> Answer:
        """What `sql` finds with ClickHouse's `settings`. Raises ClickHouseError."""
        all_settings = {**_SETTINGS, **settings}
        given = ", ".join(f"{name} = {_value(value)}" for name, value in all_settings.items())
        with self._lock:
            found = json.loads(self._run(f"{sql}\nFORMAT JSONCompact SETTINGS {given}"))
        meta = found["meta"]
        columns, types = ([column[key] for column in meta] for key in ("name", "type"))
        read = found["statistics"]
        return Answer(columns, types, found["data"], read["rows_read"], read["bytes_read"])

    def close(self) -> None:
        self._process.communicate()
        self.scratch.remove()

    def _run(self, statement: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"ClickHouse ended with {self._process.wait()}"
        reply: dict[str, str] = json.loads(line)
        if "error" in reply:
            raise ClickHouseError(reply["error"])
        return reply["answer"]

    def __enter__(self) -> "Engine":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# How values are written: numbers as numbers, decimals as strings, NaN and the infinities as null, tuples as arrays.
_SETTINGS: dict[str, str | float] = {
    "date_time_output_format": "iso",
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_decimals": 1,
    "output_format_decimal_trailing_zeros": 1,
    "output_format_json_quote_denormals": 0,
    "output_format_json_named_tuples_as_objects": 0,
}


def clickhouse_environment() -> Path:
    """The environment that has chDB, made on its first use."""
    return environment("clickhouse", "--no-deps", REQUIREMENT)


def _value(value: str | float) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
