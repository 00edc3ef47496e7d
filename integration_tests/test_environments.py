"""What the tests install and leave behind."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from posthog_server import environments
from posthog_server.clickhouse import Engine
from posthog_server.clickhouse.scratch import Scratch
from posthog_server.environments import ROOT

HANGS = """
from posthog_server.clickhouse import Engine
with Engine() as engine:
    engine.run("CREATE TABLE t (id Int8) ENGINE = Memory")
    print(engine.scratch.folder, flush=True)
    input()
"""


def test_an_environment_is_made_once_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def install(folder: Path, *_: str) -> None:
        (folder / "library").write_bytes(bytes(3_000_000))

    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments, "install", install)
    for _ in range(2):
        environments.environment("other", "--no-deps", "library==1.0", f"{tmp_path}{os.sep}locked")
    first, second = capsys.readouterr().err.splitlines()
    assert first == "Installing into .venv-other (once): library==1.0 locked ..."
    assert second.startswith("Installed .venv-other: 4 MB in ")  # with those of Python's own


def test_the_folder_of_a_killed_clickhouse_is_removed_by_the_next_one_and_that_of_a_running_one_stays(
    engine: Engine,
) -> None:
    line = [sys.executable, "-c", HANGS]
    with subprocess.Popen(
        line, cwd=ROOT, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        Scratch(left.parent).remove()
        assert list(left.iterdir()), "its files are here"
        os.killpg(killed.pid, signal.SIGKILL)
    wait_until_unused(left)
    Scratch(left.parent).remove()
    assert not left.exists()
    assert engine.scratch.folder.exists()


def wait_until_unused(folder: Path) -> None:
    """Until the last process that has the lock is gone."""
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
