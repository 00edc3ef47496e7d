"""The embedded PostHog itself: `POST /query/` with a HogQLQuery, run by a real ClickHouse."""

import random
import threading
from typing import Any

import pytest

from integration_tests.harness.asking import PATH, START, UTC, column, identifier, refusal
from posthog_server import (
    DAY,
    SECOND,
    Age,
    EventTable,
    PostHog,
    Project,
    Reply,
    account,
    event,
    make_events,
    make_persons,
)
from posthog_server.clickhouse import ClickHouse
from posthog_server.hogql_query import shown
from posthog_server.hogql_select import literal

INSTANT = "DateTime64(6, 'UTC')"


def hogql(server: PostHog, sql: str, *, refresh: str = "force_blocking", **fields: Any) -> Reply:
    """The answer to `sql`, with instants in UTC unless other modifiers are given; None takes a field away."""
    given = {"kind": "HogQLQuery", "query": sql, "modifiers": UTC, **fields}
    query = {name: value for name, value in given.items() if value is not None}
    return server.post(PATH, {"query": query, "refresh": refresh, "name": "test"})


def rows(reply: Reply) -> list[list[Any]]:
    assert reply.status == 200, reply.body
    results: list[list[Any]] = reply.json()["results"]
    return results


def project(zone: str = "UTC", **fields: Any) -> Project:
    return Project(7, settings={"timezone": zone}, **fields)


@pytest.fixture
def server(clickhouse: ClickHouse) -> PostHog:
    return PostHog(account(project()), clickhouse=clickhouse)


def in_zone(zone: str, clickhouse: ClickHouse) -> PostHog:
    """A project with one row in the table t: its column `at` is 15:00 UTC on the 5th, midnight of the 6th in Tokyo."""
    clickhouse.table(7, "t", {"at": INSTANT, "maybe": f"Nullable({INSTANT})"}, [["2026-10-05T15:00:00Z", None]])
    return PostHog(account(project(zone)), clickhouse=clickhouse)


def numbers(clickhouse: ClickHouse, count: int, name: str = "t") -> None:
    clickhouse.table(7, name, {"n": "UInt32"}, [[n] for n in range(count)])


# --- the answer


def test_rows_are_arrays_and_columns_have_the_types_of_clickhouse(server: PostHog, clickhouse: ClickHouse) -> None:
    columns = {
        "text": "String",
        "id": "UUID",
        "huge": "UInt64",
        "wider": "Int128",
        "real": "Float64",
        "price": "Decimal(10, 2)",
        "yes": "Bool",
        "day": "Date",
        "at": "Nullable(DateTime64(6, 'UTC'))",
        "low": "LowCardinality(String)",
        "list": "Array(Nullable(Int8))",
        "pair": "Tuple(a String, b Int8)",
        "map": "Map(String, DateTime('UTC'))",
    }
    row = ["Zoë 🦔 'a'\n\\", identifier(1), 2**64 - 1, 2**100, 1.5e123, "1.50", True, "2026-10-05"]
    row += ["2026-10-05T10:00:00.12Z", "x", [1, None], ["a", 1], {"k": "2026-10-05T10:00:00Z"}]
    clickhouse.table(7, "t", columns, [row])
    body = hogql(server, "SELECT * FROM t").json()
    row[8] = "2026-10-05T10:00:00.120000Z"
    assert body["results"] == [row]
    assert body["columns"] == list(columns)
    assert body["types"] == [[name, type_] for name, type_ in columns.items()]


def test_what_json_cannot_say_is_null(server: PostHog) -> None:
    assert rows(hogql(server, "SELECT 1 / 0 AS a, -1 / 0 AS b, 0 / 0 AS c, NULL AS d")) == [[None] * 4]


def test_columns_are_named_by_alias_by_the_end_of_a_path_or_as_written(server: PostHog, clickhouse: ClickHouse) -> None:
    clickhouse.table(7, "t", {"properties": "String", "$a": "Int8"}, [['{"plan": "x", "deep": {"b": [1, "é"]}}', 5]])
    sql = "SELECT properties.plan, q.$a, properties['deep'] AS $d, toString($a), b: 1, properties.none FROM t AS q"
    body = hogql(server, sql).json()
    assert body["columns"] == ["plan", "$a", "$d", "toString($a)", "b", "none"]
    assert body["results"] == [["x", 5, '{"b":[1,"é"]}', "5", 1, None]]


