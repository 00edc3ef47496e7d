"""Queries whose keys or cursor move with each question: refused, or read whole; tables that change are not refused."""

import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from source_posthog.exact.errors import UnfitColumns, UntrueAnswer
from source_posthog.exact.queries.definitions import Definition
from source_posthog.exact.queries.reading import QueryBatch, Result, read_query
from source_posthog.exact.queries.statements import Statement
from source_posthog.exact.queries.steady import Rows, come_again
from unit_tests.exact.queries.support import Table

INSTANT = "DateTime64(6, 'UTC')"
PRESENT = datetime(2026, 5, 1, tzinfo=timezone.utc)


def table(rows: int = 60, limit: int = 20, **types: str) -> Table:
    made = Table({"id": "Int64", "name": "String"}, [[number, f"n{number}"] for number in range(rows)], limit)
    made.types |= types
    return made


def got(sql: str, made: Table, cursor_field: str = "", **options: Any) -> list[QueryBatch]:
    key = ("key",) if " AS key" in sql else ("id",)
    definition = Definition("q", sql, key, cursor_field)
    return list(read_query(definition, made.types, made, by_cursor=bool(cursor_field), **options))


@pytest.mark.parametrize(
    "expression",
    ["rand()", "rand() % 1000", "generateUUIDv4()", "row_number() OVER (ORDER BY random())", "id + rand()"],
)
def test_a_key_that_is_computed_anew_with_each_question_is_refused_before_a_row_is_emitted(expression: str) -> None:
    kind = "String" if "UUID" in expression else "Int64"
    made = table(key=kind)
    pages = read_query(Definition("q", f"SELECT {expression} AS key, * FROM t", ("key",)), made.types, made)
    with pytest.raises(UnfitColumns, match="cannot be paged by `key`: when the same page was requested twice"):
        next(pages)


def test_a_result_of_one_page_has_no_other_question() -> None:
    made = table(rows=19, key="Int64")
    (batch,) = got("SELECT rand() AS key, * FROM t", made)
    assert (len(batch.rows), len(made.asked)) == (19, 1)


@pytest.mark.parametrize("steps", ["now64()", "strftime('%Y', '2020-01-01') || substr(now64(), 5)"])
def test_a_cursor_that_moves_with_each_question_is_refused(steps: str) -> None:
    """After the sync's start or before it."""
    made = table(at=INSTANT)
    with pytest.raises(UnfitColumns, match="cannot be paged by `at`, `id`: when the same page was requested twice"):
        got(f"SELECT *, {steps} AS at FROM t", made, "at", present=PRESENT)


def test_a_cursor_that_moves_from_the_second_page_on_is_refused() -> None:
    """A page has only keys of the page before, of which the cursor has moved: it is asked once more."""
    made = table(rows=90, at=INSTANT)
    old = "CASE WHEN id < 30 THEN '2020-01-01T00:00:00.000000Z' ELSE '2021' || substr(now64(), 5) END"
    with pytest.raises(UnfitColumns, match="cannot be paged by `at`, `id`"):
        got(f"SELECT *, {old} AS at FROM t", made, "at", present=PRESENT)


def test_the_last_page_of_a_sync_is_asked_once_more() -> None:
    made = table(rows=90, at=INSTANT)
    old = "CASE WHEN id < 25 THEN '2020-01-01T00:00:00.000000Z' ELSE now64() END"
    with pytest.raises(UnfitColumns, match="cannot be paged by `at`, `id`"):
        got(f"SELECT *, {old} AS at FROM t", made, "at", present=PRESENT)


def test_a_cursor_that_moves_is_no_matter_where_all_rows_fit_a_page() -> None:
    made = table(rows=10, at=INSTANT)
    (batch,) = got("SELECT *, now64() AS at FROM t", made, "at", present=PRESENT)
    assert (len(batch.rows), batch.reached) == (10, "2026-05-01T00:00:00.000000Z")


@pytest.mark.parametrize(
    "columns", ["*, now64() AS loaded_at", "*, rand() AS chance", "id", "id, now64() AS loaded_at"]
)
def test_columns_that_are_no_keys_may_hold_the_present(columns: str) -> None:
    made = table(loaded_at=INSTANT)
    assert {row[0] for batch in got(f"SELECT {columns} FROM t", made) for row in batch.rows} == set(range(60))


def test_a_device_that_reports_again_and_again_is_no_cursor_that_moves() -> None:
    """Each page has the keys of the page before, as other rows."""
    rows = [[number % 20, f"2026-01-01T00:00:{number // 20:02d}.000000Z"] for number in range(100)]
    made = Table({"id": "Int64", "at": INSTANT}, rows, limit=21)
    batches = got("SELECT * FROM t", made, "at", present=PRESENT)
    assert sum(len(batch.rows) for batch in batches) == 100


