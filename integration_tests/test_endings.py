"""When nobody reads any more, or nothing can be written, the connector ends: within seconds, without a traceback."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from integration_tests.harness import dense as dense_days
from integration_tests.harness.connector import arguments, catalog, config
from integration_tests.harness.forked import Piped, forked, piped, status_of
from integration_tests.harness.in_process import URL, answers_from
from posthog_server import (
    DAY,
    Fault,
    PostHog,
    PostHogServer,
    Seen,
    account_with,
    make_events,
    microseconds,
    throttled,
)
from source_posthog import SourcePosthog, engine
from source_posthog.command.reader import OutputReader

ENOUGH = 300.0  # seconds for a process to end, on a machine however busy; it would wait for 2,000 otherwise
MORE_THAN_THE_QUEUE_HOLDS = 25_000
START = microseconds("2026-01-01T00:00:00Z")


@pytest.fixture(autouse=True)
def waits() -> None:
    """They take their time."""


@dataclass
class Moments:
    """A PostHog with many events and few cohorts, and the moments that the tests wait for."""

    url: str
    posthog: PostHog
    full: threading.Event = field(default_factory=threading.Event)  # more was asked for than the queue holds
    throttled: threading.Event = field(default_factory=threading.Event)  # a request was refused for 2,000 s

    def of(self, stream: str) -> threading.Event:
        return self.full if stream == "events" else self.throttled

    def see(self, seen: Seen) -> bool:
        if seen.stream == "events" and self.posthog.count("events") * 1000 > engine.LONGEST_QUEUE + 2000:
            self.full.set()
        return False

    def refuse(self, stream: str, skip: int = 0, thread: str = "") -> None:
        """Throttle `stream` for 2,000 s from now on, or after so many requests; where the server answers in the
        threads that ask, those of the threads with this name."""

        def note(_: Seen) -> bool:
            if thread and threading.current_thread().name != thread:
                return False
            if fault.skipped == skip:
                self.throttled.set()
            return True

        fault = Fault(stream=stream, skip=skip, when=note, times=None, **throttled(2000))
        self.posthog.faults.add(fault)


@pytest.fixture
def server() -> Iterator[Moments]:
    events = make_events(MORE_THAN_THE_QUEUE_HOLDS, random.Random(1), start=START, span=20 * DAY, project=7)
    with PostHogServer(account_with({7: events})) as running:
        moments = Moments(running.url, running.posthog)
        running.posthog.faults.add(Fault(when=moments.see))
        moments.refuse("cohorts")
        yield moments


@contextmanager
def process(*line: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process whose output nobody reads but the test."""
    command = [sys.executable, *line]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


class Reading:
    """The command `source-posthog read`, whose output nobody reads but the test."""

    def __init__(self, running: Piped, errors: Path) -> None:
        self._running, self._errors = running, errors

    def first_line(self) -> bytes:
        return self._running.stdout.readline()

    def close_its_output(self) -> None:
        self._running.stdout.close()

    def send_signal(self, number: int) -> None:
        assert self._running.process.pid
        os.kill(self._running.process.pid, number)

    def end(self) -> tuple[int, str]:
        """Its status, and what it said on standard error."""
        return status_of(self._running.process), self._errors.read_text()


@contextmanager
def reading(url: str, folder: Path, *streams: str) -> Iterator[Reading]:
    line = arguments(folder, "read", config=config(url), catalog=catalog(*streams))
    with piped(line, str(folder / "errors")) as running:
        yield Reading(running, folder / "errors")


SITUATIONS = pytest.mark.parametrize(
    "stream", ["events", "cohorts"], ids=["while its queue is full", "while it waits for a throttle"]
)


@SITUATIONS
def test_the_command_ends_when_the_other_end_of_its_pipe_is_closed(
    server: Moments, stream: str, tmp_path: Path
) -> None:
    with reading(server.url, tmp_path, stream) as running:
        assert json.loads(running.first_line())
        assert server.of(stream).wait(ENOUGH)
        running.close_its_output()
        assert running.end() == (141, "")


