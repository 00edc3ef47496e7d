"""The examples of docs/examples.md run as they stand there, and their second run reads what is new."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ecosystem_tests import postgres
from ecosystem_tests.accounts import small_account
from ecosystem_tests.documents import section
from ecosystem_tests.test_pyairbyte import CONNECTOR, pyairbyte
from integration_tests.harness.connector import config, expected_keys, output
from posthog_server import (
    Account,
    Event,
    Fault,
    PostHogServer,
    Seen,
    benchmark_account,
    event,
)
from posthog_server.environments import ROOT

EXAMPLES = ROOT / "docs" / "examples.md"
ENVIRONMENTS = (pyairbyte, postgres.postgresql)

IDS_IN_POSTGRES = """
import json, psycopg
rows = psycopg.connect("").execute("select id from posthog.events").fetchall()
print(json.dumps(sorted(id for (id,) in rows)))
"""


@dataclass
class Reader:
    """A folder with a config.json, as a reader of the document has it."""

    folder: Path
    server: PostHogServer

    def run(self, *line: str, variables: dict[str, str] | None = None, path: Path | None = None) -> str:
        """What the command printed."""
        paths = [*([str(path)] if path else []), str(CONNECTOR.parent), os.environ["PATH"]]
        quiet = {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": str(self.folder / "logs")}
        environment = {**os.environ, **quiet, **(variables or {}), "PATH": os.pathsep.join(paths)}
        done = subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add_events(self) -> list[Event]:
        """Let two events arrive: one of now, and one that is late by ten days."""
        now = datetime.now(timezone.utc)
        added = [event(at.isoformat(), created_at=now.isoformat()) for at in (now, now - timedelta(days=10))]
        next(iter(self.server.posthog.account.projects.values())).add_events(added)
        return added

    def ids(self) -> list[str]:
        """The ids of all events of the account."""
        return sorted(one.id for project in self.server.posthog.account.projects.values() for one in project.events)

    def counts(self) -> Counter[str]:
        """The events of the account by their names."""
        return Counter(one.event for project in self.server.posthog.account.projects.values() for one in project.events)


@pytest.fixture
def account() -> Account:
    return small_account()


@pytest.fixture
def reader(tmp_path: Path, account: Account) -> Iterator[Reader]:
    with PostHogServer(account) as server:
        (tmp_path / "config.json").write_text(json.dumps(config(server.url)))
        yield Reader(tmp_path, server)


def without_huge_integers() -> Account:
    account = benchmark_account(300, days=30)
    for person in account.projects[1].persons:
        person["name"] = "Zoë 🦔"
    return account


def printed_counts(text: str) -> dict[str, int]:
    """The lines "number  name" or "name  number" of `text`."""
    first = re.findall(r"^ *(\d+)  (.+)$", text, re.MULTILINE)
    last = re.findall(r"^(\S.*?) +(\d+)$", text, re.MULTILINE)
    return {name: int(number) for number, name in [*first, *((number, name) for name, number in last)]}


def test_a_stream_is_read_into_a_list(reader: Reader) -> None:
    flags = expected_keys(reader.server.posthog.account)["feature_flags"]
    printed = reader.run(sys.executable, "-c", section(EXAMPLES, "Into a list"))
    assert printed.endswith(f"{len(flags)} feature flags\n")


def test_pandas_gets_all_events_and_then_what_is_new(reader: Reader) -> None:
    program = section(EXAMPLES, "Into pandas, only what is new")
    assert printed_counts(reader.run(sys.executable, "-c", program)) == reader.counts()
    reader.add_events()
    assert printed_counts(reader.run(sys.executable, "-c", program)) == {"$pageview": 2}


def test_pyairbyte_fills_a_duckdb(reader: Reader) -> None:
    """A second run is tried in test_pyairbyte.py."""
    program = section(EXAMPLES, "Into DuckDB")
    assert printed_counts(reader.run(str(pyairbyte() / "bin" / "python"), "-c", program)) == reader.counts()
    assert (reader.folder / ".cache" / "posthog" / "db_posthog.duckdb").is_file()


@pytest.mark.parametrize("account", [without_huge_integers()], ids=["no integer of more than 64 bits"])
def test_pyairbyte_fills_a_postgres_and_adds_what_is_new(
    reader: Reader, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = (str(pyairbyte() / "bin" / "python"), "-c")
    program = section(EXAMPLES, "Into Postgres")
    with postgres.running(tmp_path_factory.mktemp("postgres")) as variables:
        for _ in range(2):
            reader.run(*line, program, variables=variables)
            assert json.loads(reader.run(*line, IDS_IN_POSTGRES, variables=variables)) == reader.ids()
            reader.add_events()


def test_the_shell_loop_keeps_its_state(reader: Reader) -> None:
    sleep = reader.folder / "bin" / "sleep"
    sleep.parent.mkdir()
    sleep.write_text("#!/bin/sh\n[ ! -e slept ] && touch slept\n")  # once, and then the loop breaks
    sleep.chmod(0o755)
    added: list[Event] = []
    before = reader.ids()

    def add(seen: Seen) -> bool:
        if (reader.folder / "slept").exists() and not added:
            added.extend(reader.add_events())
        return False

    reader.server.posthog.faults.add(Fault(stream="projects", when=add))
    reader.run("bash", "-euo", "pipefail", "-c", section(EXAMPLES, "A shell loop"), path=sleep.parent)
    first, second = (output(path.read_text(), 0) for path in sorted(reader.folder.glob("events-*.jsonl")))
    assert first.ids("events") == before
    assert second.ids("events") == sorted(one.id for one in added)


def test_everything_but_the_records_stays_visible_while_a_file_is_written(reader: Reader) -> None:
    title = "Into a file, with progress and errors on the screen"
    printed = output(reader.run("bash", "-c", section(EXAMPLES, title)), 0)
    kept = output((reader.folder / "all.jsonl").read_text(), 0)
    assert kept.ids("events") == reader.ids()
    assert printed.messages == [one for one in kept.messages if one["type"] != "RECORD"]
    assert any("records in" in line for line in printed.logs)


def test_the_status_of_a_sync_into_a_file_is_that_of_the_sync(reader: Reader) -> None:
    reader.server.posthog.faults.add(Fault(stream="cohorts", times=None, status=400))
    title = "Into a file, with progress and errors on the screen"
    line = ["bash", "-c", section(EXAMPLES, title)]
    variables = {**os.environ, "PATH": f"{CONNECTOR.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(line, cwd=reader.folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "does not accept the request" in done.stdout
