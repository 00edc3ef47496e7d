"""A ClickHouse table of events in PostHog's own order, the same events in the embedded server, and SQL for both."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from integration_tests.harness.asking import PATH, UTC, identifier
from integration_tests.harness.asking import START as OF_ASKING
from posthog_server import DAY, Event, EventTable, PostHog, Project, Reply, account, event, isoformat, microseconds
from posthog_server.clickhouse import Answer, Engine
from posthog_server.conditions import STRING, unquoted
from posthog_server.hogql_select import literal

START = microseconds("2026-01-01T00:00:00Z")
EVENTS_A_DAY = 60_000
DAYS = 3

ODD_NAMES = [
    "",
    "it's",
    'say "hi"',
    "back\\slash",
    "{braces}",
    "nul\0nul",
    "🦔 Zoë",
    "n" * 200,
    "two\nlines",
    "\\' or 1=1",
]
NAMES = [*ODD_NAMES, *(f"event {number}" for number in range(20))]

PERSON, ID = "assumeNotNull(cityHash64(distinct_id))", "assumeNotNull(cityHash64(uuid))"
COLUMNS = ["uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at"]

# For the server alone, about a day of `asking.py`.
A_DAY = (
    "timestamp >= toDateTime('2026-10-01T00:00:00.000000Z') AND timestamp < toDateTime('2026-10-02T00:00:00.000000Z')"
)
BY_DAY = f"SELECT toDate(timestamp), count() FROM events WHERE {A_DAY} GROUP BY toDate(timestamp)"
BY_NAME = f"SELECT event, count() FROM events WHERE {A_DAY} GROUP BY event"
HALF = 2**63

# What newer versions do beside the index would be in the way: they remember what matched, and count rows twice.
_SETTINGS = {"use_query_condition_cache": 0, "query_plan_optimize_lazy_materialization": 0}

_TABLE = """
CREATE TABLE {name} (
    team_id Int64, uuid UUID, event String, properties String, timestamp DateTime64(6, 'UTC'), distinct_id String,
    elements_chain String, created_at DateTime64(6, 'UTC')
) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
SETTINGS index_granularity = 8192
"""
# Some names are a hundred times as frequent as others.
_ROWS = """
SELECT
    7, reinterpretAsUUID(concat(reinterpretAsString(sipHash64(number, 1)), reinterpretAsString(sipHash64(number, 2)))),
    {names}[1 + toUInt8(pow(sipHash64(number, 3) % 1000000 / 1000000, 2) * {count})],
    concat('{{"filler":"', repeat('x', 450 + sipHash64(number, 4) % 200), '"}}'),
    fromUnixTimestamp64Micro({start} + toInt64(sipHash64(number, 5) % ({days} * 86400000000)), 'UTC'),
    concat('user-', toString(sipHash64(number, 6) % 20000)), if(number % 5 = 0, 'a.btn:text="Buy"', ''),
    toDateTime64('2026-01-05 00:00:00', 6, 'UTC')
FROM numbers({rows})
"""
_READ = (
    "SELECT toString(uuid), event, length(properties) - 13, toUnixTimestamp64Micro(timestamp), distinct_id,"
    " elements_chain, toUnixTimestamp64Micro(created_at) FROM {name} ORDER BY uuid"
)
_INSTANT = re.compile(r"toDateTime\('([^']+)Z'\)")


@dataclass(frozen=True)
class Stored:
    """One project's events: `name` is their table in ClickHouse, `posthog` a server that counts what queries read."""

    engine: Engine
    name: str
    posthog: PostHog

    def select(self, sql: str) -> Answer:
        return self.engine.select(sql, _SETTINGS)

    def asked(self, query: dict[str, Any]) -> tuple[list[list[Any]], int, int]:
        """The rows that the server answers, and the rows and bytes that it says were read for them."""
        rows_before = self.posthog.charges.rows_read[7]
        reply = self.posthog.post(PATH, {"query": {"modifiers": UTC, **query}, "refresh": "force_blocking"})
        assert reply.status == 200, reply.body
        read = int(reply.headers["X-PostHog-Query-Bytes-Read"])
        return reply.json()["results"], self.posthog.charges.rows_read[7] - rows_before, read

    def hogql(self, sql: str) -> str:
        """`sql` over the table events as PostHog prints it for ClickHouse."""
        of_project = printed(sql).replace("FROM events WHERE", f"FROM {self.name} WHERE team_id = 7 AND")
        return _INSTANT.sub(r"toDateTime64('\1', 6, 'UTC')", of_project)

    def presorted(self, query: dict[str, Any]) -> str:
        """An EventsQuery by timestamp as PostHog prints it: the page is sorted first, its wide columns come then."""
        keys = "timestamp, event, cityHash64(distinct_id), cityHash64(uuid)"
        order = f"ORDER BY {query['orderBy'][0]} LIMIT {query['limit']}"
        inner = f"SELECT {keys} FROM {self.name} WHERE {self.where(query)} {order}"
        columns = ", ".join(query["select"])
        return f"SELECT {columns} FROM {self.name} WHERE ({keys}) IN ({inner}) AND {self.where(query)} {order}"

    def plain(self, query: dict[str, Any]) -> str:
        """An EventsQuery by anything else as PostHog prints it."""
        columns, order = ", ".join(query["select"]), ", ".join(query["orderBy"])
        where = self.where(query)
        return f"SELECT {columns} FROM {self.name} WHERE {where} ORDER BY {order} LIMIT {query['limit']}"

    def where(self, query: dict[str, Any]) -> str:
        after, before = (f"toDateTime64('{query[end][:26]}', 6, 'UTC')" for end in ("after", "before"))
        conditions = [f"({printed(one)})" for one in query["where"]]
        return " AND ".join(["team_id = 7", f"timestamp > {after}", f"timestamp < {before}", *conditions])

    def explained(self, query: dict[str, Any]) -> tuple[list[str], int]:
        """The columns of the primary key that ClickHouse uses for an EventsQuery, and how many granules they leave."""
        plan = self.select(f"EXPLAIN indexes = 1 SELECT count() FROM {self.name} WHERE {self.where(query)}")
        text = "\n".join(row[0].strip() for row in plan.rows)
        primary = text[text.index("PrimaryKey") :]
        keys = primary[primary.index("Keys:") : primary.index("Condition:")].split("\n")[1:-1]
        return keys, int(re.findall(r"Granules: (\d+)/", primary)[0])


