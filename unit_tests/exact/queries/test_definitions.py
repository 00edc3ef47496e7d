"""What is wrong with the queries of a configuration, in a sentence each."""

from typing import Any

import pytest

from source_posthog.exact.queries.definitions import Definition, definition, queries_fault

GOOD = {"name": "sessions", "query": "SELECT session_id FROM sessions;", "primary_key": ["session_id"]}


def wrong(**changes: Any) -> str:
    query = {**GOOD, **changes}
    return queries_fault([{name: value for name, value in query.items() if value is not ...}], ["events", "persons"])


def test_a_good_query_has_no_fault_and_loses_its_semicolon() -> None:
    queries = [{**GOOD, "name": "other"}, {**GOOD, "cursor_field": "at"}]
    assert queries_fault(queries, ["events"]) == ""
    assert definition(queries, "sessions") == Definition(
        "sessions", "SELECT session_id FROM sessions", ("session_id",), "at"
    )
    assert definition(queries, "other").cursor_field == ""


@pytest.mark.parametrize("name", [..., None, "", "Sessions", "1st", "a-b", "a b", "ü", "_a", "a" * 64, 7])
def test_a_name_that_is_not_valid_is_refused(name: Any) -> None:
    assert wrong(name=name).startswith("Entry 1 of `queries` has no valid `name`")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "events"}, "The query `events` has the name of a built-in stream"),
        ({"query": ...}, "The query `sessions` is empty"),
        ({"query": " "}, "The query `sessions` is empty"),
        ({"query": "DROP TABLE x"}, "The query `sessions` is not a SELECT."),
        ({"query": "SELECT 1 LIMIT 5"}, "The query `sessions` has a LIMIT of its own"),
        ({"query": "SELECT 1; SELECT 2"}, "The query `sessions` has more than one statement"),
        ({"primary_key": ...}, "The query `sessions` has no valid `primary_key`"),
        ({"primary_key": []}, "The query `sessions` has no valid `primary_key`"),
        ({"primary_key": "id"}, "The query `sessions` has no valid `primary_key`"),
        ({"primary_key": [""]}, "The query `sessions` has no valid `primary_key`"),
        ({"primary_key": ["a", "a"]}, "The query `sessions` lists a column twice in `primary_key`"),
        ({"primary_key": ["project_id", "a"]}, "The query `sessions` names `project_id`"),
        ({"cursor_field": "project_id"}, "The query `sessions` names `project_id`"),
        ({"cursor_field": 7}, "The query `sessions` has no valid `cursor_field`"),
        ({"primary_keys": ["a"]}, "The query `sessions` has `primary_keys`, an unknown field; the fields are name"),
    ],
)
def test_a_part_that_is_not_valid_is_refused(changes: dict[str, Any], sentence: str) -> None:
    assert wrong(**changes).startswith(sentence)


def test_each_query_has_a_sentence_of_its_own() -> None:
    sentences = queries_fault([GOOD, GOOD, "SELECT 1", {**GOOD, "name": "x", "query": ""}], [])
    assert sentences == (
        "The query `sessions` is defined twice: give each of `queries` its own `name`. "
        "Entry 3 of `queries` must be an object with `name`, `query` and `primary_key`. "
        "The query `x` is empty: set its `query` to a HogQL SELECT."
    )


@pytest.mark.parametrize("queries", [None, {}, "SELECT 1", 7])
def test_queries_that_are_no_list_are_refused(queries: Any) -> None:
    assert queries_fault(queries, []).startswith("The option `queries` must be a list of queries")


def test_an_empty_cursor_field_is_none() -> None:
    assert queries_fault([{**GOOD, "cursor_field": ""}, {**GOOD, "name": "b", "cursor_field": None}], []) == ""