def test_a_column_without_a_name_is_lost_by_the_star_of_a_query_around_it_unless_it_is_a_call(
    server: PostHog, clickhouse: ClickHouse
) -> None:
    clickhouse.table(7, "t", {"n": "Int8", "$m": "Int8"}, [[1, 5]])
    inner = "SELECT n, count(), 1, ($m + 1), $m * 2 AS $twice, (n) y, z: n FROM t GROUP BY n, $m"
    alone = hogql(server, inner).json()
    around = hogql(server, f"SELECT * FROM ({inner}) AS q ORDER BY $twice").json()
    assert alone["columns"] == ["n", "count()", "1", "$m + 1", "$twice", "y", "z"]
    assert (around["columns"], around["results"]) == (["n", "count()", "$twice", "y", "z"], [[1, 1, 10, 1, 1]])
    assert column(hogql(server, "SELECT * FROM (SELECT count() FROM t) AS q")) == [1]
    assert refusal(hogql(server, "SELECT * FROM (SELECT n + 1 FROM t) AS q")) == (400, "validation_error")
    old = PostHog(server.account, clickhouse=clickhouse, age=Age.JANUARY_2024)
    assert hogql(old, f"SELECT * FROM ({inner})", modifiers=None).json()["columns"] == ["n", "$twice", "y", "z"]


def test_only_without_a_limit_of_its_own_does_an_answer_say_whether_there_is_more(
    server: PostHog, clickhouse: ClickHouse
) -> None:
    seen = []
    for count in (100, 101):
        numbers(clickhouse, count)
        body = hogql(server, "SELECT n FROM t").json()
        seen.append((len(body["results"]), body["hasMore"], body["limit"]))
    assert seen == [(100, False, 100), (100, True, 100)]
    assert "hasMore" not in hogql(server, "SELECT n FROM t LIMIT 5").json()


# --- limits


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT number FROM numbers(60000)", 100),
        ("SELECT number FROM numbers(60000) -- LIMIT 5", 100),
        ("SELECT number FROM (SELECT number FROM numbers(60000) LIMIT 200) AS q;", 100),
        ("SELECT number FROM numbers(60000) LIMIT 49999", 49_999),
        ("SELECT number FROM numbers(60000) LIMIT 50001", 50_000),
        ("SELECT number FROM numbers(60000) LIMIT {most}", 50_000),
        ("SELECT number FROM (SELECT number FROM numbers(60000) LIMIT 55000) AS q LIMIT 55000", 50_000),
        ("SELECT count() FROM (SELECT number FROM numbers(60000) LIMIT 55000) AS q", 1),
        ("SELECT number FROM numbers(600) UNION ALL (SELECT number FROM numbers(600) LIMIT 150)", 250),
        ("SELECT number FROM numbers(600) LIMIT 1 BY number LIMIT 200", 200),
        ("(SELECT number FROM numbers(600)) -- ; a comment", 100),
    ],
)
def test_a_select_without_limit_gives_100_rows_and_a_greater_one_than_50000_is_clamped(
    server: PostHog, sql: str, expected: int
) -> None:
    assert len(rows(hogql(server, sql, values={"most": 55_000}))) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT n FROM t LIMIT 5 OFFSET 5",
        "SELECT n FROM t LIMIT 5, 5",
        "SELECT n FROM t OFFSET 5",
        "SELECT * FROM (SELECT n FROM t LIMIT 5 OFFSET 0) AS q LIMIT 5",
        "SELECT n FROM t LIMIT 1 OFFSET 1 BY n",
        "WITH w AS (SELECT n FROM t LIMIT 5 OFFSET 1) SELECT n FROM w",
        "SELECT n FROM t UNION ALL SELECT n FROM t LIMIT 1 OFFSET 1",
    ],
)
def test_an_offset_anywhere_is_refused(server: PostHog, clickhouse: ClickHouse, sql: str) -> None:
    numbers(clickhouse, 9)
    answered = hogql(server, sql)
    assert refusal(answered) == (400, "validation_error")
    assert "OFFSET" in answered.json()["detail"]


# --- refusals