@pytest.mark.parametrize("seed", range(50))
def test_a_table_that_changes_between_all_questions_is_not_refused(seed: int) -> None:
    """A tenth of its rows come, go, or are changed, with each question, and the cursor of those that are moves."""
    rng = random.Random(seed)
    made = Table({"id": "Int64", "at": INSTANT, "name": "String"}, limit=20)
    made.insert(*([number, f"2026-01-01T00:00:00.{number:06d}Z", "old"] for number in range(80)))
    last = iter(range(100, 100_000))

    def ask(question: Statement) -> Result:
        for _ in range(2):
            moved = rng.randrange(80)
            made.delete(id=moved)
            made.insert([moved, f"2026-01-01T00:00:00.{next(last):06d}Z", "new"])
            made.delete(id=rng.randrange(80))
            made.insert([next(last), f"2026-01-01T00:00:00.{next(last):06d}Z", "born"])
        return made(question)

    query = Definition("q", "SELECT * FROM t", ("id",), "at")
    assert sum(len(batch.rows) for batch in read_query(query, made.types, ask, by_cursor=True, present=PRESENT)) >= 60


# --- bounded by the present


@pytest.mark.parametrize("cuts", [False, True], ids=["microseconds", "milliseconds"])
def test_what_comes_in_while_it_is_read_waits_for_the_next_sync(cuts: bool) -> None:
    """A table that grows as fast as it is read, with rows that are dated ahead: the reading ends all the same."""
    made = Table({"id": "Int64", "at": INSTANT}, limit=20, cuts=cuts)
    made.insert(*([number, (PRESENT - timedelta(seconds=50 - number)).isoformat()[:19] + "Z"] for number in range(50)))
    made.insert(*([number, f"2099-01-01T00:00:00.{number:03d}001Z"] for number in range(50, 90)))
    born = iter(range(100, 100_000))

    def ask(question: Statement) -> Result:
        made.insert(
            *(
                [one, f"2099-02-01T00:{one // 60_000:02d}:{one // 1000 % 60:02d}.{one % 1000:03d}001Z"]
                for one in (next(born) for _ in range(30))
            )
        )
        return made(question)

    query = Definition("q", "SELECT * FROM t", ("id",), "at")
    batches = list(read_query(query, made.types, ask, by_cursor=True, present=PRESENT))
    ids = [row[0] for batch in batches for row in batch.rows]
    assert ids[:90] == list(range(90))
    assert len(ids) == len(set(ids))
    assert batches[-1].reached == "2026-05-01T00:00:00.000000Z"
    next_sync = read_query(query, made.types, made, by_cursor=True, since=batches[-1].reached, present=PRESENT)
    again = {row[0] for batch in next_sync for row in batch.rows}
    assert again >= set(range(50, 90)) | set(range(100, next(born)))


def test_rows_after_the_present_that_fit_the_page_cost_no_question() -> None:
    made = Table({"id": "Int64", "at": INSTANT}, [[1, "2026-01-01T00:00:00Z"], [2, "2099-01-01T00:00:00Z"]])
    (batch,) = got("SELECT * FROM t", made, "at", present=PRESENT)
    assert (len(batch.rows), len(made.asked)) == (2, 1)


def test_an_answer_without_a_latest_row_is_an_error() -> None:
    made = Table({"id": "Int64", "at": INSTANT}, [[number, "2099-01-01T00:00:00Z"] for number in range(30)], limit=20)

    def ask(question: Statement) -> Result:
        return Result({"latest": INSTANT}, [[None]], True) if "max(" in question.hogql else made(question)

    query = Definition("q", "SELECT * FROM t", ("id",), "at")
    with pytest.raises(UntrueAnswer, match="does not contain the latest `at`"):
        list(read_query(query, made.types, ask, by_cursor=True, present=PRESENT))


# --- the judgement itself


def rows(*made: list[Any], columns: tuple[str, ...] = ("id", "name")) -> Rows:
    return Rows(columns, made)


def test_half_of_the_rows_must_come_again() -> None:
    first = [[number, f"n{number}"] for number in range(10)]
    for kept in range(11):
        again = first[:kept] + [[number + 100, "x"] for number in range(10 - kept)]
        assert come_again(rows(*first), rows(*again), ["id"]) == (kept >= 5)


def test_half_of_the_other_columns_must_be_the_same() -> None:
    columns = ("id", "a", "b", "c", "same")
    first = rows(*([number, *(f"{number}{letter}" for letter in "abc"), 1] for number in range(4)), columns=columns)
    for kept in range(4):
        again = [[*row[: 1 + kept], *(["x"] * (3 - kept)), 1] for row in first.rows]
        assert come_again(first, rows(*again, columns=columns), ["id"]) == (kept >= 2)


def test_columns_are_compared_by_their_names() -> None:
    first = rows([1, "a"], [2, "b"])
    assert come_again(first, rows(["a", 1], ["b", 2], columns=("name", "id")), ["id"])
    assert not come_again(first, rows(["b", 1], ["a", 2], columns=("name", "id")), ["id"])


@pytest.mark.parametrize("grown", [0, 1, 17])
def test_ages_may_grow(grown: int) -> None:
    rng = random.Random(grown)
    first = [[number, rng.randrange(1000)] for number in range(40)]
    # One more second has begun for a third of them, and a row in twenty is new or was seen just now.
    again = [[id, 0 if id % 20 == 3 else age + grown + (id % 3 == 0)] for id, age in first]
    assert come_again(rows(*first), rows(*again), ["id"])


def test_numbers_that_stand_at_other_keys_have_not_grown() -> None:
    rng = random.Random(7)
    ages = [rng.randrange(1000) for _ in range(40)]
    first = rows(*([number, age] for number, age in enumerate(ages)))
    rng.shuffle(ages)
    assert not come_again(first, rows(*([number, age] for number, age in enumerate(ages))), ["id"])
