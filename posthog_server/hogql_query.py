"""`POST /query/` with a HogQLQuery, run on a real ClickHouse."""

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from posthog_server.clickhouse import Answer, ClickHouse, ClickHouseError, Table

from .ages import Age
from .event_columns import shown_at
from .faults import as_refusal, estimated_too_slow, out_of_memory, too_slow
from .hogql import Dialect, unsupported
from .hogql_select import DEFAULT_LIMIT, translated
from .traffic import Refusal, invalid
from .values import Row, encode, microseconds

# By the number of an error in ClickHouse; any other is a 400 in ClickHouse's own words.
_TOO_MUCH = {159: too_slow, 160: estimated_too_slow, 241: out_of_memory}
_UNKNOWN_FUNCTION = 46
_UNKNOWN_IDENTIFIER = 47

# What an answer of January 2024 says of how it was read.
MODIFIERS_OF_2024 = {
    "inCohortVia": "subquery",
    "materializationMode": "legacy_null_as_null",
    "personsArgMaxVersion": "auto",
    "personsOnEventsMode": "disabled",
}

_NAMED = re.compile(r"[`']([^`']+)[`']")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ZONE = re.compile(r"DateTime(?:64)?\((?:\d+, )?'([^']+)'\)")


def run(
    clickhouse: ClickHouse,
    query: Row,
    table: Callable[[str], Table | None],
    dialect: Dialect,
    *,
    greatest: int,
    seconds: float,
    most_rows: int | None,
    too_many_rows: Callable[[], Refusal],
    charge: Callable[[Answer], None],
) -> Row:
    """The answer to `query`, without what depends on the cache. Raises Refusal.

    Args:
        greatest: the LIMIT that greater ones are clamped to.
        seconds: the longest that ClickHouse may take. `most_rows`: the most that it may read.
        charge: told what ClickHouse found; what it raises ends the query.
    """
    values = query.get("values", {})
    if not isinstance(query.get("query"), str) or not isinstance(values, dict):
        raise invalid("query: a string is required, and values: an object")
    statement = translated(query["query"], values, table, dialect, greatest)
    settings: dict[str, str | float] = {"session_timezone": str(dialect.zone), "max_execution_time": seconds}
    try:
        found = clickhouse.select(statement.sql, settings)
    except ClickHouseError as error:
        raise _refusal(error) from None
    charge(found)
    if most_rows is not None and found.rows_read > most_rows:
        raise too_many_rows()
    return answer(found, query["query"], dialect, min(DEFAULT_LIMIT, greatest) if not statement.limited else None)


def answer(found: Answer, hogql: str, dialect: Dialect, limit: int | None) -> Row:
    """The answer to `hogql`, without what depends on the cache.

    Only where the SQL has no LIMIT does PostHog look whether there is more; in January 2024 it did not say so.
    """
    rows = [
        [_cell(cell, type_, dialect) for cell, type_ in zip(row, found.types, strict=True)]
        for row in found.rows[:limit]
    ]
    given: Row = {
        "results": rows,
        "columns": found.columns,
        "types": [list(pair) for pair in zip(found.columns, found.types, strict=True)],
        "hogql": hogql,
        "error": None,
        "timings": [{"k": ".", "t": 0.01}],
    }
    if dialect.age.is_of_2024:
        return {**given, "clickhouse": "", "explain": None, "query": None, "modifiers": MODIFIERS_OF_2024}
    paging = {} if limit is None else {"hasMore": len(found.rows) > limit, "limit": limit, "offset": 0}
    return {**given, "query_status": None, **paging}


def shown(value: Any, type_: str, zone: str) -> Any:
    """`_cell` of today's servers, for a project of `zone`."""
    return _cell(value, type_, Dialect(zone=ZoneInfo(zone)))


def _cell(value: Any, type_: str, dialect: Dialect) -> Any:
    """`value` of ClickHouse's `type_` as PostHog shows it: instants in the zone of the type, else in the project's."""
    if "DateTime" not in type_:
        return value
    if isinstance(value, list):
        return [_cell(item, type_, dialect) for item in value]
    if isinstance(value, dict):
        return {key: _cell(item, type_, dialect) for key, item in value.items()}
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return value
    named = _ZONE.search(type_)
    return shown_at(microseconds(value), ZoneInfo(named[1]) if named else dialect.zone, dialect)


def _refusal(error: ClickHouseError) -> Refusal:
    if trouble := _TOO_MUCH.get(error.code):
        return as_refusal(trouble())
    if error.code == _UNKNOWN_FUNCTION and (named := _NAMED.search(error.message)):
        return unsupported(named[1])
    if error.code == _UNKNOWN_IDENTIFIER and (named := _NAMED.search(error.message)):
        return invalid(f"Unable to resolve field: {named[1]}")
    return invalid(error.message, error.name.lower())


def body(answer: Row, age: Age, *, is_cached: bool) -> bytes:
    """The reply's."""
    return encode(answer if age.is_of_2024 else {**answer, "is_cached": is_cached})