@pytest.mark.parametrize(
    ("sql", "detail"),
    [
        ("SELECT 1; SELECT 2", "mismatched input 'SELECT' expecting <EOF>"),
        ("INSERT INTO t VALUES (1)", "mismatched input 'INSERT'"),
        ("", "mismatched input '<EOF>'"),
        ("SELECT n FROM nowhere", "Unknown table `nowhere`."),
        ("SELECT * FROM url('http://127.0.0.1/')", "Unknown table function `url`."),
        ("SELECT missing FROM t", "Unable to resolve field: missing"),
        ("SELECT unheardOf(n) FROM t", "unheardOf"),
        ("SELECT n + 'a' FROM t", "Illegal types"),
        ("SELECT toUUID('a') FROM t", "Cannot parse"),
        ("SELECT {a}, {c} FROM t", "Placeholder {c} is not available in this context. You can use the following: a, b"),
    ],
)
def test_what_the_parser_or_clickhouse_refuses_is_a_400_in_their_words(
    server: PostHog, clickhouse: ClickHouse, sql: str, detail: str
) -> None:
    numbers(clickhouse, 1)
    answered = hogql(server, sql, values={"a": 1, "b": 2})
    assert refusal(answered) == (400, "validation_error")
    assert detail in answered.json()["detail"]


@pytest.mark.parametrize(
    "fields", [{"query": None}, {"query": 5}, {"values": []}, {"limit": 5}, {"modifiers": {"x": 1}}]
)
def test_a_query_that_posthog_does_not_know_is_a_400(server: PostHog, fields: dict[str, Any]) -> None:
    assert refusal(hogql(server, "SELECT 1", **fields)) == (400, "validation_error")


def test_a_query_that_takes_too_long_is_a_504(server: PostHog) -> None:
    server.hogql_seconds = 0.01
    assert hogql(server, "SELECT sum(sipHash64(number)) FROM numbers(30000000)").status == 504


@pytest.mark.parametrize("status", [504, 512, 513])
def test_a_query_that_reads_too_much_is_refused_as_tests_choose(
    server: PostHog, clickhouse: ClickHouse, status: int
) -> None:
    numbers(clickhouse, 10)
    server.most_rows_scanned, server.scan_status = 9, status
    assert hogql(server, "SELECT max(n) FROM t").status == status
    server.most_rows_scanned = 10
    assert rows(hogql(server, "SELECT max(n) FROM t")) == [[9]]


# --- the cache, and three at once


def test_an_answer_may_be_old_unless_a_new_one_is_forced(server: PostHog, clickhouse: ClickHouse) -> None:
    seen = []
    for count, refresh in ((1, "force_blocking"), (2, "blocking"), (2, "force_blocking"), (3, "blocking")):
        numbers(clickhouse, count)
        body = hogql(server, "SELECT count() FROM t", refresh=refresh).json()
        seen.append((body["results"][0][0], body["is_cached"]))
    assert seen == [(1, False), (1, True), (2, False), (2, True)]
    assert rows(hogql(server, "SELECT count() FROM t WHERE {a} = 1", refresh="blocking", values={"a": 1})) == [[3]]
    assert rows(hogql(server, "SELECT count() FROM t WHERE {a} = 1", refresh="blocking", values={"a": 2})) == [[0]]


def test_a_fourth_query_of_a_project_at_once_is_a_429(server: PostHog) -> None:
    server.page_delay, server.fourth_query_wait = 60, 0.1
    first = [threading.Thread(target=hogql, args=(server, f"SELECT {number}")) for number in range(3)]
    for thread in first:
        thread.start()
    while server.max_queries_at_once.get(7, 0) < 3:
        threading.Event().wait(0.001)
    answered = hogql(server, "SELECT 4")
    server.closing.set()
    for thread in first:
        thread.join()
    assert (answered.status, answered.headers.get("Retry-After")) == (429, None)


# --- values


ODD = ["it's", "\\", "\\'", "a\nb\tc\r", "{a}", "%(a)s", "' OR 1=1 --", "Zoë 🦔", "", "`", "\u2028", "NULL", "--"]


@pytest.mark.parametrize("value", [*ODD, 0, -5, 2**63, 1.5, 5e-324, True, None, ["a'", "b"], [1, 2]], ids=repr)
def test_values_are_the_constants_that_they_say(server: PostHog, value: object) -> None:
    [[found, shorter]] = rows(hogql(server, "SELECT {a} AS a, length({b}) AS b", values={"a": value, "b": "\\'"}))
    assert (found, shorter) == (value, 2)


