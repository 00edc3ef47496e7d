"""Queries of the user's own: discover, check, bad input, and the limits and troubles of PostHog."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.harness.connector import config, run
from integration_tests.harness.in_process import URL, answers_from
from integration_tests.harness.visits import COLUMNS, VISITS, configured, due, posthog_with_visits, read, rows, visits
from posthog_server import (
    Fault,
    PostHog,
    Seen,
    account_with,
    estimated_too_slow,
    event,
    key_not_for_project,
    missing_scope,
    out_of_memory,
    rewrite,
    server_error,
    throttled,
    too_many_queries,
    too_slow,
)
from posthog_server.clickhouse import ClickHouse


@pytest.fixture
def posthog(clickhouse: ClickHouse) -> Iterator[PostHog]:
    one = posthog_with_visits(clickhouse)
    with answers_from(one):
        yield one


# --- discover and check


def test_discover_shows_the_types_of_the_first_project_that_answers(posthog: PostHog, clickhouse: ClickHouse) -> None:
    columns = {
        "id": "UInt64",
        "list": "Array(String)",
        "map": "Map(String, Float64)",
        "price": "Decimal(9, 2)",
    }
    clickhouse.table(8, "t", columns, [[1, ["a"], {"b": 1.5}, "1.50"]])
    posthog.faults.add(Fault(stream="query", project_id=7, times=None, **key_not_for_project(7)))
    query = {"name": "t", "query": "SELECT *, 'x' AS project_id FROM t", "primary_key": ["id"]}
    output = run("discover", config=config(URL, queries=[query]))
    (found,) = [one for made in output.of("CATALOG") for one in made["streams"] if one["name"] == "t"]
    assert found["source_defined_primary_key"] == [["project_id"], ["id"]]
    assert found["supported_sync_modes"] == ["full_refresh"]
    assert found["json_schema"]["properties"] == {
        "id": {"type": ["null", "number", "string"]},
        "list": {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
        "map": {"type": ["null", "object"], "additionalProperties": {"type": ["null", "number"]}},
        "price": {"type": ["null", "number", "string"]},
        "project_id": {"type": "integer"},
    }


def test_a_column_named_project_id_is_replaced_by_the_project(posthog: PostHog, clickhouse: ClickHouse) -> None:
    query = {"name": "t", "query": "SELECT n, 'x' AS project_id FROM visits", "primary_key": ["n"]}
    assert {row["project_id"] for row in read(query).records("t")} == {7, 8}


def test_discover_without_queries_asks_for_nothing(posthog: PostHog) -> None:
    output = run("discover", config=config(URL))
    assert [len(made["streams"]) for made in output.of("CATALOG")] == [7]
    assert posthog.requests == []


REFUSED = {**VISITS, "name": "broken", "query": "SELECT id, at, colour FROM visits"}
SENTENCE = 'Stream broken, project 7: PostHog refuses the query ("Unable to resolve field: colour"). Correct it'


def test_a_query_that_posthog_refuses_fails_check_with_its_name_and_posthogs_sentence(posthog: PostHog) -> None:
    status, message = run("check", config=config(URL, queries=[VISITS, REFUSED])).connection
    assert status == "FAILED"
    assert message.startswith(SENTENCE)


def test_the_status_of_check_masks_the_key_that_a_refusal_repeats(posthog: PostHog) -> None:
    options = config(URL, queries=[VISITS])
    body = {"type": "validation_error", "code": "invalid_input", "detail": f"no: {options['api_key']}", "attr": None}
    posthog.faults.add(Fault(stream="query", times=None, **{**too_slow(), "status": 400, "body": body}))
    status, message = run("check", config=options).connection
    assert (status, 'PostHog refuses the query ("no: ****")' in message) == ("FAILED", True)


def asked(posthog: PostHog) -> list[str]:
    """The SQL of the queries so far, without its number of rows."""
    return [
        re.sub(r"LIMIT \d+", "", seen.body["query"]["query"]) for seen in posthog.requests if seen.stream == "query"
    ]


@pytest.mark.parametrize("query", [VISITS, {**VISITS, "cursor_field": None}], ids=["with a cursor", "without"])
def test_check_asks_the_first_question_of_a_sync(posthog: PostHog, query: dict[str, Any]) -> None:
    assert run("check", config=config(URL, queries=[query])).connection[0] == "SUCCEEDED"
    checked = set(asked(posthog))
    posthog.reset()
    read(query, incremental=bool(query["cursor_field"]))
    first = next(sql for sql in asked(posthog) if "ORDER BY" in sql)
    assert first in checked


def ordered(seen: Seen) -> bool:
    return "ORDER BY" in seen.body["query"]["query"]


def test_check_fails_where_posthog_does_not_know_the_words_around_a_query(posthog: PostHog) -> None:
    body = {"type": "validation_error", "code": "illegal_type", "detail": "Unsupported function", "attr": None}
    posthog.faults.add(Fault(stream="query", times=None, when=ordered, status=400, body=body))
    status, message = run("check", config=config(URL, queries=[VISITS])).connection
    assert (status, 'Stream visits, project 7: PostHog refuses the query ("Unsupported' in message) == ("FAILED", True)


def test_check_warns_of_a_query_that_posthog_is_too_slow_for_after_two_tries(posthog: PostHog) -> None:
    posthog.faults.add(Fault(stream="query", times=None, when=ordered, **too_slow()))
    output = run("check", config=config(URL, queries=[VISITS]))
    assert output.connection[0] == "SUCCEEDED"
    (warning,) = [log["message"] for log in output.of("LOG") if log["level"] == "WARN"]
    assert warning.startswith("Stream visits cannot be read in project 7: no usable answer in 2 tries")


def test_a_query_that_posthog_refuses_fails_discover_and_the_other_streams_are_shown(posthog: PostHog) -> None:
    output = run("discover", config=config(URL, queries=[REFUSED, VISITS]))
    assert output.status == 1
    assert output.errors[0].startswith(SENTENCE)
    (shown,) = output.of("CATALOG")
    assert [one["name"] for one in shown["streams"]][-2:] == ["insights", "visits"]


def test_a_query_that_posthog_refuses_fails_its_stream_only(posthog: PostHog, clickhouse: ClickHouse) -> None:
    output = read(REFUSED, VISITS)
    assert (output.status, output.stream_status("broken")) == (1, "INCOMPLETE")
    assert rows(output) == due(clickhouse, 7, 8)


def test_a_query_that_was_taken_out_of_the_configuration_fails_its_stream_only(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    output = run("read", config=config(URL, queries=[VISITS]), catalog=configured("gone", "visits"))
    assert (output.status, output.stream_status("gone")) == (1, "INCOMPLETE")
    assert output.stream_status("visits") == "COMPLETE"
    assert rows(output) == due(clickhouse, 7, 8)
    assert output.errors[0].startswith("The catalog names streams that do not exist: gone. ")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "persons"}, "The query `persons` has the name of a built-in stream"),
        ({"name": "Visits"}, "Entry 1 of `queries` has no valid `name`"),
        ({"query": "DELETE FROM visits"}, "The query `visits` is not a SELECT."),
        ({"query": "SELECT * FROM visits LIMIT 5"}, "The query `visits` has a LIMIT of its own"),
        ({"query": "SELECT * FROM visits OFFSET 5"}, "The query `visits` has an OFFSET of its own"),
        ({"query": "SELECT 1; SELECT 2"}, "The query `visits` has more than one statement"),
        ({"primary_key": ["key"]}, "The query has no column `key` in its result, although `primary_key` names it"),
        ({"cursor_field": "when"}, "The query has no column `when` in its result, although `cursor_field` names it"),
        ({"query": "SELECT toFloat64(n) AS id, at FROM visits"}, "cannot be paged by the column `id` of `primary_key`"),
    ],
)
def test_bad_input_is_one_sentence_at_check(posthog: PostHog, changes: dict[str, Any], sentence: str) -> None:
    status, message = run("check", config=config(URL, queries=[{**VISITS, **changes}])).connection
    assert status == "FAILED"
    assert sentence in message


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("n, at AS plan, n AS Plan", "The query has the columns `plan` and `Plan`, which differ only in case"),
        ("n, at AS ID", "The query has the columns `id` and `ID`"),
        ("n, n AS Project_ID", "The query has the columns `project_id` and `Project_ID`"),
        ("n AS _airbyte_n", "The query has a column `_airbyte_n`, but names that begin with _airbyte"),
    ],
)
def test_columns_that_a_destination_would_merge_are_refused_at_check_discover_and_read(
    posthog: PostHog, columns: str, sentence: str
) -> None:
    query = {**VISITS, "query": f"SELECT id, at, {columns} FROM visits"}
    given = config(URL, queries=[query])
    assert sentence in run("check", config=given).connection[1]
    assert sentence in run("discover", config=given).errors[0]
    output = read(query)
    assert sentence in output.errors[0]
    assert not output.records("visits")


def test_integers_of_more_than_64_bits_are_exact_and_declared_as_numbers_or_strings(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    long = {"u": 2**64 - 1, "i": -(2**127), "w": 2**256 - 1}
    types = {"n": "Int64", "u": "UInt64", "i": "Int128", "w": "UInt256", "many": "Array(UInt64)"}
    for project in (7, 8):
        clickhouse.table(project, "t", types, [[1, *map(str, long.values()), [long["u"]]]])
    query = {"name": "t", "query": "SELECT * FROM t", "primary_key": ["n"]}
    (catalog,) = run("discover", config=config(URL, queries=[query])).of("CATALOG")
    properties = catalog["streams"][-1]["json_schema"]["properties"]
    number = {"type": ["null", "number", "string"]}
    assert [properties[name] for name in (*long, "n")] == [number, number, number, {"type": ["null", "integer"]}]
    assert properties["many"]["items"] == number
    rows = sorted(read(query).records("t"), key=lambda row: int(row["project_id"]))  # in whatever order they came
    assert rows == [{"n": 1, **long, "many": [long["u"]], "project_id": id} for id in (7, 8)]


# --- keys that move, and keys that cannot be seen


@pytest.mark.parametrize(
    "key", ["rand()", "generateUUIDv4()", "row_number() OVER (ORDER BY rand())", "rowNumberInAllBlocks() + rand()"]
)
def test_a_key_that_is_computed_anew_with_each_question_is_refused(posthog: PostHog, key: str) -> None:
    query = {"name": "t", "query": f"SELECT {key} AS key, n FROM visits", "primary_key": ["key"]}
    output = read(query)
    assert (output.status, output.records("t")) == (1, [])
    assert "The query cannot be paged by `key`: when the same page was requested twice" in output.errors[0]


def test_a_cursor_that_moves_with_each_question_is_refused(posthog: PostHog) -> None:
    query = {**VISITS, "query": "SELECT id, n, now64(6) AS at FROM visits"}
    output = read(query, incremental=True)
    assert (output.status, output.records("visits")) == (1, [])
    assert "The query cannot be paged by `at`, `id`: when the same page was requested twice" in output.errors[0]


def test_a_cursor_that_moves_is_read_whole_where_a_page_holds_all(clickhouse: ClickHouse) -> None:
    clickhouse.table(7, "visits", COLUMNS, visits(*range(50)))
    query = {**VISITS, "query": "SELECT id, n, now64(6) AS at FROM visits"}
    with answers_from(PostHog(account_with({7: []}), clickhouse=clickhouse)):
        for _ in range(2):
            output = read(query, incremental=True)
            assert sorted(row["n"] for row in output.records("visits")) == list(range(50))


def test_a_column_that_holds_the_present_beside_a_key_that_stays_is_allowed(posthog: PostHog) -> None:
    query = {
        "name": "t",
        "query": "SELECT n, id, now64(6) AS loaded_at, rand() AS chance FROM visits",
        "primary_key": ["n"],
    }
    output = read(query)
    assert output.errors == []
    assert {row["n"] for row in output.records("t")} == {*range(130)}


def test_text_with_the_sign_of_broken_bytes_is_read_and_broken_bytes_are_refused(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    texts = ["\ufffd", "a\ufffd", *(f"\ufffd{number}" for number in range(60)), "z"]
    clickhouse.table(7, "t", {"id": "String", "bytes": "String"}, [[text, text] for text in texts])
    clickhouse.table(8, "t", {"id": "String", "bytes": "String"}, [["\ufffd", "ff"], ["b", "fe41"]])
    query = {"name": "t", "query": "SELECT id FROM t", "primary_key": ["id"]}
    output = read(query)
    assert output.errors == []
    expected = [(7, text) for text in texts] + [(8, "\ufffd"), (8, "b")]
    assert sorted((row["project_id"], row["id"]) for row in output.records("t")) == sorted(expected)
    broken = read({**query, "query": "SELECT unhex(bytes) AS id FROM t"}, project_ids=[8])
    assert "shows bytes that are not valid UTF-8" in broken.errors[0]
    assert not broken.records("t")


@pytest.mark.parametrize(
    "fault",
    [too_slow(), server_error(), throttled(2202), rewrite(lambda body: {**body, "results": []}), {"kind": "reset"}],
    ids=["504", "500", "429", "no row", "reset"],
)
def test_a_count_of_rows_without_a_cursor_is_worth_no_failure(
    posthog: PostHog, clickhouse: ClickHouse, fault: dict[str, Any], waits: list[float]
) -> None:
    def counts(seen: Seen) -> bool:
        return seen.stream == "query" and "count()" in seen.body["query"]["query"]

    posthog.faults.add(Fault(when=counts, times=None, **fault))
    output = read(VISITS, incremental=True)
    assert (output.status, output.errors) == (0, [])
    assert rows(output) == due(clickhouse, 7, 8, where="at IS NOT NULL")
    assert not any("(NULL)" in line for line in output.logs)
    if fault.get("kind") != "reset":
        assert not waits


def test_check_succeeds_with_good_queries(posthog: PostHog) -> None:
    assert run("check", config=config(URL, queries=[VISITS])).connection == ("SUCCEEDED", "")


# --- the same limits, waiting and access as for events


def test_three_queries_of_a_project_run_at_once_over_all_streams_and_events(clickhouse: ClickHouse) -> None:
    names = [f"visits_{number}" for number in range(5)]
    clickhouse.table(7, "visits", COLUMNS, visits(*range(60)))
    made = account_with({7: [event(f"2026-01-{day:02d}T00:00:00Z") for day in range(1, 29)]})
    posthog = PostHog(made, clickhouse=clickhouse, query_cap=10, page_delay=0.01)
    with answers_from(posthog):
        queries = [{**VISITS, "name": name} for name in names]
        given = config(URL, queries=queries, events_api="query", num_workers=20)
        output = run("read", config=given, catalog=configured("events", *names))
    assert output.errors == []
    assert [len(output.records(name)) for name in [*names, "events"]] == [60] * 5 + [28]
    assert posthog.max_queries_at_once == {7: 3}


def test_a_crowd_of_queries_is_waited_for(posthog: PostHog, clickhouse: ClickHouse, waits: list[float]) -> None:
    posthog.faults.add(Fault(stream="query", times=3, **too_many_queries()))
    assert rows(read(VISITS)) == due(clickhouse, 7, 8)
    assert len(waits) == 3


def test_a_page_that_is_too_much_for_posthog_is_asked_for_in_smaller_ones(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    posthog.faults.add(Fault(stream="query", project_id=8, times=2, **out_of_memory()))
    assert rows(read(VISITS)) == due(clickhouse, 7, 8)
    limits = {seen.body["query"]["query"].split()[-1] for seen in posthog.requests if seen.project_id == 8}
    assert {"2000", "1000"} <= limits


def test_a_smaller_page_that_is_full_is_not_the_last(clickhouse: ClickHouse) -> None:
    clickhouse.table(8, "visits", COLUMNS, visits(*range(1100)))
    posthog = PostHog(account_with({8: []}), clickhouse=clickhouse)
    posthog.faults.add(Fault(stream="query", times=2, **out_of_memory()))
    with answers_from(posthog):
        assert rows(read(VISITS)) == due(clickhouse, 8)


@pytest.mark.parametrize("fault", [too_slow(), estimated_too_slow(), out_of_memory()], ids=["504", "512", "513"])
def test_a_query_that_is_always_too_slow_fails_with_advice(
    posthog: PostHog, clickhouse: ClickHouse, fault: dict[str, Any]
) -> None:
    posthog.faults.add(Fault(stream="query", project_id=8, times=None, **fault))
    output = read(VISITS)
    assert "Stream visits, project 8: no usable answer in 6 tries" in output.errors[0]
    assert "PostHog is too slow for the query: make it read less" in output.errors[0]
    assert rows(output) == due(clickhouse, 7)


def test_a_project_that_refuses_access_fails_and_the_others_are_read(posthog: PostHog, clickhouse: ClickHouse) -> None:
    posthog.faults.add(Fault(stream="query", project_id=7, times=None, **key_not_for_project(7)))
    output = read(VISITS)
    assert "Stream visits, project 7: PostHog refuses access" in output.errors[0]
    assert rows(output) == due(clickhouse, 8)


def test_a_key_without_the_scope_is_refused_in_a_sentence(posthog: PostHog) -> None:
    posthog.faults.add(Fault(stream="query", times=None, **missing_scope("query:read")))
    status, message = run("check", config=config(URL, queries=[VISITS])).connection
    assert status == "FAILED"
    assert "Stream visits, project 7: PostHog does not allow the API key to read this" in message


def test_a_server_without_queries_is_named(posthog: PostHog) -> None:
    posthog.without_query = True
    assert "This PostHog server has no query API at" in read(VISITS).errors[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda body: {**body, "types": body["types"][:-1]}, "does not say the type of each of its columns"),
        (lambda body: {**body, "types": None}, "lacks `columns`, `types` or `results`"),
        (lambda body: {**body, "results": [[1]]}, "does not have one value per column"),
        (lambda body: {**body, "error": "a fault"}, "PostHog answers with an error"),
        (lambda body: {**body, "is_cached": True}, "it is an earlier answer (`is_cached`)"),
        (lambda body: {**body, "results": [], "hasMore": True}, "an empty page says that there is more"),
        (lambda body: {**body, "limit": 0}, "its `limit` (0) is not a number of rows"),
        (lambda body: {**body, "columns": ["id", "at", "at"]}, "two columns of its result are named `at`"),
        (lambda body: {**body, "results": body["results"][::-1]}, "not in the requested order"),
    ],
)
def test_an_answer_that_cannot_be_right_fails_the_project(posthog: PostHog, change: Any, sentence: str) -> None:
    posthog.faults.add(Fault(stream="query", times=None, **rewrite(change)))
    output = read(VISITS)
    assert output.status == 1
    assert sentence in output.errors[0]
    assert not output.records("visits")


@pytest.mark.parametrize("says", [{"hasMore": True}, {"limit": 7}, {"limit": 7, "hasMore": False}], ids=str)
def test_a_page_that_is_shorter_than_asked_for_is_not_the_last_where_it_says_so(
    posthog: PostHog, clickhouse: ClickHouse, says: dict[str, Any]
) -> None:
    """It has seven rows, where more were asked for."""

    def cut(body: Any) -> Any:
        return {**body, "results": body["results"][:7], **(says if len(body["results"]) > 7 else {})}

    posthog.faults.add(Fault(stream="query", times=None, **rewrite(cut)))
    output = read(VISITS)
    assert output.errors == []
    assert rows(output) == due(clickhouse, 7, 8)


def test_a_project_that_is_gone_is_skipped(posthog: PostHog, clickhouse: ClickHouse) -> None:
    del posthog.account.projects[8]
    output = read(VISITS, project_ids=[7])
    assert rows(output) == due(clickhouse, 7)
