"""The order of storage in HogQL: a range of it as a condition, and the counts by which ranges are chosen.

Hashes are written so that ClickHouse can use its index: HogQL takes the result of `cityHash64` for one that can be NULL
(docs/posthog-server.md, "What a query costs").
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.events.conditions import hogql, name_conditions, string
from source_posthog.exact.events.port import HASHES, Cut, Keys, Query
from source_posthog.exact.events.storage_order import ByHash
from source_posthog.exact.query_api import is_whole, posted

GREATEST = 2**63 - 1

MOST_COUNTS = 49_999  # rows of an answer: at its most, which is 50,000, PostHog does not say that there are more


def hash_of(column: str) -> str:
    return f"assumeNotNull(cityHash64({column}))"


def number(value: int) -> str:
    """`value` in HogQL, which reads integers over 63 bits as something else."""
    return str(value) if value <= GREATEST else f"({GREATEST} + {value - GREATEST})"


def range_conditions(keys: Keys) -> list[str]:
    """What together holds for the events in `keys`."""
    found = []
    if keys.low:
        found.append(_bound(keys.low, ">", ">="))
    if keys.high:
        found.append(_bound(keys.high, "<", "<"))
    return found


def _bound(cut: Cut, beyond: str, last: str) -> str:
    """Of the keys on one side of `cut`; `last` compares the last column that it names."""
    name, person, id = string(cut.event), hash_of("distinct_id"), hash_of("uuid")
    if cut.distinct_id >= HASHES:  # above all events of that name
        return f"event {'>' if beyond == '>' else '<='} {name}"
    if not any(cut[1:]):
        return f"event {last} {name}"
    person_hash, id_hash = number(cut.distinct_id), number(cut.uuid)
    if cut.uuid:
        within = f"({person} {beyond} {person_hash} or ({person} = {person_hash} and {id} {last} {id_hash}))"
    else:
        within = f"{person} {last} {person_hash}"
    return f"(event {beyond} {name} or (event = {name} and {within}))"


def count_of_days(query: Query, arrived_before: datetime) -> dict[str, Any]:
    """What to post for the number of events of each UTC day that PostHog ingested before `arrived_before`."""
    where = f"{_where(query)} AND created_at < {hogql(arrived_before)}"
    return _grouped("toDate(timestamp)", where)


def count_of_keys(query: Query, by: ByHash | None) -> dict[str, Any]:
    """What to post for a `Count`."""
    group = f"intDiv({hash_of(by.column)}, {by.width})" if by else "event"
    return _grouped(group, " AND ".join([_where(query), *range_conditions(query.keys)]))


def _where(query: Query) -> str:
    start, end = (f"assumeNotNull({hogql(at)})" for at in (query.start, query.end))
    return " AND ".join([f"timestamp >= {start}", f"timestamp < {end}", *name_conditions(query.names)])


def _grouped(group: str, where: str) -> dict[str, Any]:
    counted = f"SELECT {group}, count() FROM events WHERE {where}"
    return posted(
        {"kind": "HogQLQuery", "query": f"{counted} GROUP BY {group} ORDER BY count() DESC LIMIT {MOST_COUNTS}"}
    )


def days_in(answer: Mapping[str, Any]) -> dict[date, int]:
    """The numbers in an answer to `count_of_days`. Raises UntrueAnswer where there are none."""
    try:
        return {date.fromisoformat(str(day)[:10]): number for day, number in _numbers(answer)}
    except ValueError:
        raise UntrueAnswer("a day in it is none") from None


def keys_in(answer: Mapping[str, Any], by: ByHash | None) -> dict[Any, int]:
    """The numbers in an answer to `count_of_keys`. Raises UntrueAnswer where there are none."""
    try:
        return {int(key) if by else str(key): number for key, number in _numbers(answer)}
    except (TypeError, ValueError):
        raise UntrueAnswer("a key in it is none") from None


def _numbers(answer: Mapping[str, Any]) -> list[tuple[Any, int]]:
    is_whole(answer, MOST_COUNTS)
    found = []
    for row in answer["results"]:
        match row:
            case [key, int(number)] if number >= 0:
                found.append((key, number))
            case _:
                raise UntrueAnswer("it has no number of events")
    return found
