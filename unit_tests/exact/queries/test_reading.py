"""Every row of a query comes once: random tables, types, ties and NULLs, with changes between the pages."""

import random
import re
from collections import Counter
from typing import Any

import pytest

from source_posthog.exact.errors import NotAccepted, UnfitColumns, UntrueAnswer
from source_posthog.exact.queries.definitions import Definition
from source_posthog.exact.queries.reading import QueryBatch, Result, read_query
from source_posthog.exact.queries.statements import Statement
from tools.proof import cases
from unit_tests.exact.queries.support import BROKEN, SQL, Table, any_value, only

KEY_TYPES = ("UUID", "String", "Int32", "UInt64", "Date", "DateTime64(6, 'UTC')", "LowCardinality(String)")
TABLES = cases("TABLES", 100, 10_000)


def query(*primary_key: str, cursor_field: str = "") -> Definition:
    return Definition("visits", SQL, primary_key, cursor_field)


def rows_of(batches: list[QueryBatch]) -> list[tuple[Any, ...]]:
    return [tuple(row) for batch in batches for row in batch.rows]


def random_table(rng: random.Random, limit: int, *, cuts: bool = False) -> tuple[Table, tuple[str, ...]]:
    """A table whose key has one to three columns, and is unique or nearly so."""
    key = tuple("abc"[: rng.randint(1, 3)])
    types = {column: rng.choice(KEY_TYPES) for column in key}
    types |= {"c_value": "Nullable(Int64)", "number": "Int64"}
    most = rng.choice([3, 10, 100, 1000])
    rows: dict[tuple[Any, ...], list[Any]] = {}
    for number in range(rng.randrange(120)):
        values = [any_value(types[column].replace("LowCardinality(String)", "String"), rng, most) for column in key]
        rows[tuple(values)] = [*values, rng.choice([None, 1, 2]), number]
    shuffled = list(rows.values())
    rng.shuffle(shuffled)
    return Table(types, shuffled, limit, cuts=cuts), key


CUTS = pytest.mark.parametrize("cuts", [False, True], ids=["microseconds", "milliseconds"])


@CUTS
@pytest.mark.parametrize("share", range(4))
def test_every_row_of_a_random_table_comes_once(share: int, cuts: bool) -> None:
    """Where instants are shown cut: or a sentence says that more rows than fit a page share a millisecond."""
    unread = 0
    for seed in range(share, TABLES, 4):
        rng = random.Random(seed)
        table, key = random_table(rng, rng.choice([2, 3, 10, 50]), cuts=cuts)
        try:
            got = rows_of(list(read_query(query(*key), table.types, table)))
        except UntrueAnswer as unreadable:
            if not cuts or "cuts timestamps" not in str(unreadable) or fullest_millisecond(table) < table.limit:
                raise
            unread += 1
            continue
        assert Counter(got) == Counter(table.rows()), seed
    assert unread <= TABLES // 4 // 5


def fullest_millisecond(table: Table) -> int:
    times = Counter(f"{cell[:-1]}.000"[:23] for row in table.rows() for cell in row if str(cell).startswith("2026-"))
    return max(times.values())


@CUTS
@pytest.mark.parametrize("share", range(4))
def test_rows_that_stay_are_not_lost_whatever_is_inserted_and_deleted_between_pages(share: int, cuts: bool) -> None:
    for seed in range(share, TABLES, 4):
        rng = random.Random(seed)
        table, key = random_table(rng, rng.choice([20, 40] if cuts else [2, 3, 10]), cuts=cuts)
        staying = {row[-1] for row in table.rows() if rng.random() < 0.7}
        leaving = [row[-1] for row in table.rows() if row[-1] not in staying]
        numbers = iter(range(1000, 2000))
        times = Counter[int]()
        try:
            for batch in read_query(query(*key), table.types, table):
                times.update(row[-1] for row in batch.rows)
                for number in rng.sample(leaving, min(len(leaving), 2)):
                    leaving.remove(number)
                    table.delete(number=number)
                there = {row[: len(key)] for row in table.rows()}
                for _ in range(2):
                    new = [any_value(table.types[c].replace("LowCardinality(String)", "String"), rng, 9) for c in key]
                    if tuple(new) not in there:
                        there.add(tuple(new))
                        table.insert([*new, 7, next(numbers)])
        except UntrueAnswer as unreadable:
            if not cuts or "cuts timestamps to milliseconds" not in str(unreadable):
                raise
            continue
        assert {number for number in staying if times[number] != 1} == set(), seed
        assert max(times.values(), default=0) <= 1, seed


