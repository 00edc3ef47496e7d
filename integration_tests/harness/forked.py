"""`source-posthog` in processes of its own that do not each spend a second on imports and on the manifest.

They are forked from one that has done both (fork.py); all else is as in a process that a shell starts: arguments,
environment, files, output and exit status. The image's and the documents' tests start the command itself.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from signal import SIGKILL
from unittest.mock import patch

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["integration_tests.harness.fork"])
LONGEST_RUN = 300  # seconds

COMMAND = [sys.executable, "-m", "source_posthog.run"]  # for the tests that need an interpreter of their own


def run_forked(arguments: list[str], constants: Mapping[str, int]) -> tuple[str, int]:
    """What `source-posthog ARGUMENTS` prints, and its exit status. Raises TimeoutError where it does not end.

    `constants`: what some constants of the connector are in place of their values, by their full names.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        status, errors = forked(arguments, str(out), constants)
        return out.read_text() + errors, status


def forked(arguments: list[str], out: str, constants: Mapping[str, int] | None = None) -> tuple[int, str]:
    """The status of `source-posthog ARGUMENTS > OUT`, and what it prints on standard error. Raises as `run_forked`."""
    with tempfile.TemporaryDirectory() as folder:
        err = Path(folder) / "err"
        process = FORKS.Process(target=_run, args=(arguments, out, str(err), dict(os.environ), constants or {}))
        process.start()
        process.join(LONGEST_RUN)
        status = process.exitcode
        if status is None:
            process.kill()
            raise TimeoutError(f"source-posthog {' '.join(arguments)} did not end")
        return status, err.read_text()


def until_killed(
    arguments: list[str], take: Callable[[Iterator[bytes]], Iterator[bytes]], constants: Mapping[str, int]
) -> list[bytes]:
    """The lines that `source-posthog ARGUMENTS` prints until a SIGKILL, which comes once those are read that `take`
    takes of them. `constants` as above.

    The last one may be torn, and is left out then: no destination takes such a line.
    """
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe)
        line = (arguments, str(pipe), os.devnull, dict(os.environ), constants)
        process = FORKS.Process(target=_run, args=line)
        process.start()
        with pipe.open("rb") as printed:
            read = list(take(printed))
            process.kill()
            read += [line for line in printed if line.endswith(b"}\n")]
        process.join(LONGEST_RUN)
        assert process.exitcode == -SIGKILL, "it ended before it could be killed"
        return read


def _run(arguments: list[str], out: str, err: str, environment: dict[str, str], constants: Mapping[str, int]) -> None:
    os.environ.clear()  # that of whoever forks these processes, as it was when it began
    os.environ.update(environment)
    for name, value in constants.items():
        patch(name, value).start()
    for path, descriptor in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    sys.argv = ["source-posthog", *arguments]
    from source_posthog.run import run

    run()