def test_braces_within_a_string_are_no_placeholder(server: PostHog) -> None:
    assert rows(hogql(server, "SELECT '{a}' AS a")) == [["{a}"]]


def test_a_value_that_is_no_constant_is_refused(server: PostHog) -> None:
    assert refusal(hogql(server, "SELECT {a}", values={"a": {"b": 1}})) == (400, "validation_error")


def test_a_literal_keeps_its_type() -> None:
    assert [literal(value) for value in (True, 1, 1.0, "1", None, [True])] == [
        "true",
        "1",
        "1.0",
        "'1'",
        "NULL",
        "[true]",
    ]


# --- instants


@pytest.mark.parametrize(
    ("modifiers", "at", "zone"),
    [(UTC, "2026-10-05T15:00:00Z", "UTC"), (None, "2026-10-06T00:00:00+09:00", "Asia/Tokyo")],
)
def test_instants_are_in_the_projects_zone_unless_the_modifier_says_utc(
    clickhouse: ClickHouse, modifiers: dict[str, bool] | None, at: str, zone: str
) -> None:
    body = hogql(in_zone("Asia/Tokyo", clickhouse), "SELECT at, maybe, [at] AS l FROM t", modifiers=modifiers).json()
    assert body["results"] == [[at, None, [at]]]
    assert body["types"][0] == ["at", f"DateTime64(6, '{zone}')"]


@pytest.mark.parametrize(("modifiers", "day"), [(UTC, "2026-10-05"), (None, "2026-10-06")])
def test_the_day_of_an_instant_is_that_of_the_zone_it_is_shown_in(
    clickhouse: ClickHouse, modifiers: dict[str, bool] | None, day: str
) -> None:
    server = in_zone("Asia/Tokyo", clickhouse)
    assert rows(hogql(server, "SELECT toDate(at) AS day FROM t", modifiers=modifiers)) == [[day]]


@pytest.mark.parametrize(
    ("condition", "modifiers"),
    [
        ("at = toDateTime64('2026-10-06 00:00:00.000000', 6)", UTC),
        ("at = toDateTime64('2026-10-06 00:00:00.000000', 6)", None),
        ("at = toDateTime('2026-10-06 00:00:00')", UTC),
        ("at = '2026-10-06 00:00:00'", None),
        ("at = toDateTime64('2026-10-05T15:00:00.000000', 6, 'UTC')", UTC),
        ("at = toDateTime64('2026-10-05T15:00:00.000000', 6, 'UTC')", None),
        ("at = toDateTime64({at}, 6, 'UTC')", UTC),
    ],
)
def test_a_bare_string_is_read_in_the_projects_zone(
    clickhouse: ClickHouse, condition: str, modifiers: dict[str, bool] | None
) -> None:
    server = in_zone("Asia/Tokyo", clickhouse)
    values = {"at": "2026-10-05T15:00:00.000000"}
    sql = f"SELECT count() FROM t WHERE {condition}"
    assert rows(hogql(server, sql, modifiers=modifiers, values=values)) == [[1]]


def test_an_hour_that_comes_twice_is_told_apart(clickhouse: ClickHouse) -> None:
    instants = ["2026-10-25T00:30:00.000001Z", "2026-10-25T01:30:00Z"]
    clickhouse.table(7, "t", {"at": INSTANT}, [[at] for at in instants])
    server = PostHog(account(project("Europe/Berlin")), clickhouse=clickhouse)
    shown_in_berlin = ["2026-10-25T02:30:00.000001+02:00", "2026-10-25T02:30:00+01:00"]
    assert column(hogql(server, "SELECT at FROM t ORDER BY at", modifiers=None)) == shown_in_berlin
    assert column(hogql(server, "SELECT at FROM t ORDER BY at")) == instants


def test_what_merely_looks_like_an_instant_stays() -> None:
    assert shown("2026-10-05T15:00:00Z", "String", "Asia/Tokyo") == "2026-10-05T15:00:00Z"
    assert shown("2026-10-05T15:00:00.123456789Z", "DateTime64(9)", "Asia/Tokyo") == "2026-10-06T00:00:00.123456+09:00"


