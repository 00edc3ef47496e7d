"""Queries of the user's own as streams: read from a real ClickHouse, through the public entry point."""

import json
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from integration_tests.clickhouse import ClickHouse
from integration_tests.connector import Output, catalog, config, run
from integration_tests.in_process import SOURCE, URL, answers_from
from integration_tests.posthog_server import (
    Fault,
    PostHog,
    account_with,
    estimated_too_slow,
    event,
    key_not_for_project,
    missing_scope,
    out_of_memory,
    rewrite,
    too_many_queries,
    too_slow,
)

INSTANT = "DateTime64(6, 'UTC')"
VISITS = {"name": "visits", "query": "SELECT * FROM visits;", "primary_key": ["id"], "cursor_field": "at"}
COLUMNS = {"id": "UUID", "at": f"Nullable({INSTANT})", "n": "Int64"}
Row = tuple[Any, ...]


def uuid(number: int) -> str:
    """Unlike its number, its order is ClickHouse's own."""
    return f"{number * 7919 % 1009:08x}-0000-4000-8000-{number:012x}"


def instant(number: int) -> str:
    fraction = f".{number % 5:06d}" if number % 5 else ""
    return f"2026-01-{1 + number // 5 % 28:02d}T00:00:00{fraction}Z"


def visits(*numbers: int) -> list[list[Any]]:
    return [[uuid(number), instant(number), number] for number in numbers]


@pytest.fixture
def posthog(clickhouse: ClickHouse) -> Iterator[PostHog]:
    """Projects 7 and 8 with a table of visits each, and answers of 20 rows at the most."""
    clickhouse.table(7, "visits", COLUMNS, visits(*range(130)))
    clickhouse.table(8, "visits", COLUMNS, visits(*range(0, 80, 2)))
    one = PostHog(account_with({7: [], 8: []}), clickhouse=clickhouse, query_cap=20)
    with answers_from(one):
        yield one


def configured(*streams: str, incremental: bool = False) -> dict[str, Any]:
    made = catalog(*streams)
    for one in made["streams"]:
        one["sync_mode"] = "incremental" if incremental else "full_refresh"
    return made


def read(*queries: dict[str, Any], incremental: bool = False, state: Any = None, **options: Any) -> Output:
    streams = [str(query["name"]) for query in queries]
    return run(
        "read",
        config=config(URL, queries=list(queries), **options),
        catalog=configured(*streams, incremental=incremental),
        state=state,
    )


def rows(output: Output, stream: str = "visits") -> Counter[Row]:
    return Counter(as_tuple(row) for row in output.records(stream))


def as_tuple(row: dict[str, Any]) -> Row:
    return tuple(row.get(column) for column in (*COLUMNS, "project_id"))