@SITUATIONS
def test_the_command_ends_with_130_after_ctrl_c_also_when_nobody_takes_its_output(
    server: Moments, stream: str, tmp_path: Path
) -> None:
    with reading(server.url, tmp_path, stream) as running:
        assert json.loads(running.first_line())
        assert server.of(stream).wait(ENOUGH)
        running.send_signal(signal.SIGINT)
        assert running.end() == (130, "")


def test_the_command_ends_with_130_after_ctrl_c_while_it_lists_the_projects(server: Moments, tmp_path: Path) -> None:
    """In an interpreter of its own, as a shell starts it."""
    server.refuse("projects")
    line = arguments(tmp_path, "read", config=config(server.url), catalog=catalog("events"))
    with process("-m", "source_posthog.run", *line) as running:
        assert server.throttled.wait(ENOUGH)
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=ENOUGH)[1] == ""
        assert running.returncode == 130


def test_the_command_ends_with_143_after_sigterm(server: Moments, tmp_path: Path) -> None:
    with reading(server.url, tmp_path, "cohorts") as running:
        assert json.loads(running.first_line())
        assert server.throttled.wait(ENOUGH)
        running.send_signal(signal.SIGTERM)
        assert running.end() == (143, "")


EARLY = """
import os, sys

class Interruption:
    def find_spec(self, name, *_):
        if name == "airbyte_cdk":
            os.kill(os.getpid(), {number})

from source_posthog.run import run  # takes no time: what does is imported by the next line
assert "airbyte_cdk" not in sys.modules
sys.meta_path.insert(0, Interruption())
sys.argv = ["source-posthog", "spec"]
run()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_command_silently_also_while_it_is_being_imported(number: int, status: int) -> None:
    with process("-c", EARLY.format(number=int(number))) as running:
        assert running.communicate(timeout=ENOUGH) == ("", "")
        assert running.returncode == status


# --- an output that cannot be written

NO_ROOM = (
    "The output cannot be written (No space left on device): what was written before is valid, up to its last line.\n"
)


@pytest.mark.parametrize("command", ["read", "catalog", "--help", "--version", "spec"])
def test_a_full_disk_is_one_sentence(server: Moments, command: str, tmp_path: Path) -> None:
    files = {"config": config(server.url), "catalog": catalog("projects", "events")} if command == "read" else {}
    never = {"source_posthog.command.reader.LONGEST_END": 10_000}  # it does not end just because time is up
    assert forked(arguments(tmp_path, command, **files), "/dev/full", never) == (1, NO_ROOM)


def test_a_file_that_may_not_grow_is_one_sentence_and_what_it_has_is_valid(server: Moments, tmp_path: Path) -> None:
    line = arguments(tmp_path, "read", config=config(server.url), catalog=catalog("events"))
    limit = 200_000
    never = {"source_posthog.command.reader.LONGEST_END": 10_000}  # it does not end just because time is up
    done = forked(line, str(tmp_path / "out"), never, largest=limit)
    assert done == (1, NO_ROOM.replace("No space left on device", "File too large"))
    *lines, last = (tmp_path / "out").read_bytes().split(b"\n")
    assert all(json.loads(one) for one in lines)
    assert limit - 20_000 < sum(map(len, [*lines, last])) + len(lines) <= limit


def test_the_main_thread_is_woken_where_another_one_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr(OutputReader, "_leave_soon", lambda _: None)
    monkeypatch.setattr(OutputReader, "_wake_the_main_thread", lambda _: woken.append("main"))
    reader = OutputReader()
    reader.cannot_write(OSError(28, "No space left on device"))
    assert (reader.status, woken) == (1, [])
    thread = threading.Thread(target=reader.cannot_write, args=(OSError(28, "No space left on device"),))
    thread.start()
    thread.join()
    assert woken == ["main"]


def test_standard_output_that_is_closed_is_one_sentence() -> None:
    line = f"{sys.executable} -m source_posthog.run spec >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("The output cannot be written (it is closed)")


PROGRAM = """
import sys
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, Type
from integration_tests.harness.connector import catalog, config
from source_posthog import SourcePosthog

