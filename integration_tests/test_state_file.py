"""The state of the next sync is what this one printed, in whatever form it is given (19)."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.connector import Output, catalog, config, output, project_state, run
from integration_tests.posthog_server import PostHogServer, account_with, event

ROOT = Path(__file__).parents[1]


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: [event("2026-11-01T00:00:00Z")], 8: [event("2026-11-02T00:00:00Z")]})) as one:
        yield one


def warnings(got: Output) -> list[str]:
    return [log["message"] for log in got.of("LOG") if log["level"] == "WARN"]


def read(server: PostHogServer, state: Any = None, **options: Any) -> Output:
    return run("read", config=config(server.url, **options), catalog=catalog("events"), state=state)


STATE_FORMS: dict[str, Callable[[Output], Any]] = {
    "the whole output": lambda got: got.text,
    "with half a line at the end": lambda got: got.text + got.text.splitlines()[-1][:40],
    "after a line of something else": lambda got: "warning: something else\n" + got.text,
    "its STATE lines": lambda got: "\n".join(json.dumps(one) for one in got.messages if one["type"] == "STATE"),
    "the last STATE line of events": lambda got: json.dumps(of_events(got)),
    "the same, in a list": lambda got: [of_events(got)],
    "the same, in many lines": lambda got: json.dumps(of_events(got), indent=2),
    "its STATE messages in a list": lambda got: [one for one in got.messages if one["type"] == "STATE"],
    "a list with a message a line": lambda got: (
        "[\n" + ",\n".join(json.dumps(one) for one in got.messages if one["type"] == "STATE") + "\n]"
    ),
    "all messages in a list": lambda got: got.messages,
    "states in lines": lambda got: "\n".join(map(json.dumps, got.state)),
    "Airbyte's own list": lambda got: got.state,
}


def of_events(got: Output) -> dict[str, Any]:
    return [
        one
        for one in got.messages
        if one["type"] == "STATE" and one["state"]["stream"]["stream_descriptor"]["name"] == "events"
    ][-1]


def rows_of(got: Output, project: int) -> list[dict[str, Any]]:
    return [row for row in got.records("events") if row["project_id"] == project]


@pytest.mark.parametrize("form", STATE_FORMS)
def test_the_state_may_be_what_a_sync_printed(form: str, server: PostHogServer) -> None:
    files = {"config": config(server.url, events_lookback_hours=0), "catalog": catalog("cohorts", "events", "insights")}
    server.posthog.account.projects[8].add_events([event("2026-10-01T00:00:00Z"), event("2026-10-02T00:00:00Z")])
    first = run("read", **files)
    assert (first.status, len(first.records("events"))) == (0, 4)
    server.posthog.account.projects[8].add_events([new := event("2026-11-05T00:00:00Z")])
    second = run("read", **files, state=STATE_FORMS[form](first))
    newest = [max(rows_of(first, project), key=lambda row: row["timestamp"])["id"] for project in (7, 8)]
    assert (second.status, second.ids("events")) == (0, sorted([*newest, new.id]))
    assert warnings(second) == []


def test_the_last_state_of_a_stream_is_the_one_that_counts(server: PostHogServer) -> None:
    states = [{"type": "STATE", "state": one} for one in project_state(p7="2026-01-01T00:00:00Z")]
    states += [{"type": "STATE", "state": one} for one in project_state(p7="2026-12-01T00:00:00Z")]
    got = read(server, "\n".join(map(json.dumps, states)), project_ids=[7])
    assert (got.status, got.ids("events")) == (0, [])


def test_output_without_a_state_is_a_first_sync_and_says_so(server: PostHogServer) -> None:
    got = read(server, json.dumps({"type": "LOG", "log": {"level": "INFO", "message": "x"}}) + "\n")
    assert (got.status, len(got.records("events"))) == (0, 2)
    assert "has no state, so this is a first sync" in " ".join(warnings(got))


@pytest.mark.parametrize("state", [[], {}, "null"])
def test_an_empty_state_is_a_first_sync_without_a_word(server: PostHogServer, state: Any) -> None:
    got = read(server, state)
    assert (got.status, len(got.records("events")), warnings(got)) == (0, 2, [])


def readme_recipe() -> list[str]:
    """The commands of README's shell blocks that read, as they stand there."""
    text = (ROOT / "README.md").read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line.startswith(("source-posthog catalog ", "source-posthog read "))]


def test_the_recipe_of_the_readme_goes_on_from_the_first_sync(server: PostHogServer, tmp_path: Path) -> None:
    command = tmp_path / "source-posthog"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -m source_posthog.run "$@"\n'
    )
    command.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps(config(server.url, events_lookback_hours=0)))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    server.posthog.account.projects[7].add_events([event("2026-10-01T00:00:00Z")])
    for line in readme_recipe():
        subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, check=True, timeout=300)
        if " read " in line:
            server.posthog.account.projects[7].add_events([event("2026-11-05T00:00:00Z")])
    printed = [output((tmp_path / name).read_text(), 0) for name in ("first.jsonl", "second.jsonl")]
    # The second begins with the last event of each project, and finds the one that is new.
    assert [len(one.records("events")) for one in printed] == [3, 3]