def printed(hogql: str) -> str:
    """`hogql` with its strings as ClickHouse reads them."""
    return STRING.sub(lambda match: literal(unquoted(match[0])), hogql)


def day(number: int) -> tuple[str, str]:
    """The exclusive bounds of a day, the first one is 0."""
    start = START + number * DAY
    return isoformat(start - 1), isoformat(start + DAY)


def events_query(number: int, conditions: list[str], limit: int = 20_000, **changes: Any) -> dict[str, Any]:
    """An EventsQuery of a day with HogQL `conditions`."""
    after, before = ((bound + ".000000" if "." not in bound else bound) for bound in map(_utc, day(number)))
    query = {"kind": "EventsQuery", "select": COLUMNS, "after": after + "Z", "before": before + "Z"}
    return {**query, "where": conditions, "orderBy": ["timestamp DESC"], "limit": limit, **changes}


def map_query(select: str, conditions: list[str], group_by: str, days: tuple[int, int] = (1, 2)) -> dict[str, Any]:
    """A HogQLQuery that counts the events of the days from one up to another."""
    bounds = [isoformat(START + number * DAY)[:19] for number in days]
    where = [f"timestamp >= toDateTime('{bounds[0]}Z')", f"timestamp < toDateTime('{bounds[1]}Z')", *conditions]
    sql = f"SELECT {select} FROM events WHERE {' AND '.join(where)} GROUP BY {group_by} LIMIT 50000"
    return {"kind": "HogQLQuery", "query": sql}


def name(text: str) -> str:
    """`text` as a HogQL string; a NUL as it is, since HogQL reads `\\0` as nothing."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def at_least(event: str, person: int | None = None, id: int | None = None) -> str:
    """What comes at a key of the storage order or after it."""
    if person is None:
        return f"event >= {name(event)}"
    inner = f"{PERSON} >= {person}" if id is None else f"{PERSON} > {person} or ({PERSON} = {person} and {ID} >= {id})"
    return f"event > {name(event)} or (event = {name(event)} and ({inner}))"


def below(event: str, person: int | None = None, id: int | None = None) -> str:
    """What comes before a key of the storage order."""
    if person is None:
        return f"event < {name(event)}"
    inner = f"{PERSON} < {person}" if id is None else f"{PERSON} < {person} or ({PERSON} = {person} and {ID} < {id})"
    return f"event < {name(event)} or (event = {name(event)} and ({inner}))"


def hogql(server: PostHog, sql: str, **fields: Any) -> Reply:
    """The answer to `sql`, with instants in UTC unless other modifiers are given."""
    query = {"kind": "HogQLQuery", "query": sql, "modifiers": UTC, **fields}
    return server.post(PATH, {"query": query, "refresh": "force_blocking"})


def dense(n: int = 3000, size: int = 500, span: int = DAY) -> list[Event]:
    """A day of `n` events with ten names."""
    rng = random.Random(1)
    return [
        event(
            OF_ASKING + rng.randrange(span),
            identifier(place),
            event=f"name {place % 10}",
            distinct_id=f"user-{rng.randrange(500)}",
            properties={"filler": "x" * size},
        )
        for place in range(n)
    ]


@contextmanager
def stored(engine: Engine) -> Iterator[Stored]:
    """The events of three days, in the database `engine` and in a server."""
    database = engine.new_name()
    table = f"{database}.stored"
    names = "[" + ", ".join(map(literal, NAMES)) + "]"
    rows = _ROWS.format(names=names, count=len(NAMES), days=DAYS, start=START, rows=EVENTS_A_DAY * DAYS)
    engine.run(f"CREATE DATABASE {database} ENGINE = Memory", _TABLE.format(name=table))
    engine.run(f"INSERT INTO {table} {rows}", f"OPTIMIZE TABLE {table} FINAL")
    try:
        fillers = {size: {"filler": "x" * size} for size in range(450, 650)}
        made = [
            Event(id, at, event, person, fillers[size], chain, created_at=created_at)
            for id, event, size, at, person, chain, created_at in engine.select(_READ.format(name=table), {}).rows
        ]
        project = Project(7, events=EventTable(made))
        yield Stored(engine, table, PostHog(account(project), counts_bytes=True))
    finally:
        engine.run(f"DROP DATABASE {database}")


def _utc(bound: str) -> str:
    return bound.removesuffix("+00:00")
