"""Queries of the user's own as streams: every row is read, from a real ClickHouse, in full and incremental syncs."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integration_tests.harness.connector import config, run
from integration_tests.harness.in_process import URL, answers_from, now_is
from integration_tests.harness.visits import (
    COLUMNS,
    INSTANT,
    VISITS,
    Row,
    as_tuple,
    configured,
    due,
    instant,
    last_state,
    messages,
    posthog_with_visits,
    read,
    rows,
    uuid,
    visits,
)
from posthog_server import Fault, PostHog, account_with, microseconds, rewrite
from posthog_server.clickhouse import ClickHouse
from tools.proof import LONG


@pytest.fixture
def posthog(clickhouse: ClickHouse) -> Iterator[PostHog]:
    one = posthog_with_visits(clickhouse)
    with answers_from(one):
        yield one


# --- full refresh


def test_a_query_is_read_whole_in_every_project(posthog: PostHog, clickhouse: ClickHouse) -> None:
    output = read(VISITS)
    assert (output.status, output.errors) == (0, [])
    assert rows(output) == due(clickhouse, 7, 8)
    asked = [seen.body for seen in posthog.requests if seen.stream == "query"]
    assert {body["refresh"] for body in asked} == {"force_blocking"}
    assert {body["query"]["modifiers"]["convertToProjectTimezone"] for body in asked} == {False}
    assert not any("OFFSET" in body["query"]["query"] for body in asked)
    # The columns and the longest answer are asked for once, and not in each project.
    assert len([body for body in asked if "ORDER BY" not in body["query"]["query"]]) == 2


def test_each_query_has_columns_of_its_own(posthog: PostHog) -> None:
    other = {"name": "others", "query": "SELECT 'x' AS other", "primary_key": ["other"]}
    output = run("discover", config=config(URL, queries=[VISITS, other]))
    (found,) = output.of("CATALOG")
    columns = {one["name"]: set(one["json_schema"]["properties"]) for one in found["streams"]}
    assert columns["others"] == {"other", "project_id"}
    assert columns["visits"] == {*COLUMNS, "project_id"}


def test_columns_may_have_any_name(posthog: PostHog) -> None:
    del posthog.account.projects[8]
    posthog.query_cap = 100
    names = ["a'b", 'a"b', "{{ config['api_key'] }}", "1", "null", "a: b"]
    columns = ", ".join(f"n AS `{name}`" for name in names)
    odd = {"name": "odd", "query": f"SELECT {columns} FROM visits", "primary_key": names, "cursor_field": names[2]}
    output = read(odd, incremental=True)
    assert [tuple(row[name] for name in names) for row in output.records("odd")] == [(n,) * 6 for n in range(130)]
    assert output.state[0]["stream"]["stream_state"] == {"7": {names[2]: 129}}
    found = run("discover", config=config(URL, queries=[odd])).of("CATALOG")
    assert next(iter(found))["streams"][-1]["source_defined_primary_key"] == [
        ["project_id"],
        *([name] for name in names),
    ]


def test_after_a_small_first_page_pages_are_of_ten_thousand_rows(posthog: PostHog) -> None:
    del posthog.account.projects[8]
    posthog.query_cap = 50_000
    output = read({"name": "n", "query": "SELECT number AS n FROM numbers(4500)", "primary_key": ["n"]})
    assert [row["n"] for row in output.records("n")] == list(range(4500))
    asked = [seen.body["query"]["query"] for seen in posthog.requests if seen.stream == "query"]
    assert [int(hogql.split(" LIMIT ")[1]) for hogql in asked[-3:]] == [2000, 10_000, 10_000]
    assert "numbers(10000)" in asked[-1]  # how many rows this PostHog gives at the most


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
    for seed in range(share, 16 if LONG else 6, 2):
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


@pytest.mark.parametrize(
    ("type_", "ahead", "later", "newer"),
    [(INSTANT, "2099-01-01T00:00:00Z", "2026-06-01T00:00:00Z", 20), ("Date", "2099-01-01", "2026-06-01", 20)],
    ids=["instant", "date"],
)
def test_a_row_that_is_dated_ahead_does_not_hide_those_that_come_before_its_time(
    clickhouse: ClickHouse, type_: str, ahead: str, later: str, newer: int
) -> None:
    old = [[number, later[:8].replace("-06-", "-05-") + f"{1 + number:02d}" + later[10:]] for number in range(10)]
    query = {"name": "t", "query": "SELECT * FROM t", "primary_key": ["n"], "cursor_field": "at"}
    with answers_from(PostHog(account_with({7: []}), clickhouse=clickhouse)), now_is(microseconds("2026-05-20T00:00Z")):
        clickhouse.table(7, "t", {"n": "Int64", "at": type_}, [*old, [11, ahead]])
        first = read(query, incremental=True)
        clickhouse.table(7, "t", {"n": "Int64", "at": type_}, [*old, [11, ahead], [newer, later]])
        second = read(query, incremental=True, state=first.state)
    assert [row["n"] for row in second.records("t")] == [newer, 11]


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
    assert "Stream visits, project 8: The query cannot be read in full: `id` is NULL" in output.errors[0]
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
    assert (
        "project 8: The query cannot be read in full: at least 20 rows share this key, more than a page holds"
        in output.errors[0]
    )
    assert rows(output) >= due(clickhouse, 7)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("2026-01-01T00:00:00Z", "The state of project 7 in stream visits is not valid"),
        ({"at": "9999-12-31T23:59:59-05:00"}, "The state of project 7 in stream visits is not valid"),
        ({"at": "0001-01-01T00:00:00+05:00"}, "The state of project 7 in stream visits is not valid"),
        ({"at": "yesterday"}, "'yesterday' in the state is not a valid value of the column `at`"),
        ({"at": 7}, "7 in the state is not a valid value"),
    ],
    ids=["no object", "after the last year", "before the first year", "no instant", "a number"],
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
