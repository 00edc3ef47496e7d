"""A query of the user's own in tests: a table of visits in two projects, and what a sync reads of it."""

import json
from collections import Counter
from collections.abc import Generator
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import AirbyteStateMessageSerializer, ConfiguredAirbyteCatalogSerializer

from integration_tests.harness.connector import Output, catalog, config, run
from integration_tests.harness.in_process import SOURCE, URL
from posthog_server import PostHog, account_with
from posthog_server.clickhouse import ClickHouse

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


def posthog_with_visits(clickhouse: ClickHouse) -> PostHog:
    """Projects 7 and 8 with a table of visits each, and answers of 20 rows at the most."""
    clickhouse.table(7, "visits", COLUMNS, visits(*range(130)))
    clickhouse.table(8, "visits", COLUMNS, visits(*range(0, 80, 2)))
    return PostHog(account_with({7: [], 8: []}), clickhouse=clickhouse, query_cap=20)


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


def messages(
    given: dict[str, Any], wanted: dict[str, Any], state: list[dict[str, Any]] | None = None
) -> Generator[dict[str, Any], None, None]:
    """Of a sync, one by one."""
    states = [AirbyteStateMessageSerializer.load(one) for one in state or []]
    for message in SOURCE.read(None, given, ConfiguredAirbyteCatalogSerializer.load(wanted), states):
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
