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
from typing import Any

import pytest

from ecosystem_tests import postgres
from ecosystem_tests.accounts import small_account
from ecosystem_tests.documents import section, sections
from ecosystem_tests.test_pyairbyte import CONNECTOR, pyairbyte
from integration_tests.harness.connector import config, expected_keys, output
from posthog_server import (
    Event,
    Fault,
    PostHogServer,
    Seen,
    event,
    no_project_access,
)
from posthog_server.demo import SMALL
from posthog_server.environments import ROOT

EXAMPLES = ROOT / "docs" / "examples.md"
ENVIRONMENTS = (pyairbyte, postgres.postgresql)

IN_DUCKDB, IN_POSTGRES = sections(EXAMPLES, "Events with their persons")

# Each prints the rows of a query, given as its argument.
ASK_DUCKDB = """
import duckdb, json, sys
database = duckdb.connect(".cache/posthog/db_posthog.duckdb")
print(json.dumps(database.execute(sys.argv[1]).fetchall()))
"""
ASK_POSTGRES = """
import json, psycopg, sys
print(json.dumps(psycopg.connect(autocommit=True).execute(sys.argv[1]).fetchall()))
"""


@dataclass
class Reader:
    """A folder with a config.json, as a reader of the document has it."""

    folder: Path
    server: PostHogServer

    def run(self, *line: str, variables: dict[str, str] | None = None) -> str:
        """What the command printed."""
        done = self.start(*line, variables=variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(
        self, *line: str, variables: dict[str, str] | None = None, path: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """The command, which may fail; programs in the folder `path` are found first."""
        paths = [*([str(path)] if path else []), str(CONNECTOR.parent), os.environ["PATH"]]
        quiet = {"AIRBYTE_OFFLINE_MODE": "1", "DO_NOT_TRACK": "1", "AIRBYTE_LOGGING_ROOT": str(self.folder / "logs")}
        environment = {**os.environ, **quiet, **(variables or {}), "PATH": os.pathsep.join(paths)}
        return subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

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

    def with_persons(self) -> list[list[Any]]:
        """Per name of an event: how many there are, and how many persons sent them."""
        persons = expected_keys(self.server.posthog.account)["persons"]
        events: Counter[str] = Counter()
        senders: dict[str, set[Any]] = {}
        for project in self.server.posthog.account.projects.values():
            known = {id: row["id"] for row in project.persons for id in row["distinct_ids"]}
            known = {id: person for id, person in known.items() if (project.id, person) in persons}
            for one in project.events:
                events[one.event] += 1
                senders.setdefault(one.event, set()).add(known.get(one.distinct_id))
        return [[name, number, len(senders[name] - {None})] for name, number in sorted(events.items())]


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with PostHogServer(small_account()) as server:
        (tmp_path / "config.json").write_text(json.dumps(config(server.url)))
        yield Reader(tmp_path, server)


def printed_counts(text: str) -> dict[str, int]:
    """The lines "number  name" or "name  number" of `text`."""
    first = re.findall(r"^ *(\d+)  (.+)$", text, re.MULTILINE)
    last = re.findall(r"^(\S.*?) +(\d+)$", text, re.MULTILINE)
    return {name: int(number) for number, name in [*first, *((number, name) for name, number in last)]}


def test_a_stream_is_read_into_a_list(reader: Reader) -> None:
    flags = expected_keys(reader.server.posthog.account)["feature_flags"]
    printed = reader.run(sys.executable, "-c", section(EXAMPLES, "Into a list"))
    assert printed.endswith(f"{len(flags)} feature flags\n")


def test_pandas_gets_all_events_and_then_what_is_new_if_there_is_something(reader: Reader) -> None:
    program = section(EXAMPLES, "Into pandas, only what is new")
    assert printed_counts(reader.run(sys.executable, "-c", program)) == reader.counts()
    assert reader.run(sys.executable, "-c", program).endswith("nothing new\n")
    reader.add_events()
    assert printed_counts(reader.run(sys.executable, "-c", program)) == {"$pageview": 2}


def test_pyairbyte_fills_a_duckdb_in_which_events_find_their_persons(reader: Reader) -> None:
    """A second run is tried in test_pyairbyte.py."""
    python = (str(pyairbyte() / "bin" / "python"), "-c")
    assert printed_counts(reader.run(*python, section(EXAMPLES, "Into DuckDB"))) == reader.counts()
    assert json.loads(reader.run(*python, ASK_DUCKDB, IN_DUCKDB)) == reader.with_persons()


def test_a_postgres_is_filled_with_what_is_new_and_events_find_their_persons(
    reader: Reader, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = (str(pyairbyte() / "bin" / "python"), "-c")
    with postgres.running(tmp_path_factory.mktemp("postgres")) as variables:

        def ask(sql: str) -> Any:
            return json.loads(reader.run(*python, ASK_POSTGRES, sql, variables=variables))

        program = section(EXAMPLES, "Into Postgres")
        reader.run(*python, program, variables=variables)
        assert sorted(id for (id,) in ask("select id from events")) == reader.ids()
        assert ask(IN_POSTGRES) == reader.with_persons()
        ask("delete from events returning id")
        added = reader.add_events()
        reader.run(*python, program, variables=variables)
        assert sorted(id for (id,) in ask("select id from events")) == sorted(one.id for one in added)


def test_the_shell_loop_keeps_its_last_state_and_says_why_a_sync_failed(reader: Reader) -> None:
    """The first sync misses a project. While the loop sleeps, events arrive; the second sync reads all that is left."""
    sleep = reader.folder / "bin" / "sleep"
    sleep.parent.mkdir()
    sleep.write_text("#!/bin/sh\n[ ! -e slept ] && touch slept\n")  # once, and then the loop breaks
    sleep.chmod(0o755)
    added: list[Event] = []

    def add(seen: Seen) -> bool:
        if (reader.folder / "slept").exists() and not added:
            added.extend(reader.add_events())
        return False

    reader.server.posthog.faults.add(Fault(stream="projects", when=add))

    def refuse(seen: Seen) -> bool:
        return seen.project_id == SMALL and not added

    reader.server.posthog.faults.add(Fault(stream="events", when=refuse, times=None, **no_project_access()))
    done = reader.start("bash", "-euo", "pipefail", "-c", section(EXAMPLES, "A shell loop"), path=sleep.parent)
    first, second = (output(path.read_text(), 0) for path in sorted(reader.folder.glob("events-*.jsonl")))
    failed, *reasons = done.stderr.splitlines()
    assert failed.startswith("failed: events-")
    assert reasons[:-1] == first.errors[:-1], "but for the summary, which the CDK writes"
    assert "Stream events, project 303" in reasons[0]
    assert sorted([*first.ids("events"), *second.ids("events")]) == reader.ids()
    assert added
    (kept,) = output((reader.folder / "state.jsonl").read_text(), 0).messages
    assert [kept["state"]["stream"]] == [one["stream"] for one in second.state]


def test_saved_output_becomes_a_parquet_file_with_each_event_once(reader: Reader) -> None:
    command = "source-posthog read --config config.json --catalog catalog.json"
    reader.run("sh", "-ec", f"source-posthog catalog events persons > catalog.json; {command} > first.jsonl")
    reader.add_events()
    reader.run("sh", "-ec", f"{command} > second.jsonl")  # without a state: all of them again
    python = str(pyairbyte() / "bin" / "python")
    assert reader.run(python, "-c", section(EXAMPLES, "Into Parquet")) == f"{len(reader.ids())} events\n"


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
    done = reader.start("bash", "-c", section(EXAMPLES, title))
    assert done.returncode == 1
    assert "does not accept the request" in done.stdout