wanted = ConfiguredAirbyteCatalogSerializer.load(catalog("events", "cohorts"))
{body}
"""
BREAK = """
for message in SourcePosthog().read(None, config(sys.argv[1]), wanted):
    if message.type is Type.RECORD:
        break
"""
KEEP = """
messages = SourcePosthog().read(None, config(sys.argv[1]), wanted)
for message in messages:
    if message.type is Type.RECORD:
        break
"""
RAISE = """
for message in SourcePosthog().read(None, config(sys.argv[1]), wanted):
    if message.type is Type.RECORD:
        raise SystemExit(3)
"""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(BREAK, 0, id="break", marks=pytest.mark.only_long),
        pytest.param(KEEP, 0, id="break, and keep the generator"),
        pytest.param(RAISE, 3, id="raise", marks=pytest.mark.only_long),
    ],
)
def test_a_python_program_that_stops_iterating_ends(server: Moments, body: str, status: int) -> None:
    with process("-c", PROGRAM.format(body=body), server.url) as running:
        assert running.communicate(timeout=ENOUGH)[1] == ""
        assert running.returncode == status


def threads_of(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads of the connector that were not there before."""
    found = (thread for thread in threading.enumerate() if thread not in before)
    return [thread for thread in found if thread.name.startswith(("worker", "ahead"))]


def stop_by_close(messages: Iterator[object]) -> None:
    messages.close()  # type: ignore[attr-defined]  # a generator, as far as this test knows


def stop_by_error(messages: Iterator[object]) -> None:
    with pytest.raises(KeyboardInterrupt):
        messages.throw(KeyboardInterrupt)  # type: ignore[attr-defined]


@pytest.mark.parametrize("stop", [stop_by_close, stop_by_error], ids=["close", "Ctrl-C"])
@pytest.mark.parametrize("queue", [10, engine.LONGEST_QUEUE], ids=["queue full", "queue with room"])
def test_a_program_that_lives_on_keeps_no_thread_of_a_sync_it_gave_up(
    stop: Callable[[Iterator[object]], None], queue: int
) -> None:
    before = set(threading.enumerate())
    events = {
        project: make_events(2_000, random.Random(project), start=START, span=20 * DAY, project=project)
        for project in (7, 8)
    }
    wanted = ConfiguredAirbyteCatalogSerializer.load(catalog())
    with patch.object(engine, "LONGEST_QUEUE", queue), answers_from(PostHog(account_with(events), cap=100)):
        messages = SourcePosthog().read(None, config(URL), wanted)
        assert any(message.type.value == "RECORD" for message in messages)
        running = threads_of(before)
        assert running
        stop(messages)
        for thread in running:
            thread.join(ENOUGH)
    assert threads_of(before) == []


def test_such_a_program_keeps_none_that_waits_for_a_throttle_either(by_ranges: None) -> None:
    """Neither a worker nor what is asked for ahead."""
    before, moments = set(threading.enumerate()), Moments("", dense_days.server(dense_days.dense(3, 1500)))
    moments.refuse("query", skip=8, thread="ahead")
    wanted = ConfiguredAirbyteCatalogSerializer.load(catalog("events"))
    with answers_from(moments.posthog):
        messages = SourcePosthog().read(None, config(URL), wanted)
        assert any(message.type.value == "RECORD" for message in messages)
        assert moments.throttled.wait(ENOUGH)
        running = threads_of(before)
        assert {thread.name.partition("-")[0] for thread in running} == {"worker", "ahead"}
        stop_by_close(messages)
        for thread in [*running, *threads_of(before)]:
            thread.join(ENOUGH)
        for thread in threads_of(before):  # which a worker began meanwhile
            thread.join(ENOUGH)
    assert threads_of(before) == []


def test_a_sync_that_came_to_its_end_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    wanted = ConfiguredAirbyteCatalogSerializer.load(catalog())
    with answers_from(PostHog(account_with({7: make_events(10, random.Random(1), start=START, span=DAY)}))):
        for message in SourcePosthog().read(None, config(URL), wanted):
            assert message
    for thread in threads_of(before):
        thread.join(ENOUGH)
    assert threads_of(before) == []
