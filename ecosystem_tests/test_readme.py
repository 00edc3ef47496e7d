"""The README's recipe of a first sync and the next, as a shell runs it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from integration_tests.harness.connector import config, output
from integration_tests.test_state_file import ONE_WINDOW, ago
from posthog_server import PostHogServer, account_with, event
from posthog_server.environments import ROOT


def readme_recipe() -> list[str]:
    """The commands of README's shell blocks that read, as they stand there."""
    text = (ROOT / "README.md").read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line.startswith(("source-posthog catalog ", "source-posthog read "))]


def test_the_recipe_of_the_readme_goes_on_from_the_first_sync(tmp_path: Path) -> None:
    command = tmp_path / "source-posthog"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {sys.executable} -m source_posthog.run "$@"\n'
    )
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with PostHogServer(account_with({7: [event(ago(57)), event(ago(27))], 8: [event(ago(26))]})) as server:
        (tmp_path / "config.json").write_text(json.dumps(config(server.url, **ONE_WINDOW)))
        for line in readme_recipe():
            subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, check=True, timeout=300)
            if " read " in line:
                server.posthog.account.projects[7].add_events([event(ago(20))])
    printed = [output((tmp_path / name).read_text(), 0) for name in ("first.jsonl", "second.jsonl")]
    # The second begins with the last event of each project, and finds the one that is new.
    assert [len(one.records("events")) for one in printed] == [3, 3]
