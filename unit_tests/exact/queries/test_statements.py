"""What is asked for a page: read by PostHog's own parser, with nothing of the rows in it."""

import itertools
import re

import pytest

from posthog_server.grammar import parse_select
from source_posthog.exact.queries.keys import Key, key_of
from source_posthog.exact.queries.statements import any_rows, numbers, page_of, quoted, rows_without
from tools.proof import LONG

SQL = "SELECT id, at FROM visits -- all of them"
TYPES = {"id": "UUID", "at": "Nullable(DateTime64(6, 'UTC'))", "n": "Nullable(Int64)", "day": "Date", "s": "String"}
VALUES = {"id": "0190", "at": "2026-01-01T01:00:00+01:00", "n": -5, "day": "2026-01-01", "s": "'); DROP TABLE"}


def keys(*columns: str) -> list[Key]:
    return [key_of(column, TYPES, "primary_key") for column in columns]


def test_the_first_page_is_asked_for_in_the_order_of_the_keys() -> None:
    question = page_of(SQL, keys("day", "id"))
    assert question.limited(5) == f"SELECT * FROM (\n{SQL}\n) ORDER BY `day`, toString(`id`) LIMIT 5"
    assert question.values == {}


def test_a_further_page_is_asked_for_from_the_last_row_on() -> None:
    question = page_of(SQL, keys("day", "id"), after=["2026-01-01", "0190"])
    assert question.hogql == (
        f"SELECT * FROM (\n{SQL}\n) WHERE `day` >= toDate({{after_0}}) AND (`day` > toDate({{after_0}}) OR "
        "(`day` = toDate({after_0}) AND toString(`id`) >= {after_1})) ORDER BY `day`, toString(`id`)"
    )
    assert question.values == {"after_0": "2026-01-01", "after_1": "0190"}


def test_rows_without_a_key_come_first_on_every_page() -> None:
    question = page_of(SQL, keys("n"), after=[7])
    assert question.hogql == (
        f"SELECT * FROM (\n{SQL}\n) WHERE (isNull(`n`) OR (`n` >= {{after_0}})) ORDER BY (isNull(`n`)) DESC, `n`"
    )


def test_an_incremental_page_has_no_row_without_a_cursor_and_none_before_the_state() -> None:
    cursor, key = keys("at", "id")
    question = page_of(SQL, [cursor, key], cursor=cursor, since="2026-01-01T01:00:00+01:00")
    assert question.hogql == (
        f"SELECT * FROM (\n{SQL}\n) WHERE isNotNull(`at`) AND `at` >= toDateTime({{since}}) "
        "ORDER BY `at`, toString(`id`)"
    )
    assert question.values == {"since": "2026-01-01T00:00:00.000000Z"}


ORDERS = list(itertools.permutations(TYPES, 3))


@pytest.mark.slow
@pytest.mark.parametrize("columns", ORDERS if LONG else ORDERS[::5], ids="-".join)
def test_posthogs_parser_reads_every_page_and_no_value_is_in_it(columns: tuple[str, ...]) -> None:
    for cursor in (None, keys(columns[0])[0]):
        order = [*([cursor] if cursor else keys(columns[0])), *keys(*columns[1:])]
        values = [VALUES[key.name] for key in order]
        question = page_of(SQL, order, cursor=cursor, since=values[0] if cursor else None, after=values)
        tree = parse_select(question.limited(10_000))
        assert tree["limit"]["value"] == 10_000
        assert set(re.findall(r"\{(\w+)\}", question.hogql)) == question.values.keys()
        assert "DROP" not in question.hogql


@pytest.mark.parametrize("column", ["a", "a b", "a`b", "a\\b", "count()", "$x", 'a"b', "ü", "a\\`b"])
def test_posthogs_parser_reads_the_name_of_any_column(column: str) -> None:
    (order,) = parse_select(f"SELECT 1 ORDER BY {quoted(column)}")["order_by"]
    assert order["expr"]["chain"] == [column]


def test_posthogs_parser_reads_the_other_questions() -> None:
    for question in (any_rows(SQL), rows_without(SQL, "at"), numbers(10_000)):
        assert parse_select(question.limited(1))["node"] == "SelectQuery"
