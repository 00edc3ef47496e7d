"""Whether an answer of the embedded server says the same as a recorded one: a list of what differs."""

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any

from .account import TIMES

Found = Iterator[str]

# What the server makes itself: of these the type must be the same, not the value. Instants are those of its loading.
SERVER_MADE = {"organization", "short_id", "filters_hash"}
LOADED = "2026-11-28T"
TAKEN_OUT = {"timings", "hogql", "clickhouse"}
# What a detail speaks of: the first string in quotes, or what follows one of these words.
_SUBJECT = re.compile(r"""['"]([^'"]+)['"]|(?:field|UUID): ?(\S+)|in (\d+) seconds""")
_MANY_LINES = "validation errors for QuerySchema"


def differences(recorded: Any, given: Any, sql: str = "") -> list[str]:
    """Each place at which the body `given` says something else than `recorded`.

    Rows without an order of their own may come in any: projects, and those of `sql` without ORDER BY. Events of one
    timestamp too, and at the end of a page any of them.
    """
    if isinstance(recorded, dict) and isinstance(given, dict):
        given = {key: value for key, value in given.items() if key not in TAKEN_OUT}
    if isinstance(recorded, dict) and isinstance(recorded.get("results"), str):
        given["results"] = f"{len(given['results'])} rows"
    elif isinstance(recorded, dict) and "results" in recorded and "results" in given:
        recorded, given = ({**body, "results": _ordered(body, sql)} for body in (recorded, given))
    return list(_differences("", recorded, given))


def _ordered(body: dict[str, Any], sql: str) -> list[Any]:
    rows: list[Any] = body["results"]
    if sql:
        return rows if "ORDER BY" in sql else sorted(rows, key=str)
    if rows and isinstance(rows[0], dict) and "api_token" in rows[0]:
        return sorted(rows, key=lambda row: int(row["id"]))
    more = bool(body.get("hasMore") or body.get("next"))
    ordered: list[Any] = []
    for at, group in groupby(rows, key=partial(_time, body.get("columns", []))):
        tied = list(group)
        cut = at is not None and more and tied[-1] is rows[-1] and len(tied) > 1
        # Where a page ends within ties, which of them it has is open: how many there are is not.
        ordered += [at] * len(tied) if cut else tied if at is None else sorted(tied, key=str)
    return ordered


def _time(columns: list[str], row: Any) -> str | None:
    """The timestamp of the event that a row is of; None for any other row."""
    if isinstance(row, dict):
        return TIMES.get(str(row.get("id")))
    return TIMES.get(str(row[columns.index("uuid")])) if "uuid" in columns else None


def _differences(path: str, recorded: Any, given: Any) -> Found:
    name = path.rpartition(".")[2]
    if isinstance(recorded, str) and isinstance(given, str):
        if not _says_the_same(name, recorded, given):
            yield f"{path}: {recorded[:200]!r} / {given[:200]!r}"
    elif type(recorded) is not type(given):
        yield f"{path}: {recorded!r:.200} / {given!r:.200}"
    elif isinstance(recorded, dict):
        if recorded.keys() != given.keys():
            yield f"{path}: keys {sorted(recorded.keys() ^ given.keys())}"
        for key in recorded.keys() & given.keys():
            yield from _differences(f"{path}.{key}", recorded[key], given[key])
    elif isinstance(recorded, list):
        if len(recorded) != len(given):
            yield f"{path}: {len(recorded)} / {len(given)}"
        for place, pair in enumerate(zip(recorded, given, strict=False)):
            yield from _differences(f"{path}[{place}]", *pair)
    elif recorded != given:
        yield f"{path}: {recorded!r} / {given!r}"


def _says_the_same(name: str, recorded: str, given: str) -> bool:
    if recorded == given or name in SERVER_MADE:
        return True
    if recorded.startswith(LOADED) and name.endswith("_at"):
        return given.endswith("Z")
    if name == "uuid":  # that of a project or of a user
        return len(recorded) == len(given)
    if name == "detail":
        return _subject(recorded) == _subject(given)
    if recorded.startswith("{") and given.startswith("{"):  # the properties of an event, as they were ingested
        return bool(json.loads(recorded) == json.loads(given))
    return False


def _subject(detail: str) -> str:
    if _MANY_LINES in detail:
        return _MANY_LINES
    match = _SUBJECT.search(detail)
    return next(filter(None, match.groups())) if match else detail.partition(" - ")[0]
