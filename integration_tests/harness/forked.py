"""`source-posthog` in processes of its own that do not each spend a second on imports and on the manifest.

They are forked from one that has done both (fork.py); all else is as in a process that a shell starts: arguments,
environment, files, output and exit status. The image's and the documents' tests start the command itself.
"""

import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from signal import SIGKILL
from typing import BinaryIO
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


def forked(
    arguments: list[str], out: str, constants: Mapping[str, int] | None = None, largest: int = 0
) -> tuple[int, str]:
    """The status of `source-posthog ARGUMENTS > OUT`, and what it prints on standard error. Raises as `run_forked`.

    `largest`: the bytes that its files may have.
    """
    with tempfile.TemporaryDirectory() as folder:
        errors = Path(folder) / "errors"
        process = started(arguments, out, str(errors), constants, largest)
        return status_of(process), errors.read_text()


@contextmanager
def piped(arguments: list[str], errors: str, constants: Mapping[str, int] | None = None) -> Iterator["Piped"]:
    """`source-posthog ARGUMENTS 2> ERRORS`, whose output nobody reads but the test; killed where it still runs."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe)
        process = started(arguments, str(pipe), errors, constants)
        with pipe.open("rb") as stdout:
            try:
                yield Piped(process, stdout)
            finally:
                process.kill()
                process.join(LONGEST_RUN)


@dataclass
class Piped:
    """A process, and the end of its pipe from which its standard output is read."""

    process: BaseProcess
    stdout: BinaryIO


def until_killed(
    arguments: list[str], take: Callable[[Iterator[bytes]], Iterator[bytes]], constants: Mapping[str, int]
) -> list[bytes]:
    """The lines that `source-posthog ARGUMENTS` prints until a SIGKILL, which comes once those are read that `take`
    takes of them. `constants` as above.

    The last one may be torn, and is left out then: no destination takes such a line.
    """
    with piped(arguments, os.devnull, constants) as running:
        read = list(take(running.stdout))
        running.process.kill()
        read += [line for line in running.stdout if line.endswith(b"}\n")]
        running.process.join(LONGEST_RUN)
        assert running.process.exitcode == -SIGKILL, "it ended before it could be killed"
        return read


def started(
    arguments: list[str], out: str, errors: str, constants: Mapping[str, int] | None = None, largest: int = 0
) -> BaseProcess:
    """`source-posthog ARGUMENTS > OUT 2> ERRORS`, which has just begun. Each can be a file, a pipe or a terminal."""
    line = (arguments, out, errors, dict(os.environ), constants or {}, largest)
    process = FORKS.Process(target=_run, args=line)
    process.start()
    return process


def status_of(process: BaseProcess) -> int:
    """The exit status. Raises TimeoutError where it does not end."""
    process.join(LONGEST_RUN)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError("source-posthog did not end")
    return process.exitcode


def _run(
    arguments: list[str],
    out: str,
    errors: str,
    environment: dict[str, str],
    constants: Mapping[str, int],
    largest: int,
) -> None:
    os.environ.clear()  # that of whoever forks these processes, as it was when it began
    os.environ.update(environment)
    for name, value in constants.items():
        patch(name, value).start()
    for path, descriptor in ((out, 1), (errors, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOCTTY)
        os.dup2(file, descriptor)
        os.close(file)
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    sys.argv = ["source-posthog", *arguments]
    from source_posthog.run import run

    run()
