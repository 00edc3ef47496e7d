"""The tap of the example for Meltano writes Singer's messages, and goes on from its state."""

import json
import os
import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from integration_tests.harness.connector import config, expected_keys
from posthog_server import (
    Fault,
    PostHogServer,
    account_with,
    event,
    make_events,
    make_persons,
    make_rows,
    no_project_access,
)
from posthog_server.environments import ROOT

TAP = ROOT / "examples" / "meltano" / "tap_posthog.py"
STREAMS = ["cohorts", "events", "persons"]


def run(folder: Path, options: dict[str, Any], state: Any = None) -> tuple[list[dict[str, Any]], str, int]:
    """What the tap writes, what it says on standard error, and its exit status; as Meltano runs it."""
    line = [sys.executable, str(TAP)]
    for name, content in {"config": options, "state": state}.items():
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content))
            line += [f"--{name}", str(path)]
    variables = {**os.environ, "PYTHONWARNINGS": "once"}
    done = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    return [json.loads(text) for text in done.stdout.splitlines()], done.stderr, done.returncode


def keys(messages: list[dict[str, Any]], stream: str) -> list[tuple[int, Any]]:
    records = (one["record"] for one in messages if one["type"] == "RECORD" and one["stream"] == stream)
    return sorted((record["project_id"], record["id"]) for record in records)


def test_the_tap_reads_everything_and_then_what_is_new_or_was_refused(tmp_path: Path) -> None:
    rng = random.Random(3)
    made = account_with(
        {one: make_events(60, rng, project=one) for one in (7, 8)}, persons={7: make_persons(9, rng, 7)}
    )
    made.projects[7].cohorts = make_rows("cohorts", 5, rng, 7)
    with PostHogServer(made) as server:
        options = config(server.url, streams=STREAMS, connector=f"{sys.executable} -m source_posthog.run")
        refused = Fault(stream="events", when=lambda seen: seen.project_id == 8, times=None, **no_project_access())
        server.posthog.faults.add(refused)
        first, said, status = run(tmp_path, options)
        assert status == 1
        assert "Stream events, project 8" in said
        schemas = [one for one in first if one["type"] == "SCHEMA"]
        assert first[: len(schemas)] == schemas
        assert {one["stream"]: one["key_properties"] for one in schemas} == {stream: ["id"] for stream in STREAMS}
        expected = expected_keys(made)
        assert keys(first, "events") == [key for key in expected["events"] if key[0] == 7]
        assert {one: keys(first, one) for one in ("cohorts", "persons")} == {
            one: expected[one] for one in ("cohorts", "persons")
        }

        server.posthog.faults.clear()
        now = datetime.now(timezone.utc)
        added = event((now - timedelta(days=10)).isoformat(), created_at=now.isoformat())
        made.projects[7].add_events([added])
        state = [one["value"] for one in first if one["type"] == "STATE"][-1]
        second, said, status = run(tmp_path, options, state)
        assert status == 0, said
        assert keys(second, "events") == [(7, added.id), *(key for key in expected["events"] if key[0] == 8)]
