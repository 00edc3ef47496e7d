"""PyAirbyte reads PostHog into DuckDB with this connector."""

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from integration_tests.connector import config, expected_keys
from integration_tests.ecosystem.environments import ROOT, environment
from integration_tests.posthog_server import Account, PostHogServer, demo_account, event, microseconds

CONNECTOR = Path(sys.executable).with_name("source-posthog")


@pytest.fixture(scope="session")
def pyairbyte() -> Path:
    """The Python of an environment with PyAirbyte."""
    lock = Path(__file__).with_name("pyairbyte.lock")
    return environment("pyairbyte", "--no-deps", "-r", str(lock)) / "bin" / "python"


def run(python: Path, folder: Path, *arguments: str, **variables: str) -> str:
    """What the program printed. It asks no registry for the connector, and reports its use to nobody."""
    quiet = {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": str(folder / "logs")}
    path = f"{CONNECTOR.parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, **quiet, **variables}
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sync(python: Path, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    (folder / "config.json").write_text(json.dumps(options))
    run(python, folder, str(Path(__file__).with_name("pyairbyte_sync.py")), str(CONNECTOR), "config.json")
    return json.loads((folder / "report.json").read_text())


def ids(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    return {stream: sorted(row["id"] for row in table) for stream, table in tables.items()}


def expected_ids(account: Account) -> dict[str, list[Any]]:
    """Each id once, but an organization's annotation once for each of its projects, which all have it in their list."""
    return {stream: sorted(id for _, id in keys) for stream, keys in expected_keys(account).items()}


def test_two_syncs_that_merge_leave_every_row_once_with_its_nested_values_and_times(pyairbyte, tmp_path):
    account = demo_account()
    with PostHogServer(account) as server:
        first = sync(pyairbyte, tmp_path, config(server.url))
        assert ids(first["tables"]) == expected_ids(account)

        new = event(datetime.now(timezone.utc).isoformat(), properties={"deep": {"er": [1, {"text": "Zoë 🦔"}]}})
        account.projects[101].events.add([new])
        second = sync(pyairbyte, tmp_path, config(server.url))
        assert ids(second["tables"]) == expected_ids(account)
        assert second["processed"] < first["processed"] / 2, "the second sync is incremental"

    rows = {row["id"]: row for row in second["tables"]["events"]}
    events = [one for project in account.projects.values() for one in project.events]
    assert {one.id: microseconds(rows[one.id]["timestamp"]) for one in events} == {one.id: one.at for one in events}
    assert {one.id: rows[one.id]["properties"] for one in events} == {one.id: one.properties for one in events}


def test_the_example_prints_the_answer_of_a_query(pyairbyte, tmp_path):
    printed = run(pyairbyte, tmp_path, "-m", "integration_tests.examples.posthog_to_duckdb", POSTHOG_URL="")
    counts: dict[str, int] = {}
    for project in demo_account().projects.values():
        for one in project.events:
            counts[one.event] = counts.get(one.event, 0) + 1
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
    assert "\n".join(f"{number:>8}  {name}" for name, number in top) in printed