# --- order


def test_uuids_are_ordered_by_their_second_half(server: PostHog, clickhouse: ClickHouse) -> None:
    low, high = "ffffffff-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    clickhouse.table(7, "t", {"id": "UUID"}, [[high], [low]])
    assert column(hogql(server, "SELECT id FROM t ORDER BY id")) == [low, high]
    assert column(hogql(server, "SELECT id FROM t ORDER BY toString(id)")) == [high, low]
    assert rows(hogql(server, "SELECT count() FROM t WHERE id > {id}", values={"id": low})) == [[1]]
    assert rows(hogql(server, "SELECT count() FROM t WHERE toString(id) > {id}", values={"id": low})) == [[0]]


def test_a_query_can_name_a_subquery_first(server: PostHog, clickhouse: ClickHouse) -> None:
    numbers(clickhouse, 5)
    sql = "WITH w AS (SELECT n FROM t WHERE n > 2), 1 AS one SELECT n + one AS m FROM w ORDER BY m"
    assert column(hogql(server, sql)) == [4, 5]
    assert column(hogql(server, f"SELECT * FROM ({sql}) WHERE m > 4")) == [5]


def test_a_query_can_be_wrapped_and_paged_by_key(server: PostHog, clickhouse: ClickHouse) -> None:
    ids = [identifier(number) for number in range(25)]
    clickhouse.table(7, "t", {"id": "UUID", "$n": "UInt8"}, [[id, place // 10] for place, id in enumerate(ids)])
    sql = "SELECT * FROM (SELECT id, $n FROM t) AS q WHERE {condition} ORDER BY $n, toString(id) LIMIT 10"
    found: list[str] = []
    values: dict[str, Any] = {}
    condition = "1 = 1"
    while page := rows(hogql(server, sql.replace("{condition}", condition), values=values)):
        found += [row[0] for row in page]
        values, condition = {"n": page[-1][1], "id": page[-1][0]}, "($n, toString(id)) > ({n}, {id})"
    assert found == ids


# --- tables


def test_a_table_of_a_test_belongs_to_its_project_and_can_change(server: PostHog, clickhouse: ClickHouse) -> None:
    server.account.projects[8] = Project(8)
    query = {"query": {"kind": "HogQLQuery", "query": "SELECT count() FROM t"}, "refresh": "force_blocking"}
    paths = [PATH, PATH.replace("7", "8")]
    numbers(clickhouse, 1)
    assert [server.post(path, query).status for path in paths] == [200, 400]
    clickhouse.table(8, "t", {"n": "Int8"}, [[1], [2]])
    assert [rows(server.post(path, query)) for path in paths] == [[[1]], [[2]]]
    numbers(clickhouse, 5)
    assert [rows(server.post(path, query)) for path in paths] == [[[5]], [[2]]]


def test_two_accounts_share_an_engine_but_no_table(server: PostHog, clickhouse: ClickHouse) -> None:
    numbers(clickhouse, 1)
    with ClickHouse(clickhouse.engine) as other:
        numbers(other, 2)
        second = PostHog(account(project()), clickhouse=other)
        sql = "SELECT count() FROM t"
        assert [rows(hogql(one, sql)) for one in (server, second)] == [[[1]], [[2]]]


def test_a_table_of_a_test_stands_for_that_of_the_account(server: PostHog, clickhouse: ClickHouse) -> None:
    server.account.projects[7].add_events([event(START)])
    assert rows(hogql(server, "SELECT count() FROM events")) == [[1]]
    numbers(clickhouse, 5, "events")
    assert rows(hogql(server, "SELECT count(), max(n) FROM events")) == [[5, 4]]


def test_events_are_those_of_the_account_as_of_now(clickhouse: ClickHouse) -> None:
    first = event(
        START,
        identifier(1),
        event="signup",
        distinct_id="ann",
        properties={"plan": "x", "$session_id": "s"},
        elements_chain="a",
        created_at=START + 1,
    )
    server = PostHog(account(project(events=EventTable([first]))), clickhouse=clickhouse)
    sql = "SELECT uuid, event, properties, timestamp, distinct_id, elements_chain, created_at, $session_id FROM events"
    [row] = rows(hogql(server, sql))
    assert row[:3] == [identifier(1), "signup", '{"plan":"x","$session_id":"s"}']
    assert row[3:] == ["2026-10-01T00:00:00Z", "ann", "a", "2026-10-01T00:00:00.000001Z", "s"]
    server.clock = lambda: START / SECOND
    server.account.projects[7].add_events(
        [event(START + 1, unmerged=True), event(START + 2, visible_at=START + DAY), event(START + 3, event="signup")]
    )
    assert rows(hogql(server, "SELECT count(), uniq(uuid) FROM events")) == [[4, 3]]
    [of_one_kind] = rows(
        hogql(
            server,
            "SELECT count() FROM events WHERE event = 'signup' AND timestamp > {at}",
            values={"at": START / SECOND},
        )
    )
    assert of_one_kind == [1]
    server.clock = lambda: (START + DAY) / SECOND
    assert rows(hogql(server, "SELECT count() FROM events")) == [[5]]


def test_the_person_of_an_event_is_joined_where_a_query_names_it(clickhouse: ClickHouse) -> None:
    person = {
        "id": identifier(9),
        "uuid": identifier(9),
        "distinct_ids": ["ann"],
        "properties": {"email": "a@b.c"},
        "is_identified": True,
    }
    events = [event(START, distinct_id="ann"), event(START + 1, distinct_id="nobody")]
    one = project(events=EventTable(events), persons=[{**person, "created_at": "2026-01-01T00:00:00Z"}])
    server = PostHog(account(one), clickhouse=clickhouse)
    sql = "SELECT e.person.properties.email, person.is_identified, person.created_at FROM events e ORDER BY timestamp"
    body = hogql(server, sql).json()
    assert body["columns"] == ["email", "is_identified", "created_at"]
    assert body["results"] == [["a@b.c", 1, "2026-01-01T00:00:00Z"], [None, 0, "1970-01-01T00:00:00Z"]]
    assert rows(hogql(server, "SELECT count() FROM events WHERE person.id = person_id")) == [[2]]
    assert "person.id" not in hogql(server, "SELECT * FROM events").json()["columns"]


RECIPES = {
    "SELECT session_id, distinct_id, $start_timestamp, $end_timestamp FROM sessions": 30,
    "SELECT id, created_at, properties.email FROM persons": 20,
    "SELECT index, key, created_at, updated_at, properties FROM groups": 1,
    "SELECT cohort_id, person_id FROM cohort_people": 2,
    "SELECT toDate(timestamp) AS day, event, count() AS events FROM events GROUP BY day, event ORDER BY day": None,
    "SELECT uuid, event, timestamp, distinct_id FROM events WHERE event = '$pageview'": None,
    "SELECT e.event, p.properties.email AS email FROM events e JOIN persons p ON e.person_id = p.id": None,
    "SELECT id FROM persons WHERE id IN (SELECT person_id FROM cohort_people)": 2,
}


@pytest.mark.parametrize(("sql", "expected"), RECIPES.items())
def test_recipes_run_alone_and_wrapped(clickhouse: ClickHouse, sql: str, expected: int | None) -> None:
    rng = random.Random(1)
    persons = make_persons(20, rng, 7)
    day = "2026-01-02T00:00:00Z"
    one = project(
        "Europe/Berlin",
        events=EventTable(
            [e for e in make_events(60, rng, project=7, people=20) if "$session_id" in e.properties][:30]
        ),
        persons=persons,
        extra={
            "groups": [
                {"index": 0, "key": "acme", "created_at": day, "updated_at": day, "properties": {"name": "Acme"}}
            ],
            "cohort_members": [{"person_id": person["uuid"], "cohort_id": 5} for person in persons[:2]],
        },
    )
    server = PostHog(account(one), clickhouse=clickhouse)
    alone = hogql(server, sql)
    wrapped = hogql(server, f"SELECT * FROM ({sql}) AS q ORDER BY 1 LIMIT 10000")
    assert sorted(map(str, rows(alone))) == sorted(map(str, rows(wrapped)))
    assert alone.json()["types"] == wrapped.json()["types"]
    assert expected in (None, len(rows(alone)))
    assert rows(alone)


def test_without_a_clickhouse_only_the_count_of_a_range_is_known() -> None:
    assert refusal(hogql(PostHog(account(project())), "SELECT 1")) == (400, "validation_error")