@CUTS
@pytest.mark.parametrize("share", range(4))
def test_a_sync_that_stops_anywhere_is_gone_on_with_from_the_last_value_of_the_cursor(share: int, cuts: bool) -> None:
    for seed in range(share, TABLES, 4):
        rng = random.Random(seed)
        type_ = rng.choice(["Nullable(DateTime64(6, 'UTC'))", "DateTime64(6, 'UTC')", "Int64", "Date", "String"])
        types = {"id": "UUID", "at": type_}
        ids = rng.sample(range(500), rng.randrange(90))
        rows = [[f"{number:08x}-0000-4000-8000-000000000000", any_value(type_, rng, 30)] for number in ids]
        table = Table(types, rows, rng.choice([12, 20, 40]), cuts=cuts)
        asked, state, got = query("id", cursor_field="at"), None, Counter[tuple[Any, ...]]()
        for _ in range(9):  # syncs, of which the earlier ones are killed between two pages
            pages = read_query(asked, types, table, by_cursor=True, since=state)
            for batch in pages:
                got.update(rows_of([batch]))
                state = batch.reached if batch.reached is not None else state
                if rng.random() < 0.3:
                    break
            else:
                break
        else:
            got.update(rows_of(list(read_query(asked, types, table, by_cursor=True, since=state))))
        assert set(got) == {row for row in table.rows() if row[1] is not None}, seed


def test_more_rows_of_one_key_than_fit_a_page_are_an_error() -> None:
    table = Table({"a": "Int8", "b": "Int8"}, [[1, number] for number in range(5)], limit=3)
    with pytest.raises(UntrueAnswer, match="at least 3 rows share this key, more than a page holds"):
        list(read_query(query("a"), table.types, table))


def test_different_rows_of_one_key_all_come_and_are_noticed() -> None:
    table = Table({"a": "Int8", "b": "Int8"}, [[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], [3, 1]], limit=4)
    batches = list(read_query(query("a"), table.types, table))
    assert Counter(rows_of(batches)) == Counter(table.rows())
    assert any(batch.has_twins for batch in batches)


def test_rows_that_are_the_same_come_as_often_as_they_are_there_and_are_no_twins() -> None:
    table = Table({"a": "Int8"}, [[0], [1], [2], [2], [2], [3]], limit=4)
    batches = list(read_query(query("a", cursor_field="a"), table.types, table))
    assert Counter(rows_of(batches)) == Counter(table.rows())
    assert [(batch.reached, batch.has_twins) for batch in batches] == [(None, False)] * 3


def test_different_rows_of_one_millisecond_are_no_twins_since_nobody_can_see_that_they_are() -> None:
    rows = [[f"2026-01-01T00:00:00.00{number}Z", number] for number in (1234, 1567)]
    table = Table({"at": "DateTime64(6, 'UTC')", "n": "Int64"}, rows, cuts=True)
    assert not any(batch.has_twins for batch in read_query(query("at"), table.types, table))


@pytest.mark.parametrize("key", [("a",), ("b", "a")], ids=["alone", "the second of two"])
def test_a_null_in_the_key_is_an_error_on_the_first_page(key: tuple[str, ...]) -> None:
    rows = [[None if number == 70 else number, number % 3] for number in range(90)]
    table = Table({"a": "Nullable(Int64)", "b": "Int8"}, rows)
    with pytest.raises(UntrueAnswer, match="`a` is NULL in the row with"):
        next(read_query(query(*key), table.types, table))


def test_a_null_in_the_key_that_comes_between_two_pages_is_an_error_too() -> None:
    table = Table({"a": "Nullable(Int64)"}, [[number] for number in range(25)])
    pages = read_query(query("a"), table.types, table)
    next(pages)
    table.insert([None])
    with pytest.raises(UntrueAnswer, match="`a` is NULL"):
        next(pages)


def test_a_project_whose_columns_have_other_types_is_asked_by_these() -> None:
    """The types are those of another project: UUIDs would come in ClickHouse's own order."""
    table = Table({"id": "UUID"}, [["b"], ["a"]])
    got = list(read_query(query("id"), {"id": "Int64"}, table))
    assert rows_of(got) == [("a",), ("b",)]
    assert ["toString" in question.hogql for question in table.asked] == [False, True]


@pytest.mark.parametrize("other", ["DateTime", "Date", "Int64"])
def test_a_project_that_cannot_be_asked_by_the_types_of_another_is_asked_for_its_own(other: str) -> None:
    """By a comparison that it refuses, or with a state that is no value of the type."""
    table = Table({"id": "Int64", "at": "String"}, [[1, "2026-01-02"], [2, "2026-01-04"]])

    def ask(question: Statement) -> Result:
        if "toDate" in question.hogql:
            raise NotAccepted("Cannot compare")
        return table(question)

    types = {"id": "Int64", "at": other}
    got = list(read_query(query("id", cursor_field="at"), types, ask, by_cursor=True, since="2026-01-03"))
    assert rows_of(got) == [(2, "2026-01-04")]


