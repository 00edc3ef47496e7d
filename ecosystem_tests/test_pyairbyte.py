"""PyAirbyte reads PostHog into DuckDB with this connector."""

import json
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ecosystem_tests.accounts import add_event, small_account
from integration_tests.harness.connector import Output, config, expected_keys
from posthog_server import (
    DAY,
    SECOND,
    Account,
    EventTable,
    PostHogServer,
    account_with,
    isoformat,
    make_events,
    microseconds,
)
from posthog_server.api import STREAMS
from posthog_server.clickhouse import ClickHouse
from posthog_server.demo import GAP
from posthog_server.environments import ROOT, environment
from posthog_server.extra import EXTRA, make_extra
from posthog_server.rows import DAYS, START
from source_posthog import SourcePosthog

CONNECTOR = Path(sys.executable).with_name("source-posthog")
LOCK = Path(__file__).with_name("pyairbyte.lock")


def pyairbyte() -> Path:
    return environment("pyairbyte", "--no-deps", "-r", str(LOCK))


ENVIRONMENTS = (pyairbyte,)


def variables(folder: Path) -> dict[str, str]:
    """The environment of a program, which asks no registry for the connector, and sends no telemetry."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("POSTHOG_")},
        "PYTHONPATH": str(ROOT),
        "PATH": f"{CONNECTOR.parent}{os.pathsep}{os.environ['PATH']}",
        "AIRBYTE_OFFLINE_MODE": "1",
        "DO_NOT_TRACK": "1",
        "AIRBYTE_LOGGING_ROOT": str(folder / "logs"),
    }


def run(folder: Path, *arguments: str) -> str:
    """What the program printed."""
    line = [str(pyairbyte() / "bin" / "python"), *arguments]
    done = subprocess.run(line, cwd=folder, env=variables(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ids(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    return {stream: sorted(row["id"] for row in tables[stream]) for stream in STREAMS}


def expected_ids(account: Account) -> dict[str, list[Any]]:
    """Each id once, but an organization's annotation once for each of its projects, which all have it in their list."""
    expected = expected_keys(account)
    return {stream: sorted(id for _, id in expected[stream]) for stream in STREAMS}


def test_two_syncs_that_merge_leave_every_row_once_with_its_nested_values_and_times(tmp_path: Path) -> None:
    run(tmp_path, "-m", "ecosystem_tests.pyairbyte_syncs", str(CONNECTOR))
    syncs = json.loads((tmp_path / "syncs.json").read_text())
    account = small_account()
    assert ids(syncs["first"]) == expected_ids(account)
    add_event(account, syncs["added"])
    assert ids(syncs["second"]) == expected_ids(account)

    events = [one for project in account.projects.values() for one in project.events]
    repeated = sum(len(ids) for stream, ids in expected_ids(account).items() if stream != "events")
    assert syncs["second"]["processed"] < repeated + len(events) / 10, "the second sync is incremental"
    rows = {row["id"]: row for row in syncs["second"]["events"]}
    assert {one.id: microseconds(rows[one.id]["timestamp"]) for one in events} == {one.id: one.at for one in events}
    assert {one.id: rows[one.id]["properties"] for one in events} == {one.id: one.properties for one in events}


def synced(folder: Path, server: PostHogServer, streams: list[str], change: Callable[[], None], **options: Any) -> Any:
    """What the tables of `streams` hold after each of two syncs, with `change` made between them."""
    line = [str(pyairbyte() / "bin" / "python"), "-m", "ecosystem_tests.pyairbyte_streams"]
    line += [str(CONNECTOR), json.dumps(config(server.url, **options)), *streams]
    with subprocess.Popen(
        line, cwd=folder, env=variables(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        first = next_json(program.stdout)
        change()
        program.stdin.write("\n")
        program.stdin.flush()
        second = next_json(program.stdout)
        program.stdin.close()
    return first, second


def next_json(lines: IO[str]) -> Any:
    """The next line that is a JSON object; PyAirbyte prints its progress between."""
    return json.loads(next(line for line in lines if line.startswith("{")))


def test_a_query_of_the_users_own_is_merged_into_a_table(tmp_path: Path, clickhouse: ClickHouse) -> None:
    """The second sync is incremental: it reads the last row again, which has changed, and the new one."""
    columns = {"id": "UUID", "at": "DateTime64(6, 'UTC')", "plan": "Nullable(String)", "tags": "Array(String)"}
    ids = [f"{number * 7919 % 97:08x}-0000-4000-8000-000000000000" for number in range(40)]
    rows = [[id, f"2026-01-01T00:00:00.{place:06d}Z", "free", ["a", "b"]] for place, id in enumerate(ids)]
    query = {"name": "accounts", "query": "SELECT * FROM t", "primary_key": ["id"], "cursor_field": "at"}

    def change() -> None:
        rows[-2][2] = "paid"
        clickhouse.table(7, "t", columns, rows)

    with PostHogServer(account_with({7: []}), clickhouse=clickhouse, query_cap=15) as server:
        clickhouse.table(7, "t", columns, rows[:-1])
        first, second = synced(tmp_path, server, ["accounts"], change, queries=[query])
    in_first, in_second = first["rows"]["accounts"], second["rows"]["accounts"]
    assert {row["id"]: row["plan"] for row in in_first} == dict.fromkeys(ids[:-1], "free")
    assert {row["id"]: row["plan"] for row in in_second} == {row[0]: row[2] for row in rows}
    assert {row["project_id"] for row in in_second} == {7}
    assert (first["processed"], second["processed"]) == (39, 2)


def keys(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    """The keys of the rows of each table, each as often as it is there."""
    records = [{"record": {"stream": name, "data": row}} for name, rows in tables.items() for row in rows]
    output = Output([{"type": "RECORD", **record} for record in records], "", 0)
    return {name: output.keys(name) for name in tables}


def test_two_syncs_of_all_extra_streams_leave_every_row_once(tmp_path: Path, clickhouse: ClickHouse) -> None:
    specification = SourcePosthog().spec(logging.getLogger("airbyte")).connectionSpecification
    streams = specification["properties"]["extra_streams"]["items"]["enum"]
    account, rng = small_account(), random.Random(23)
    account.projects[GAP].events = EventTable(make_events(60, rng, project=GAP))

    def change() -> None:
        """A row more in each, or three, later than all others; sessions are made of the events."""
        present = int(time.time() * SECOND)
        now = isoformat(present)
        for project in account.projects.values():
            new = make_events(20, rng, start=START + (DAYS - 1) * DAY, span=DAY, project=project.id)
            for event in new:
                event.created_at = present  # which is when they arrive, however late
            project.add_events(new)
            for stream in project.extra.keys() - {"sessions"}:
                one, rows = EXTRA[stream], project.extra[stream]
                if not one.most:
                    cursor = {one.cursor: now} if one.cursor else {}
                    rows += [row | cursor for row in make_extra(stream, 3, rng, project.id + 1000)]

    def expected() -> dict[str, list[Any]]:
        there = expected_keys(account)
        return {stream: sorted(set(there[stream])) for stream in streams}

    with PostHogServer(account, clickhouse=clickhouse, query_cap=500, extra_cap=100) as server:
        before = expected()
        first, second = synced(tmp_path, server, streams, change, extra_streams=streams)
    assert keys(first["rows"]) == before
    assert keys(second["rows"]) == expected()
    assert all(before[stream] for stream in streams)
