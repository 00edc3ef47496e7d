"""The example for Dagster: a partition for each project and month, each by a run of this connector."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ecosystem_tests.orchestrators import DAGSTER, orchestrators
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
    more_without_rows,
    wrong_key,
)
from posthog_server.data import EventTable
from posthog_server.environments import ROOT

PROJECTS = (7, 8, 9)
MONTHS = [microseconds(f"2026-0{month}-01T00:00:00Z") for month in (1, 2, 3, 4, 5)]


ENVIRONMENTS = (orchestrators,)


def account() -> Account:
    """Four months of three projects, with ties on the last microsecond of a month and on the first of the next."""
    rng = random.Random(4)
    edges = [event(month + offset) for month in MONTHS[:4] for offset in (-1, 0, 0) if month + offset >= MONTHS[0]]
    spread = {one: make_events(200, rng, start=MONTHS[0], span=119 * DAY, project=one) for one in PROJECTS[:2]}
    return account_with({**spread, PROJECTS[2]: edges})


def asks_for(project: int, month: int) -> Callable[[Seen], bool]:
    """Is it a question for the events of that project in that month? One that counts them may be refused."""

    def asked(seen: Seen) -> bool:
        is_month = seen.project_id == project and MONTHS[month - 1] - 1 <= seen.after < seen.before <= MONTHS[month]
        return is_month and "query" not in seen.body["query"]

    return asked


def test_a_dozen_partitions_hold_every_event_once_and_one_is_tried_again_unless_its_key_is_wrong(
    tmp_path: Path,
) -> None:
    """One answer to the March of the second project is broken. In April, the third refuses the key, once."""
    made = account()
    with PostHogServer(made) as server:
        broken, refused = asks_for(PROJECTS[1], 3), asks_for(PROJECTS[2], 4)
        server.posthog.faults.add(Fault(stream="query", when=broken, times=1, **more_without_rows()))
        server.posthog.faults.add(Fault(stream="query", when=refused, times=1, **wrong_key()))
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("POSTHOG_")},
            "PYTHONPATH": f"{ROOT}{os.pathsep}{DAGSTER}",
            "POSTHOG_PROJECTS": ",".join(map(str, PROJECTS)),
            "POSTHOG_KEY": KEY,
            "POSTHOG_URL": server.url,
            "POSTHOG_CONNECTOR": f"{sys.executable} -m source_posthog.run",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        line = [str(orchestrators() / "bin" / "python"), "-m", "ecosystem_tests.dagster_runs", "2026-04-01"]
        done = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "runs.json").read_text())

    runs = result["runs"]
    assert len(runs) == 12
    assert {key: run["tries"] for key, run in runs.items() if run["tries"] > 1} == {"2026-03-01|8": 2}
    assert [key for key, run in runs.items() if not run["success"]] == ["2026-04-01|9"]
    made.projects[PROJECTS[2]].events = EventTable(
        one for one in made.projects[PROJECTS[2]].events if one.at < MONTHS[3]
    )
    assert sorted((project, id) for project, id, _ in result["rows"]) == expected_keys(made)["events"]
    properties = {id: json.loads(text) for _, id, text in result["rows"]}
    assert properties == {one.id: one.properties for project in made.projects.values() for one in project.events}
