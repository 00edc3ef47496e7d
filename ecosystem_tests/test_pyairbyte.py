"""PyAirbyte reads PostHog into DuckDB with this connector."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from ecosystem_tests.accounts import add_event, small_account
from integration_tests.harness.connector import config, expected_keys
from posthog_server import Account, PostHogServer, account_with, microseconds
from posthog_server.api import STREAMS
from posthog_server.clickhouse import ClickHouse
from posthog_server.environments import ROOT, environment

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


def test_a_query_of_the_users_own_is_merged_into_a_table(tmp_path: Path, clickhouse: ClickHouse) -> None:
    """The second sync is incremental: it reads the last row again, which has changed, and the new one."""
    columns = {"id": "UUID", "at": "DateTime64(6, 'UTC')", "plan": "Nullable(String)", "tags": "Array(String)"}
    ids = [f"{number * 7919 % 97:08x}-0000-4000-8000-000000000000" for number in range(40)]
    rows = [[id, f"2026-01-01T00:00:00.{place:06d}Z", "free", ["a", "b"]] for place, id in enumerate(ids)]
    query = {"name": "accounts", "query": "SELECT * FROM t", "primary_key": ["id"], "cursor_field": "at"}
    with PostHogServer(account_with({7: []}), clickhouse=clickhouse, query_cap=15) as server:
        line = [str(pyairbyte() / "bin" / "python"), "-m", "ecosystem_tests.pyairbyte_query"]
        line += [str(CONNECTOR), json.dumps(config(server.url, queries=[query]))]
        clickhouse.table(7, "t", columns, rows[:-1])
        with subprocess.Popen(
            line, cwd=tmp_path, env=variables(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as program:
            assert program.stdin is not None
            assert program.stdout is not None
            first = next_json(program.stdout)
            rows[-2][2] = "paid"
            clickhouse.table(7, "t", columns, rows)
            program.stdin.write("\n")
            program.stdin.flush()
            second = next_json(program.stdout)
            program.stdin.close()
    assert {row["id"]: row["plan"] for row in first["rows"]} == dict.fromkeys(ids[:-1], "free")
    assert {row["id"]: row["plan"] for row in second["rows"]} == {row[0]: row[2] for row in rows}
    assert {row["project_id"] for row in second["rows"]} == {7}
    assert (first["processed"], second["processed"]) == (39, 2)


def next_json(lines: IO[str]) -> Any:
    """The next line that is a JSON object; PyAirbyte prints its progress between."""
    return json.loads(next(line for line in lines if line.startswith("{")))
