"""Runs a connector in a process of its own against an embedded PostHog in another, and measures."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration_tests.harness.connector import arguments, catalog

PEER = "airbyte-source-posthog==1.1.28"
FOLDER = Path(".bench")
OURS = Path(sys.executable).with_name("source-posthog")


def peer() -> Path:
    """The command of the published connector, in an environment of its own; installed when first asked for."""
    command = FOLDER.absolute() / "peer" / "bin" / "source-posthog"
    if not command.exists():
        print(f"Installing {PEER} into {FOLDER / 'peer'} (once) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "peer"], check=True)
        subprocess.run([FOLDER / "peer" / "bin" / "pip", "install", "--quiet", PEER], check=True)
    return command


class Server:
    """The embedded PostHog in a process of its own; options as of its command line, e.g. events=1000."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/__stats__") as reply:
            return dict(json.load(reply))

    def reset(self) -> None:
        urllib.request.urlopen(f"{self.url}/__reset__").close()

    def event_requests(self) -> int:
        stats = self.stats()
        return int(stats.get("events", 0)) + int(stats.get("query", 0))

    def bytes_read(self) -> int:
        return sum(self.stats().get("bytes_read", {}).values())


@contextmanager
def server(**options: Any) -> Iterator[Server]:
    line = [sys.executable, "-m", "posthog_server"]
    for name, value in options.items():
        line += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Server(**json.loads(process.stdout.readline()))
        process.kill()


@dataclass
class Run:
    """What one read of the events took.

    Attributes:
        records, ids: records printed, and distinct ids among them.
        cpu: seconds of user and system time. wall: seconds. memory: the most that was held, MB.
        requests: event lists and queries that the server saw. state: what the next sync begins with.
        bytes_read: by the server for queries, where it counts them.
    """

    records: int
    ids: int
    cpu: float
    wall: float
    memory: float
    requests: int
    state: list[dict[str, Any]]
    bytes_read: int = 0


def read(
    command: Path,
    on: Server,
    start_date: str,
    state: list[dict[str, Any]] | None = None,
    pause: float = 0,
    **options: Any,
) -> Run:
    """Read the events with `command`. Raises where it fails. `pause`: seconds in which nobody takes its output."""
    on.reset()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = {"api_key": on.key, "start_date": start_date, "base_url": on.url, **options}
        line = [str(command), *arguments(folder, "read", config=config, catalog=catalog("events"), state=state)]
        # Not the path of this checkout, or the other connector would import ours.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with (folder / "out").open("wb") as out:
            begin = time.monotonic()
            process = subprocess.Popen(line, stdout=subprocess.PIPE if pause else out, cwd=folder, env=environment)
            if process.stdout:
                out.write(process.stdout.readline())
                time.sleep(pause)
                shutil.copyfileobj(process.stdout, out)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - begin
        if status:
            raise RuntimeError(f"{command} failed: {(folder / 'out').read_text()[-2000:]}")
        records, ids, states = 0, set(), []
        with (folder / "out").open() as lines:
            for text in lines:
                message = json.loads(text)
                if message["type"] == "RECORD":
                    records += 1
                    ids.add(message["record"]["data"]["id"])
                elif message["type"] == "STATE":
                    states = [{"type": "STREAM", "stream": message["state"]["stream"]}]
    cpu = usage.ru_utime + usage.ru_stime
    return Run(records, len(ids), cpu, wall, usage.ru_maxrss / 1024, on.event_requests(), states, on.bytes_read())


def start_up(command: Path) -> float:
    """Seconds that `spec` takes, the best of five."""
    times = []
    for _ in range(5):
        begin = time.monotonic()
        subprocess.run([command, "spec"], check=True, capture_output=True, cwd=tempfile.gettempdir())
        times.append(time.monotonic() - begin)
    return min(times)
