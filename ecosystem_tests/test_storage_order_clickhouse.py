"""The embedded server's model of what a query costs, and its answers, beside those of a real ClickHouse."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.harness.asking import PATH, UTC
from integration_tests.stored import (
    HALF,
    ID,
    NAMES,
    PERSON,
    START,
    Stored,
    at_least,
    below,
    events_query,
    map_query,
    name,
    printed,
    stored,
)
from posthog_server import DAY, EventTable, PostHog, Project, account, make_events
from posthog_server.city_hash import city_hash_64, city_hash_of_uuid
from posthog_server.clickhouse import ClickHouse, Engine
from posthog_server.costs import GRANULE
from posthog_server.hogql import where
from posthog_server.storage_order import in_storage_order
from posthog_server.values import random_uuid

BY_TIME = ["timestamp DESC"]
BY_KEYS = [f"{key} ASC" for key in ("event", PERSON, ID)]
SEVERAL = [at_least("event 12", 5), below("event 5", HALF)]
WITHIN = [at_least("", 10**18), below("", 9 * 10**18)]
WITHIN_BY_ID = [at_least("", 10**18, 5), below("", 9 * 10**18, HALF)]
PAGES = {
    "the newest 1,000 of a day": ([], 1000),
    "the newest 10,000 of a day": ([], 10_000),
    "half of a day": ([], 30_000),
    "several names": (SEVERAL, 20_000),
    "the newest 1,000 of several names": (SEVERAL, 1000),
    "within a name": (WITHIN, 20_000),
    "within a name, by the id": (WITHIN_BY_ID, 20_000),
    "from a name on": ([at_least("event 9")], 5000),
    "before a name": ([below("back\\slash")], 20_000),
}
BY_PERSON = f"event, intDiv({PERSON}, {2**60})"
MAPS = {
    "days": map_query("toDate(timestamp), count()", [], "toDate(timestamp)", (0, 3)),
    "names": map_query("event, count()", [], "event"),
    "names of a range": map_query("event, count()", [f"({one})" for one in SEVERAL], "event"),
    "hashes": map_query(f"{BY_PERSON}, count()", [], BY_PERSON),
    "hashes of a name": map_query(f"{BY_PERSON}, count()", ["event = ''"], BY_PERSON),
    "the greatest divisor": map_query(f"intDiv({PERSON}, {2**64 - 1}), count()", [], f"intDiv({PERSON}, {2**64 - 1})"),
    "ids": map_query(f"event, min({ID}), max({ID}), count()", ["event = ''"], "event"),
}


@pytest.fixture(scope="module")
def days(engine: Engine) -> Iterator[Stored]:
    with stored(engine) as one:
        yield one


def test_hashes_are_those_of_clickhouse(clickhouse: ClickHouse) -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices("abcé🦔'\\\0 \n", k=place % 201)) for place in range(4000)]
    texts += ["x" * size for size in range(201)]
    ids = [random_uuid(rng) for _ in range(2000)]
    table = clickhouse.table(7, "texts", {"n": "UInt32", "s": "String"}, enumerate(texts))
    found = clickhouse.select(f"SELECT cityHash64(s) FROM {table.name} ORDER BY n", {}).rows
    assert [row[0] for row in found] == [city_hash_64(text.encode()) for text in texts]
    found = clickhouse.select(f"SELECT cityHash64(arrayJoin({ids}::Array(UUID)))", {}).rows
    assert [row[0] for row in found] == [city_hash_of_uuid(id) for id in ids]


@pytest.mark.parametrize(("conditions", "limit"), PAGES.values(), ids=PAGES)
def test_a_page_is_that_of_clickhouse_and_costs_what_it_reads(days: Stored, conditions: list[str], limit: int) -> None:
    by_time, by_keys = (events_query(1, conditions, limit, orderBy=order) for order in (BY_TIME, BY_KEYS))
    ways = [(by_time, days.presorted(by_time)), (by_keys, days.plain(by_keys))]
    for query, sql in ways if conditions else ways[:1]:
        rows, rows_read, bytes_read = days.asked(query)
        real = days.select(sql)
        assert [row[0] for row in rows] == [row[0] for row in real.rows] != []
        assert abs(rows_read - real.rows_read) <= GRANULE
        assert bytes_read == pytest.approx(real.bytes_read, rel=0.25)


@pytest.mark.parametrize("query", MAPS.values(), ids=MAPS)
def test_a_map_is_that_of_clickhouse_and_costs_what_it_reads(days: Stored, query: dict[str, Any]) -> None:
    rows, rows_read, bytes_read = days.asked(query)
    real = days.select(days.hogql(query["query"]))
    assert sorted(rows) == sorted(real.rows) != []
    assert abs(rows_read - real.rows_read) <= GRANULE
    assert bytes_read == pytest.approx(real.bytes_read, rel=0.25)


def test_the_newest_of_a_dense_day_cost_the_whole_day_and_a_range_of_keys_its_own_bytes(days: Stored) -> None:
    _, _, newest = days.asked(events_query(1, [], 1000))
    rows, _, of_range = days.asked(events_query(1, SEVERAL))
    assert newest > 60_000 * 600
    assert of_range < len(rows) * 600 * 3


@pytest.mark.parametrize("odd", NAMES[:12], ids=ascii)
def test_ranges_at_odd_names_use_the_index(days: Stored, odd: str) -> None:
    order = in_storage_order(days.posthog.account.projects[7].events)
    of_columns = {
        3: [f"event >= {name(odd)}", f"event <= {name(odd)}"],
        4: [at_least(odd, HALF // 2), f"event <= {name(odd)}"],
        5: [at_least(odd, HALF // 2, 7), below(odd, HALF + HALF // 2, 9)],
    }
    for columns, conditions in of_columns.items():
        keys, granules = days.explained(events_query(1, conditions))
        expected = ["team_id", "toDate(timestamp)", "event", "cityHash64(distinct_id)", "cityHash64(uuid)"][:columns]
        assert keys == expected
        day = START // DAY
        assert granules == len(order.granules((day, day + 2), where(conditions), GRANULE)) < 22
        rows, _, _ = days.asked(events_query(1, conditions, orderBy=BY_KEYS, select=["uuid"]))
        assert rows == days.select(days.plain(events_query(1, conditions, orderBy=BY_KEYS, select=["uuid"]))).rows


def test_a_hash_or_an_instant_that_can_be_null_is_hidden_from_the_index(days: Stored) -> None:
    """What HogQL writes around a comparison with what it thinks can be NULL; assumeNotNull() takes it away."""
    keys, _ = days.explained(events_query(1, [f"event = '' and {PERSON} < {HALF}"]))
    assert keys[-1] == "cityHash64(distinct_id)"
    keys, _ = days.explained(events_query(1, [f"event = '' and ifNull(less(cityHash64(distinct_id), {HALF}), 0)"]))
    assert keys[-1] == "event"
    instant = "toNullable(toDateTime64('2026-01-02 00:00:00', 6, 'UTC'))"
    always: dict[str, Any] = {"after": "2000-01-01T00:00:00.000000Z", "before": "2100-01-01T00:00:00.000000Z"}
    hidden = days.explained(events_query(1, [f"ifNull(greaterOrEquals(timestamp, {instant}), 0)"], **always))
    seen = days.explained(events_query(1, [f"timestamp >= assumeNotNull({instant})"], **always))
    assert hidden[1] == 22 > seen[1]


def test_the_midnight_that_ends_a_day_makes_the_next_day_read_too(days: Stored) -> None:
    """`timestamp < midnight` is `toDate(timestamp) <= the next day` to the index; the day itself says it better."""
    _, both = days.explained(events_query(1, []))
    _, one = days.explained(events_query(1, ["toDate(timestamp) = '2026-01-02'"]))
    assert (both, one) == (22, 8)
    _, rows_read, _ = days.asked(map_query("event, count()", ["toDate(timestamp) = '2026-01-02'"], "event"))
    assert rows_read == one * GRANULE


def test_random_conditions_hold_for_the_events_for_which_they_hold_in_clickhouse(clickhouse: ClickHouse) -> None:
    rng = random.Random(3)
    events = make_events(100, rng)
    for one in events:
        one.event = rng.choice(NAMES[:12])
    rows = [[one.id, one.event, one.distinct_id] for one in events]
    columns = {"uuid": "UUID", "event": "String", "distinct_id": "String"}
    table, people = clickhouse.table(7, "few", columns, rows), Project(7).people
    for _ in range(30):
        conditions = [_random_condition(rng, 2) for _ in range(15)]
        counts = ", ".join(f"countIf({printed(one)})" for one in conditions)
        held = clickhouse.select(f"SELECT {counts} FROM {table.name}", {}).rows[0]
        understood = [where([one]) for one in conditions]
        assert held == [sum(one.holds(event, people) for event in events) for one in understood]


def _random_condition(rng: random.Random, depth: int) -> str:
    if depth and rng.random() < 0.7:
        word = rng.choice([" and ", " OR "])
        inner = word.join(_random_condition(rng, depth - 1) for _ in range(rng.randrange(2, 4)))
        return f"({inner})" if rng.random() < 0.7 else inner
    sign = rng.choice(["=", "!=", "<", "<=", ">", ">="])
    if rng.random() < 0.5:
        return f"event {sign} {name(rng.choice(NAMES))}"
    return f"{rng.choice([PERSON, ID])} {sign} {rng.choice([0, 5, HALF - 1, HALF, 2**64 - 1, rng.getrandbits(64)])}"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
@pytest.mark.parametrize("modifiers", [UTC, {}], ids=["in UTC", "in the project's zone"])
def test_maps_are_the_same_with_and_without_clickhouse(clickhouse: ClickHouse, zone: str, modifiers: Any) -> None:
    events = make_events(400, random.Random(4), start=START, span=4 * DAY)
    events[5].unmerged = True
    projects = [Project(7, settings={"timezone": zone}, events=EventTable(events)) for _ in range(2)]
    with_it, without = PostHog(account(projects[0]), clickhouse=clickhouse), PostHog(account(projects[1]))
    in_range = (
        "WHERE timestamp >= toDateTime('2026-01-01T05:00:00.000000Z')"
        " AND timestamp < toDateTime('2026-01-04T00:00:00Z')"
    )
    for sql in (
        f"SELECT toDate(timestamp) AS day, count() AS n FROM events {in_range} GROUP BY day ORDER BY day",
        f"SELECT toDate(timestamp), count() FROM events {in_range} GROUP BY toDate(timestamp)"
        " ORDER BY toDate(timestamp) DESC LIMIT 2",
        f"SELECT event, count() FROM events {in_range} AND event > 'paid' GROUP BY event ORDER BY event DESC",
        f"SELECT {PERSON} AS h, count() FROM events {in_range} GROUP BY h ORDER BY h",
        f"SELECT max({ID}) FROM events {in_range}",
    ):
        query = {"kind": "HogQLQuery", "query": sql, "modifiers": modifiers}
        replies = [one.post(PATH, {"query": query, "refresh": "force_blocking"}).json() for one in (with_it, without)]
        for key in ("results", "columns", "types", "hasMore", "limit"):
            assert replies[0].get(key) == replies[1].get(key), (sql, key)
        assert replies[0]["results"]


def test_bytes_of_an_answer_of_clickhouse_itself_are_charged(clickhouse: ClickHouse) -> None:
    clickhouse.table(7, "t", {"n": "UInt64"}, [[n] for n in range(1000)])
    server = PostHog(account(Project(7)), clickhouse=clickhouse, counts_bytes=True)
    query = {"kind": "HogQLQuery", "query": "SELECT sum(n) FROM t"}
    reply = server.post(PATH, {"query": query, "refresh": "force_blocking"})
    assert reply.headers["X-PostHog-Query-Bytes-Read"] == "8000"
    assert server.bytes_read == {7: 8000}
    assert json.loads(reply.body)["results"] == [[499500]]
