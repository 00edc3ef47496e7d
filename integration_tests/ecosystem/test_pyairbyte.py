"""PyAirbyte reads PostHog into DuckDB with this connector."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from integration_tests.connector import STREAMS, expected_keys
from integration_tests.ecosystem.accounts import add_event, small_account
from integration_tests.ecosystem.environments import ROOT, environment
from integration_tests.posthog_server import Account, microseconds

CONNECTOR = Path(sys.executable).with_name("source-posthog")
LOCK = Path(__file__).with_name("pyairbyte.lock")


def pyairbyte() -> Path:
    return environment("pyairbyte", "--no-deps", "-r", str(LOCK))


ENVIRONMENTS = (pyairbyte,)


def run(folder: Path, *arguments: str) -> str:
    """What the program printed. It asks no registry for the connector, and sends no telemetry."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("POSTHOG_")},
        "PYTHONPATH": str(ROOT),
        "PATH": f"{CONNECTOR.parent}{os.pathsep}{os.environ['PATH']}",
        "AIRBYTE_OFFLINE_MODE": "1",
        "DO_NOT_TRACK": "1",
        "AIRBYTE_LOGGING_ROOT": str(folder / "logs"),
    }
    line = [str(pyairbyte() / "bin" / "python"), *arguments]
    done = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ids(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    return {stream: sorted(row["id"] for row in tables[stream]) for stream in STREAMS}


def expected_ids(account: Account) -> dict[str, list[Any]]:
    """Each id once, but an organization's annotation once for each of its projects, which all have it in their list."""
    return {stream: sorted(id for _, id in keys) for stream, keys in expected_keys(account).items()}


def test_two_syncs_that_merge_leave_every_row_once_with_its_nested_values_and_times(tmp_path: Path) -> None:
    run(tmp_path, "-m", "integration_tests.ecosystem.pyairbyte_syncs", str(CONNECTOR))
    syncs = json.loads((tmp_path / "syncs.json").read_text())
    account = small_account()
    assert ids(syncs["first"]) == expected_ids(account)
    add_event(account, syncs["added"])
    assert ids(syncs["second"]) == expected_ids(account)

    events = [one for project in account.projects.values() for one in project.events]
    repeated = sum(len(keys) for stream, keys in expected_keys(account).items() if stream != "events")
    assert syncs["second"]["processed"] < repeated + len(events) / 10, "the second sync is incremental"
    rows = {row["id"]: row for row in syncs["second"]["events"]}
    assert {one.id: microseconds(rows[one.id]["timestamp"]) for one in events} == {one.id: one.at for one in events}
    assert {one.id: rows[one.id]["properties"] for one in events} == {one.id: one.properties for one in events}