def test_a_state_that_is_no_value_of_the_cursor_is_an_error() -> None:
    table = Table({"id": "Int64", "at": "Int64"}, [[1, 5]])
    with pytest.raises(UntrueAnswer, match="'2026-01-01T00:00:00Z' in the state is not a valid value"):
        list(
            read_query(query("id", cursor_field="at"), table.types, table, by_cursor=True, since="2026-01-01T00:00:00Z")
        )


def test_a_refusal_that_the_types_do_not_explain_is_raised() -> None:
    table = Table({"id": "Int64"})

    def ask(question: Statement) -> Result:
        if "ORDER BY" in question.hogql:
            raise NotAccepted("no ORDER BY today")
        return table(question)

    with pytest.raises(NotAccepted, match="no ORDER BY today"):
        list(read_query(query("id"), table.types, ask))


@pytest.mark.parametrize(
    ("type_", "values", "sentence"),
    [
        ("String", ["b", "a"], "not in the requested order"),
        ("Bool", [True, False], "not in the requested order"),
        ("DateTime", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00"], "not in the requested order"),
        ("String", [3], "3 in the row with id 3 is not a valid value"),
        ("Bool", [1], "1 in the row with id 1 is not a valid value"),
        ("Int8", ["1"], "'1' in the row with id '1' is not a valid value"),
        ("Date", ["yesterday"], "'yesterday' in the row"),
        ("DateTime", ["yesterday"], "'yesterday' in the row"),
    ],
)
def test_an_answer_that_cannot_be_read_on_from_is_an_error(type_: str, values: list[Any], sentence: str) -> None:
    answer = Result({"id": type_}, [[value] for value in values], complete=True)
    with pytest.raises(UntrueAnswer, match=re.escape(sentence)):
        list(read_query(query("id"), answer.types, only(answer)))


def test_text_in_a_key_may_hold_the_sign_that_stands_for_broken_bytes() -> None:
    """Posthog is asked whether there are such bytes, once."""
    table = Table({"id": "String"}, [[f"\ufffd{number:02d}"] for number in range(25)])
    got = rows_of(list(read_query(query("id"), table.types, table)))
    assert sorted(got) == sorted(table.rows())
    assert [question.hogql.count("isValidUTF8") for question in table.asked] == [0, 1, 0, 0, 0]


def test_bytes_in_a_key_that_are_no_text_are_an_error() -> None:
    """What comes after them is not known, since PostHog does not show them."""
    table = Table({"n": "Int64", "id": "LowCardinality(String)"}, [[number, f"{number}"] for number in range(25)])
    table.insert([1, f"a{BROKEN}"])
    with pytest.raises(UntrueAnswer, match="bytes that are not valid UTF-8"):
        list(read_query(query("id", "n"), table.types, table))


def test_a_server_that_cannot_tell_text_from_broken_bytes_is_not_believed() -> None:
    table = Table({"id": "String"}, [["\ufffd"]])

    def ask(question: Statement) -> Result:
        if "isValidUTF8" in question.hogql:
            raise NotAccepted("Unsupported function call 'isValidUTF8(...)'")
        return table(question)

    with pytest.raises(UntrueAnswer, match="bytes that are not valid UTF-8"):
        list(read_query(query("id"), table.types, ask))


def test_a_state_has_no_more_digits_than_the_server_shows() -> None:
    """The state that is gone on from can have more: it is of a time when the same server showed more."""
    types = {"id": "Int64", "at": "DateTime64(6, 'UTC')"}
    table = Table(types, [[number, f"2026-01-01T00:00:00.{number:06d}Z"] for number in range(9995, 10005)], cuts=True)
    asked = query("id", cursor_field="at")
    got = list(read_query(asked, types, table, by_cursor=True, since="2026-01-01T00:00:00.009998Z"))
    assert [row[0] for row in rows_of(got)] == list(range(9998, 10005))
    assert got[-1].reached == "2026-01-01T00:00:00.010Z"


@pytest.mark.parametrize(("at", "is_in"), [("00.009", True), ("00.010", True), ("00.008", False), ("00", False)])
def test_a_row_that_is_shown_less_than_a_millisecond_before_the_state_is_in_it(at: str, is_in: bool) -> None:
    answer = Result({"id": "Int64", "at": "DateTime64(6)"}, [[1, f"2026-01-01T00:00:{at}Z"]], complete=True)
    since = "2026-01-01T00:00:00.009999Z"
    pages = read_query(query("id", cursor_field="at"), answer.types, only(answer), by_cursor=True, since=since)
    if is_in:
        assert len(next(pages).rows) == 1
    else:
        with pytest.raises(UntrueAnswer, match="before the state"):
            next(pages)


def test_more_rows_in_one_millisecond_than_fit_a_page_are_an_error_that_says_what_the_server_does() -> None:
    """Of which the first is a whole second, which is shown as it is."""
    types = {"at": "DateTime64(6, 'UTC')", "id": "Int64"}
    table = Table(types, [[f"2026-01-01T00:00:00.{number:06d}Z", number] for number in range(11)], cuts=True)
    with pytest.raises(UntrueAnswer, match=r"cuts timestamps to milliseconds.* for example toString\(at\)"):
        list(read_query(query("at", "id"), types, table))


def test_columns_may_stand_in_another_order_on_the_next_page() -> None:
    first = Result({"id": "Int8", "n": "Int8"}, [[1, 9], [2, 8]], complete=False)
    pages = only(
        first,
        Result({"n": "Int8", "id": "Int8"}, [[9, 1], [8, 2]], complete=False),  # asked once more
        Result({"n": "Int8", "id": "Int8"}, [[7, 3]], complete=True),
    )
    got = list(read_query(query("id"), {"id": "Int8", "n": "Int8"}, pages))
    assert [(batch.columns, batch.rows) for batch in got] == [
        (["id", "n"], [[1, 9], [2, 8]]),
        (["n", "id"], [[7, 3]]),
    ]


def test_a_page_that_begins_before_the_last_row_is_an_error() -> None:
    types = {"id": "Int8"}
    first = Result(types, [[3], [4]], complete=False)
    pages = only(first, first, Result(types, [[1], [5]], complete=True))
    with pytest.raises(UntrueAnswer, match="do not follow the previous page"):
        list(read_query(query("id"), types, pages))


def test_an_empty_page_that_is_not_complete_is_an_error() -> None:
    with pytest.raises(UntrueAnswer, match="an empty page"):
        list(read_query(query("id"), {"id": "String"}, only(Result({"id": "String"}, [], complete=False))))


def test_types_that_change_between_two_pages_are_an_error() -> None:
    table = Table({"id": "Int64"}, [[number] for number in range(15)])
    pages = read_query(query("id"), {"id": "Int64"}, table)
    next(pages)
    table.types = {"id": "String"}
    with pytest.raises(UntrueAnswer, match="types of its columns changed"):
        next(pages)


def test_rows_before_the_state_are_an_error() -> None:
    types = {"id": "Int64", "at": "Int64"}
    pages = read_query(
        query("id", cursor_field="at"), types, lambda _: Result(types, [[1, 4]], True), by_cursor=True, since=5
    )
    with pytest.raises(UntrueAnswer, match="before the state"):
        list(pages)


@pytest.mark.parametrize(
    ("types", "sentence"),
    [
        ({"other": "Int8"}, "has no column `id` in its result, although `primary_key` names it; the columns are other"),
        (
            {"id": "Float64", "x": "Int8"},
            "cannot be paged by the column `id` of `primary_key`, whose type is Float64",
        ),
        ({"id": "DateTime64(7)"}, "whose type is DateTime64"),
        ({"id": "Array(Int8)"}, "whose type is Array"),
        ({"id": "Int256"}, "whose type is Int256"),
        ({"id": "Nullable(Decimal(9, 2))"}, "whose type is Nullable"),
    ],
    ids=["missing", "float", "too fine", "list", "too long", "decimal"],
)
def test_columns_that_no_query_can_be_read_by_are_named(types: dict[str, str], sentence: str) -> None:
    with pytest.raises(UnfitColumns, match=sentence.replace("(", r"\(")):
        list(read_query(query("id"), types, Table(types)))


def test_a_cursor_that_is_not_there_is_named() -> None:
    with pytest.raises(UnfitColumns, match="no column `at` in its result, although `cursor_field` names it"):
        list(read_query(query("id", cursor_field="at"), {"id": "Int8"}, Table({"id": "Int8"}), by_cursor=True))


def test_a_cursor_that_is_the_key_too_is_asked_for_once() -> None:
    table = Table({"id": "Int64"}, [[number] for number in range(25)])
    got = list(read_query(query("id", cursor_field="id"), table.types, table, by_cursor=True, since=3))
    assert [row for (row,) in rows_of(got)] == list(range(3, 25))
    assert [batch.reached for batch in got] == [12, 21, 24]
