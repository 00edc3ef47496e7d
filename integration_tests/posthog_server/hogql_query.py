"""`POST /query/` with a HogQLQuery, run on a real ClickHouse."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from integration_tests.clickhouse import Answer, ClickHouse, ClickHouseError, Table

from .faults import as_refusal, estimated_too_slow, out_of_memory, too_slow
from .hogql_select import DEFAULT_LIMIT, translated
from .traffic import Refusal, invalid
from .values import Row, encode

# By the number of an error in ClickHouse; any other is a 400 in ClickHouse's own words.
_TOO_MUCH = {159: too_slow, 160: estimated_too_slow, 241: out_of_memory}
_UNKNOWN_IDENTIFIER = 47

_NAMED = re.compile(r"[`']([^`']+)[`']")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_ZONE = re.compile(r"DateTime(?:64)?\((?:\d+, )?'([^']+)'\)")


def run(
    clickhouse: ClickHouse,
    query: Row,
    table: Callable[[str], Table | None],
    *,
    zone: str,
    in_utc: bool,
    greatest: int,
    seconds: float,
    most_rows: int | None,
    too_many_rows: Callable[[], Refusal],
) -> Row:
    """The answer to `query`, without what depends on the cache. Raises Refusal.

    Args:
        zone: the project's, in which a bare date and time is read; `in_utc`: columns of instants come in UTC.
        greatest: the LIMIT that greater ones are clamped to.
        seconds: the longest that ClickHouse may take. `most_rows`: the most that it may read.
    """
    values = query.get("values", {})
    if not isinstance(query.get("query"), str) or not isinstance(values, dict):
        raise invalid("query: a string is required, and values: an object")
    statement = translated(query["query"], values, table, None if in_utc else zone, greatest)
    try:
        found = clickhouse.select(statement.sql, {"session_timezone": zone, "max_execution_time": seconds})
    except ClickHouseError as error:
        raise _refusal(error) from None
    if most_rows is not None and found.rows_read > most_rows:
        raise too_many_rows()
    return _answer(found, query["query"], zone, min(DEFAULT_LIMIT, greatest) if not statement.limited else None)


def _answer(found: Answer, hogql: str, zone: str, limit: int | None) -> Row:
    """Only where the SQL has no LIMIT does PostHog look whether there is more."""
    rows = [
        [shown(cell, type_, zone) for cell, type_ in zip(row, found.types, strict=True)] for row in found.rows[:limit]
    ]
    paging = {} if limit is None else {"hasMore": len(found.rows) > limit, "limit": limit, "offset": 0}
    return {
        "results": rows,
        "columns": found.columns,
        "types": [list(pair) for pair in zip(found.columns, found.types, strict=True)],
        "hogql": hogql,
        "error": None,
        "query_status": None,
        "timings": [{"k": ".", "t": 0.01}],
        **paging,
    }


def shown(value: Any, type_: str, zone: str) -> Any:
    """`value` of ClickHouse's `type_` as PostHog shows it: an instant in the zone of its type, else in `zone`.

    It has six digits of fraction, or none when zero, and Z for UTC.
    """
    if "DateTime" not in type_:
        return value
    if isinstance(value, list):
        return [shown(item, type_, zone) for item in value]
    if isinstance(value, dict):
        return {key: shown(item, type_, zone) for key, item in value.items()}
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return value
    named = _ZONE.search(type_)
    whole, _, fraction = value.rstrip("Z").partition(".")
    at = datetime.fromisoformat(f"{whole}.{fraction[:6].ljust(6, '0')}+00:00")
    return at.astimezone(ZoneInfo(named[1] if named else zone)).isoformat().replace("+00:00", "Z")


def _refusal(error: ClickHouseError) -> Refusal:
    if trouble := _TOO_MUCH.get(error.code):
        return as_refusal(trouble())
    if error.code == _UNKNOWN_IDENTIFIER and (named := _NAMED.search(error.message)):
        return invalid(f"Unable to resolve field: {named[1]}")
    return invalid(error.message, error.name.lower())


def body(answer: Row, *, is_cached: bool) -> bytes:
    """The reply's."""
    return encode({**answer, "is_cached": is_cached})
