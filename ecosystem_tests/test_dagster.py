"""The example for Dagster: a partition for each project and month, each by a run of this connector."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from integration_tests.harness.connector import expected_keys
from posthog_server import (
    DAY,
    KEY,
    Account,
    Fault,
    PostHogServer,
    Seen,
    account_with,
    event,
    make_events,
    microseconds,
    no_project_access,
)
from posthog_server.environments import ROOT, environment

EXAMPLE = ROOT / "examples" / "dagster"
PROJECTS = (7, 8, 9)
MONTHS = [microseconds(f"2026-0{month}-01T00:00:00Z") for month in (1, 2, 3, 4)]


def dagster() -> Path:
    return environment("dagster", "-r", str(EXAMPLE / "requirements.txt"))


ENVIRONMENTS = (dagster,)


def account() -> Account:
    """Four months of three projects, with ties on the last microsecond of a month and on the first of the next."""
    rng = random.Random(4)
    edges = [event(month + offset) for month in MONTHS for offset in (-1, 0, 0) if month + offset >= MONTHS[0]]
    spread = {one: make_events(200, rng, start=MONTHS[0], span=119 * DAY, project=one) for one in PROJECTS[:2]}
    return account_with({**spread, PROJECTS[2]: edges})


def march_of_the_second(seen: Seen) -> bool:
    """A question for events: one that counts them may be refused."""
    is_march = seen.project_id == PROJECTS[1] and MONTHS[2] - 1 <= seen.after < seen.before <= MONTHS[3]
    return is_march and "query" not in seen.body["query"]


def test_a_dozen_partitions_hold_every_event_once_and_the_one_that_fails_is_tried_again_by_itself(
    tmp_path: Path,
) -> None:
    made = account()
    with PostHogServer(made) as server:
        server.posthog.faults.add(Fault(stream="query", when=march_of_the_second, times=1, **no_project_access()))
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("POSTHOG_")},
            "PYTHONPATH": f"{ROOT}{os.pathsep}{EXAMPLE}",
            "POSTHOG_PROJECTS": ",".join(map(str, PROJECTS)),
            "POSTHOG_KEY": KEY,
            "POSTHOG_URL": server.url,
            "POSTHOG_CONNECTOR": f"{sys.executable} -m source_posthog.run",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        line = [str(dagster() / "bin" / "python"), "-m", "ecosystem_tests.dagster_runs", "2026-04-01"]
        done = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "runs.json").read_text())

    tries = {key: run["tries"] for key, run in result["runs"].items()}
    assert len(tries) == 12
    assert {key for key, number in tries.items() if number > 1} == {"2026-03-01|8"}
    assert tries["2026-03-01|8"] == 2
    assert all(run["success"] for run in result["runs"].values())
    assert sorted((project, id) for project, id, _ in result["rows"]) == expected_keys(made)["events"]
    properties = {id: json.loads(text) for _, id, text in result["rows"]}
    assert properties == {one.id: one.properties for project in made.projects.values() for one in project.events}
