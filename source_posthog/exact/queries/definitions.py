"""The queries of a configuration, and in a sentence each what is wrong with them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from source_posthog.exact.errors import NotOneSelect
from source_posthog.exact.queries.sql import one_select

PROJECT = "project_id"  # the column that the connector adds to each row

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PARTS = ("name", "query", "primary_key", "cursor_field")


@dataclass(frozen=True)
class Definition:
    """A query as a stream.

    Attributes:
        name: of the stream.
        sql: a SELECT, without a semicolon at its end.
        primary_key: the columns that tell the rows of one project apart.
        cursor_field: the column that grows when a row is new or changed; "" where there is none.
    """

    name: str
    sql: str
    primary_key: tuple[str, ...]
    cursor_field: str = ""


def definition(queries: Collection[Mapping[str, Any]], name: str) -> Definition:
    """The one of `queries`, in which `fault` finds no fault, that has this name."""
    one = next(query for query in queries if query["name"] == name)
    key = tuple(one["primary_key"])
    return Definition(name, one_select(one["query"]), key, one.get("cursor_field") or "")


def queries_fault(queries: Any, taken: Collection[str]) -> str:
    """What is wrong with `queries`, an option of the configuration, a sentence for each query; "" where nothing is.

    `taken`: the names of the other streams.
    """
    if not isinstance(queries, list):
        return "The option `queries` must be a list of queries, each with `name`, `query` and `primary_key`."
    names: list[Any] = list(taken)
    sentences = []
    for place, query in enumerate(queries, start=1):
        sentences.append(_fault(query, place, names, set(taken)))
        names.append(query.get("name") if isinstance(query, Mapping) else None)
    return " ".join(filter(None, sentences))


def _fault(query: Any, place: int, names: list[Any], taken: set[str]) -> str:
    if not isinstance(query, Mapping):
        return f"Entry {place} of `queries` must be an object with `name`, `query` and `primary_key`."
    name = query.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return (
            f"Entry {place} of `queries` has no valid `name`: use lower-case letters, digits and underscores, starting "
            "with a letter, and at most 63 characters."
        )
    whose = f"The query `{name}`"
    if name in taken:
        return f"{whose} has the name of a built-in stream: choose another `name`."
    if name in names:
        return f"{whose} is defined twice: give each of `queries` its own `name`."
    if others := sorted(map(str, query.keys() - set(_PARTS))):
        return f"{whose} has `{others[0]}`, an unknown field; the fields are {', '.join(_PARTS)}."
    text = query.get("query")
    if not isinstance(text, str) or not text.strip():
        return f"{whose} is empty: set its `query` to a HogQL SELECT."
    try:
        one_select(text)
    except NotOneSelect as wrong:
        return f"{whose} {wrong}."
    return _fault_of_columns(whose, query.get("primary_key"), query.get("cursor_field"))


def _fault_of_columns(whose: str, key: Any, cursor_field: Any) -> str:
    if not isinstance(key, list) or not key or not all(isinstance(column, str) and column for column in key):
        return f"{whose} has no valid `primary_key`: name one or more columns of its result."
    if len(set(key)) < len(key):
        return f"{whose} lists a column twice in `primary_key`: list each once."
    if PROJECT in key or cursor_field == PROJECT:
        return f"{whose} names `{PROJECT}`, which the connector adds to each row and to the key: remove it."
    if cursor_field is not None and not isinstance(cursor_field, str):
        return f"{whose} has no valid `cursor_field`: name a column of its result, or remove it."
    return ""
