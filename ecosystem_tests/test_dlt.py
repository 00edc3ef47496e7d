"""The example for dlt fills a DuckDB: with everything, or after a failure with nothing, and then with what is new."""

import json
import os
import random
import re
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ecosystem_tests.orchestrators import DLT, orchestrators
from ecosystem_tests.test_pyairbyte import CONNECTOR
from integration_tests.harness.connector import config, expected_keys
from posthog_server import Fault, PostHogServer, account_with, event, make_events, make_persons, no_project_access

ROWS = """
import duckdb, json
database = duckdb.connect("from_posthog.duckdb")
for table in ("events", "persons"):
    print(json.dumps(database.execute(f"select project_id, id, properties::varchar from posthog.{table}").fetchall()))
"""


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {
        **os.environ,
        "POSTHOG_CONNECTOR": str(CONNECTOR),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    line = [str(orchestrators() / "bin" / "python"), *arguments]
    return subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)


ENVIRONMENTS = (orchestrators,)


def test_a_failed_run_loads_nothing_and_the_next_ones_everything_and_what_is_new(tmp_path: Path) -> None:
    rng = random.Random(3)
    made = account_with(
        {one: make_events(60, rng, project=one) for one in (7, 8)}, persons={7: make_persons(40, rng, 7)}
    )
    program = (str(DLT / "posthog_pipeline.py"), "events", "persons")

    def rows() -> tuple[list[list[Any]], ...]:
        return tuple(json.loads(line) for line in python(tmp_path, "-c", ROWS).stdout.splitlines())

    with PostHogServer(made) as server:
        (tmp_path / "config.json").write_text(json.dumps(config(server.url)))
        refused = Fault(stream="events", when=lambda seen: seen.project_id == 8, times=None, **no_project_access())
        server.posthog.faults.add(refused)
        failed = python(tmp_path, *program)
        assert failed.returncode == 1
        assert "Stream events, project 8" in failed.stderr
        assert rows() == ()

        server.posthog.faults.clear()
        done = python(tmp_path, *program)
        assert done.returncode == 0, done.stderr
        events, persons = rows()
        expected = expected_keys(made)
        assert sorted((project, id) for project, id, _ in events) == expected["events"]
        assert sorted((project, id) for project, id, _ in persons) == expected["persons"]
        properties = {id: json.loads(text) for _, id, text in events}
        assert properties == {one.id: one.properties for project in made.projects.values() for one in project.events}

        now = datetime.now(timezone.utc)
        added = event((now - timedelta(days=10)).isoformat(), created_at=now.isoformat())
        made.projects[7].add_events([added])
        done = python(tmp_path, *program)
        assert re.search(r"'events': 1\b", done.stdout), "only what is new"
        assert sorted((project, id) for project, id, _ in rows()[0]) == expected_keys(made)["events"]