def messages(given: dict[str, Any], wanted: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    """Of a sync without a state, one by one."""
    for message in SOURCE.read(None, given, ConfiguredAirbyteCatalogSerializer.load(wanted), []):
        yield json.loads(AirbyteEntrypoint.airbyte_message_to_string(message))


def due(clickhouse: ClickHouse, *projects: int, where: str = "1") -> Counter[Row]:
    """All visits as they are in the table, with their project at the end."""
    found: Counter[Row] = Counter()
    for project in projects:
        table = clickhouse.get(project, "visits")
        assert table
        answer = clickhouse.select(f"SELECT * FROM {table.name} WHERE {where}", {})
        found.update((row[0], shown(row[1]), *row[2:], project) for row in answer.rows)
    return found


def shown(at: str | None) -> str | None:
    return at.replace(".000000Z", "Z") if at else at


def last_state(output: Output) -> dict[str, Any]:
    (state,) = output.state
    assert state["stream"]["stream_descriptor"]["name"] == "visits"
    return dict(state["stream"]["stream_state"])


# --- full refresh


def test_a_query_is_read_whole_in_every_project(posthog: PostHog, clickhouse: ClickHouse) -> None:
    output = read(VISITS)
    assert (output.status, output.errors) == (0, [])
    assert rows(output) == due(clickhouse, 7, 8)
    asked = [seen.body for seen in posthog.requests if seen.stream == "query"]
    assert {body["refresh"] for body in asked} == {"force_blocking"}
    assert {body["query"]["modifiers"]["convertToProjectTimezone"] for body in asked} == {False}
    assert not any("OFFSET" in body["query"]["query"] for body in asked)


def test_a_full_refresh_reads_everything_whatever_the_state(posthog: PostHog, clickhouse: ClickHouse) -> None:
    state = read(VISITS, incremental=True).state
    assert rows(read(VISITS, state=state)) == due(clickhouse, 7, 8)


def test_instants_are_in_utc_whatever_the_time_zone_of_the_project(clickhouse: ClickHouse) -> None:
    made = account_with({7: []})
    made.projects[7].settings["timezone"] = "America/New_York"
    clickhouse.table(7, "visits", COLUMNS, visits(*range(100)))
    with answers_from(PostHog(made, clickhouse=clickhouse, query_cap=20)):
        first = read(VISITS, incremental=True)
        assert rows(first) == due(clickhouse, 7)
        second = read(VISITS, incremental=True, state=first.state)
    assert rows(second) == due(clickhouse, 7, where="n = 99")


ODD = ["", "a", "B", "é", "🦔", "'", "\\", "{after_0}", "`", "\n", "%", "a\x00b"]
TYPES: dict[str, Callable[[random.Random], Any]] = {
    "Int8": lambda rng: rng.randrange(-128, 128),
    "UInt64": lambda rng: rng.choice([0, 2**63 - 1, 2**63, 2**64 - 1, rng.randrange(99)]),
    "Int64": lambda rng: rng.choice([-(2**63), 2**63 - 1, rng.randrange(-9, 9)]),
    "UUID": lambda rng: f"{rng.randrange(4):08x}-0000-4000-8000-{rng.randrange(9):012x}",
    "String": lambda rng: rng.choice(ODD) * rng.randrange(3),
    "Date": lambda rng: f"2026-0{1 + rng.randrange(9)}-0{1 + rng.randrange(9)}",
    "Date32": lambda rng: f"19{60 + rng.randrange(30)}-01-0{1 + rng.randrange(9)}",
    "DateTime('UTC')": lambda rng: f"2026-01-0{1 + rng.randrange(9)}T03:04:05Z",
    "DateTime64(3, 'UTC')": lambda rng: f"2026-01-01T00:00:00.{rng.choice(['000', '001', '999', '120'])}Z",
    INSTANT: lambda rng: f"20{10 + rng.randrange(30)}-01-01T00:00:00.{rng.choice(['000000', '000001', '999999'])}Z",
    "Bool": lambda rng: rng.random() < 0.5,
    "Enum8('b' = 1, 'a' = 2, 'c' = 3)": lambda rng: rng.choice("abc"),
    "LowCardinality(String)": lambda rng: rng.choice("abc"),
    "LowCardinality(Nullable(String))": lambda rng: rng.choice("abc"),
    "Nullable(Int32)": lambda rng: rng.randrange(-5, 5),
}


@pytest.mark.parametrize("share", range(2))
def test_every_row_of_random_tables_comes_once_in_full_and_incremental_syncs(
    share: int, clickhouse: ClickHouse
) -> None:
    for seed in range(share, 24, 2):
        rng = random.Random(seed)
        types = {column: rng.choice(list(TYPES)) for column in "abcd"[: rng.randint(1, 4)]}
        made = {tuple(TYPES[type_](rng) for type_ in types.values()) for _ in range(rng.randrange(70))}
        numbered = [[*row, place] for place, row in enumerate(made)]
        clickhouse.table(7, "t", {**types, "number": "Int64"}, numbered)
        cursor = rng.choice([*types, "number"])
        query = {"name": "t", "query": "SELECT * FROM t", "primary_key": list(types), "cursor_field": cursor}
        posthog = PostHog(account_with({7: []}), clickhouse=clickhouse, query_cap=rng.choice([2, 3, 10, 50]))
        with answers_from(posthog):
            for incremental in (False, True):
                if incremental and posthog.query_cap < 50:
                    posthog.query_cap = 10  # more than there are ties of most cursors
                output = read(query, incremental=incremental)
                expected = Counter(range(len(made)))
                assert output.errors == [], (seed, types)
                assert Counter(row["number"] for row in output.records("t")) == expected, (seed, types, incremental)


@pytest.mark.parametrize("incremental", [False, True], ids=["full", "incremental"])
def test_rows_that_stay_are_not_lost_while_others_come_and_go_between_pages(
    posthog: PostHog, clickhouse: ClickHouse, incremental: bool
) -> None:
    rng = random.Random(5)
    del posthog.account.projects[8]
    numbers = set(range(130))
    staying = set(rng.sample(sorted(numbers), 90))

    def change(body: Any) -> Any:
        numbers.difference_update(rng.sample(sorted(numbers - staying), min(3, len(numbers - staying))))
        numbers.update(rng.randrange(200, 900) for _ in range(3))
        clickhouse.table(7, "visits", COLUMNS, visits(*numbers))
        return body

    posthog.faults.add(Fault(stream="query", times=None, **rewrite(change)))
    output = read(VISITS, incremental=incremental)
    times = Counter(row["n"] for row in output.records("visits"))
    assert output.errors == []
    assert {number for number in staying if times[number] != 1} == set()
    assert max(times.values()) == 1


# --- incremental


def test_an_incremental_sync_reads_on_from_the_last_value_with_its_ties(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    first = read(VISITS, incremental=True)
    assert rows(first) == due(clickhouse, 7, 8)
    assert last_state(first) == {"7": {"at": instant(129)}, "8": {"at": instant(78)}}
    tied = [[uuid(1000), instant(129), 1000], *visits(135, 136), [uuid(1001), instant(1), 1001]]
    clickhouse.table(7, "visits", COLUMNS, [*visits(*range(130)), *tied])
    second = read(VISITS, incremental=True, state=first.state)
    assert sorted(row["n"] for row in second.records("visits")) == [78, 129, 135, 136, 1000]
    assert last_state(second) == {"7": {"at": instant(136)}, "8": {"at": instant(78)}}


def test_no_state_claims_a_row_that_was_not_emitted_before_it(posthog: PostHog, clickhouse: ClickHouse) -> None:
    output = read(VISITS, incremental=True)
    emitted: set[tuple[int, int]] = set()
    states = 0
    for message in output.messages:
        if message["type"] == "RECORD":
            data = message["record"]["data"]
            emitted.add((data["project_id"], data["n"]))
        elif message["type"] == "STATE":
            states += 1
            for project, entry in message["state"]["stream"]["stream_state"].items():
                covered = due(clickhouse, int(project), where=f"at <= parseDateTime64BestEffort('{entry['at']}', 6)")
                # Those at the last value itself may still come.
                assert {(int(project), row[2]) for row in covered if row[1] != entry["at"]} <= emitted
    assert states > 5


@pytest.mark.parametrize("stop", [1, 15, 21, 60, 99, 150])
def test_a_sync_that_is_killed_is_gone_on_with_from_its_last_state(
    posthog: PostHog, clickhouse: ClickHouse, stop: int
) -> None:
    """Killed after so many records: the next sync reads the rest, and no more than a page again in each project."""
    state: list[Any] = []
    got: Counter[Row] = Counter()
    killed = messages(config(URL, queries=[VISITS]), configured("visits", incremental=True))
    for made in killed:
        if made["type"] == "STATE":
            state = [{"type": "STREAM", "stream": made["state"]["stream"]}]
        elif made["type"] == "RECORD":
            got[as_tuple(made["record"]["data"])] += 1
            if sum(got.values()) == stop:
                break
    killed.close()
    rest = rows(read(VISITS, incremental=True, state=state))
    assert set(got + rest) == set(due(clickhouse, 7, 8))
    assert sum((got & rest).values()) <= 2 * 21 + 5


def test_rows_without_a_cursor_are_named_by_an_incremental_sync_and_read_by_a_full_refresh(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    clickhouse.table(8, "visits", COLUMNS, [*visits(1, 2), [uuid(3), None, 3], [uuid(4), None, 4]])
    assert rows(read(VISITS)) == due(clickhouse, 7, 8)
    output = read(VISITS, incremental=True)
    assert rows(output) == due(clickhouse, 7, 8, where="at IS NOT NULL")
    assert [line for line in output.logs if "(NULL)" in line] == [
        "Stream visits, project 8: 2 rows have no at (NULL) and are skipped by an incremental sync. "
        "A full refresh reads them."
    ]


@pytest.mark.parametrize("incremental", [False, True], ids=["full", "incremental"])
def test_a_row_without_a_key_fails_the_project_and_the_others_are_read(
    posthog: PostHog, clickhouse: ClickHouse, incremental: bool
) -> None:
    columns = {**COLUMNS, "id": "Nullable(UUID)"}
    clickhouse.table(8, "visits", columns, [*visits(*range(50)), [None, instant(30), 0]])
    output = read(VISITS, incremental=incremental)
    assert output.status == 1
    assert "Stream visits, project 8: The query cannot be read whole: `id` is NULL" in output.errors[0]
    assert rows(output) == due(clickhouse, 7)


def test_a_key_that_is_not_unique_loses_no_row_and_is_warned_of(posthog: PostHog, clickhouse: ClickHouse) -> None:
    clickhouse.table(8, "visits", COLUMNS, [[uuid(number // 4), instant(1), number] for number in range(90)])
    output = read(VISITS)
    assert rows(output) == due(clickhouse, 7, 8)
    (warning,) = [line for line in output.logs if "same primary_key" in line]
    assert warning.startswith("Stream visits, project 8: different rows have the same primary_key (id)")


def test_more_rows_of_one_key_than_a_page_holds_fail(posthog: PostHog, clickhouse: ClickHouse) -> None:
    clickhouse.table(8, "visits", COLUMNS, [[uuid(1), instant(1), number] for number in range(90)])
    output = read(VISITS)
    assert "project 8: The query cannot be read whole: there are 20 rows and more like the row with" in output.errors[0]
    assert rows(output) >= due(clickhouse, 7)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("2026-01-01T00:00:00Z", "The state of project 7 in stream visits is not a valid one"),
        ({"at": "yesterday"}, "'yesterday' in the state is not a value that the column `at` can be read by"),
        ({"at": 7}, "7 in the state is not a value"),
    ],
    ids=["no object", "no instant", "a number"],
)
def test_a_state_that_is_not_valid_is_named(posthog: PostHog, entry: Any, sentence: str) -> None:
    stream = {"stream_descriptor": {"name": "visits"}, "stream_state": {"7": entry}}
    output = read(VISITS, incremental=True, state=[{"type": "STREAM", "stream": stream}])
    assert output.status == 1
    assert sentence in output.errors[0]


def test_a_state_of_another_cursor_field_is_none(posthog: PostHog, clickhouse: ClickHouse) -> None:
    state = read(VISITS, incremental=True).state
    output = read({**VISITS, "cursor_field": "n"}, incremental=True, state=state)
    assert rows(output) == due(clickhouse, 7, 8)
    assert last_state(output) == {"7": {"n": 129}, "8": {"n": 78}}


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
        "id": {"type": ["null", "integer"]},
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


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "persons"}, "The query `persons` has the name of a stream that the connector has already"),
        ({"name": "Visits"}, "Number 1 of `queries` has no valid `name`"),
        ({"query": "DELETE FROM visits"}, "The query `visits` is not a SELECT."),
        ({"query": "SELECT * FROM visits LIMIT 5"}, "The query `visits` has a LIMIT of its own"),
        ({"query": "SELECT * FROM visits OFFSET 5"}, "The query `visits` has an OFFSET of its own"),
        ({"query": "SELECT 1; SELECT 2"}, "The query `visits` has more than one statement"),
        ({"primary_key": ["key"]}, "The query has no column `key` in its result, which `primary_key` names"),
        ({"cursor_field": "when"}, "The query has no column `when` in its result, which `cursor_field` names"),
        ({"query": "SELECT toFloat64(n) AS id, at FROM visits"}, "cannot be read by the column `id` of `primary_key`"),
    ],
)
def test_bad_input_is_one_sentence_at_check(posthog: PostHog, changes: dict[str, Any], sentence: str) -> None:
    status, message = run("check", config=config(URL, queries=[{**VISITS, **changes}])).connection
    assert status == "FAILED"
    assert sentence in message


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
    assert {"2500", "1000"} <= limits


@pytest.mark.parametrize("fault", [too_slow(), estimated_too_slow(), out_of_memory()], ids=["504", "512", "513"])
def test_a_query_that_is_always_too_slow_fails_with_advice(
    posthog: PostHog, clickhouse: ClickHouse, fault: dict[str, Any]
) -> None:
    posthog.faults.add(Fault(stream="query", project_id=8, times=None, **fault))
    output = read(VISITS)
    assert "Stream visits, project 8: no usable answer in 6 tries" in output.errors[0]
    assert "PostHog is too slow for the query: let it read less" in output.errors[0]
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
    assert "Stream visits, project 7: PostHog refuses to read this with the API key" in message


def test_a_server_without_queries_is_named(posthog: PostHog) -> None:
    posthog.without_query = True
    assert "This PostHog cannot be asked queries" in read(VISITS).errors[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda body: {**body, "types": body["types"][:-1]}, "does not say the type of each of its columns"),
        (lambda body: {**body, "types": None}, "no `columns`, no `types` or no `results`"),
        (lambda body: {**body, "results": [[1]]}, "has not one value for each column"),
        (lambda body: {**body, "error": "a fault"}, "PostHog answers with an error"),
        (lambda body: {**body, "columns": ["id", "at", "at"]}, "two columns of its result have the name `at`"),
        (lambda body: {**body, "results": body["results"][::-1]}, "not in the order that was asked for"),
    ],
)
def test_an_answer_that_cannot_be_right_fails_the_project(posthog: PostHog, change: Any, sentence: str) -> None:
    posthog.faults.add(Fault(stream="query", times=None, **rewrite(change)))
    output = read(VISITS)
    assert output.status == 1
    assert sentence in output.errors[0]
    assert not output.records("visits")


def test_a_project_that_is_gone_is_skipped(posthog: PostHog, clickhouse: ClickHouse) -> None:
    del posthog.account.projects[8]
    output = read(VISITS, project_ids=[7])
    assert rows(output) == due(clickhouse, 7)
