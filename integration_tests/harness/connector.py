"""Runs the connector as its users do, and reads what it printed."""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from io import StringIO
from itertools import islice
from operator import itemgetter
from pathlib import Path
from signal import SIGKILL
from typing import Any
from unittest.mock import patch

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.utils import AirbyteTracedException

from integration_tests.harness.forked import run_forked, until_killed
from posthog_server import KEY, Account
from posthog_server.api import STREAMS
from posthog_server.extra import EXTRA, extra_rows
from source_posthog import SourcePosthog

START_DATE = "2026-01-01T00:00:00Z"
AIRBYTE = logging.getLogger("airbyte")


@dataclass(frozen=True)
class Way:
    """One way to ask for events.

    Attributes:
        stream: as the embedded server counts its requests, and as a Fault names them.
        at_once: so many of them one project may run at the same time.
        options: of the connector's configuration.
        constants: what some constants of the connector are in place of their values, by their full names.
    """

    stream: str = "events"
    at_once: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)


CAP = 100  # rows of a page
# A day of more events than a page usually has is a dense one: else it takes 10,000.
SMALL_PAGES = {
    "source_posthog.streams.ways.FIRST_LIMIT": CAP,
    "source_posthog.exact.events.page_size.USUAL_LIMIT": CAP,
}

LIST = Way()
QUERY = Way("query", 3, {"events_api": "query"})  # by time, mostly: the accounts of the tests are small
RANGES = replace(QUERY, constants=SMALL_PAGES)  # in the order of storage


# Options that every configuration has, and constants that every process has; `by_way` replaces them.
COMMON: Mapping[str, Any] = {}
CONSTANTS: Mapping[str, int] = {}


@contextmanager
def by_way(way: Way) -> Iterator[None]:
    """Syncs go this way, in this process and in those of the command."""
    ours = {f"{__name__}.COMMON": way.options, f"{__name__}.CONSTANTS": way.constants}
    with ExitStack() as stack:
        for name, value in {**ours, **way.constants}.items():
            stack.enter_context(patch(name, value))
        yield


@dataclass
class Output:
    """What one run of the connector printed, and its exit status."""

    messages: list[dict[str, Any]]
    text: str
    status: int

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        """The content of the messages of one type, e.g. RECORD."""
        key = {"CONNECTION_STATUS": "connectionStatus"}.get(kind, kind.lower())
        return (message[key] for message in self.messages if message["type"] == kind)

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [record["data"] for record in self.of("RECORD") if record["stream"] == stream]

    def ids(self, stream: str) -> list[Any]:
        """The ids of a stream's records in the order of the ids; a record emitted twice is there twice."""
        return sorted(row["id"] for row in self.records(stream))

    def keys(self, stream: str) -> list[tuple[int, Any]]:
        """As `ids`, with the project of each: (project id, id). Of an extra stream, its owner, and its key in place of
        the id."""
        key_of = EXTRA[stream].owned_key_of if stream in EXTRA else itemgetter("project_id", "id")
        return sorted(key_of(row) for row in self.records(stream))

    @property
    def states(self) -> list[dict[str, Any]]:
        """The states of the events stream, oldest first."""
        return [
            state["stream"]["stream_state"]
            for state in self.of("STATE")
            if state["stream"]["stream_descriptor"]["name"] == "events"
        ]

    @property
    def state(self) -> list[dict[str, Any]]:
        """The last state of each stream, as the platform hands it to the next sync."""
        last = {state["stream"]["stream_descriptor"]["name"]: state for state in self.of("STATE")}
        return [{"type": "STREAM", "stream": state["stream"]} for state in last.values()]

    @property
    def errors(self) -> list[str]:
        """The sentences of the error traces."""
        return [trace["error"]["message"] for trace in self.of("TRACE") if trace["type"] == "ERROR"]

    @property
    def logs(self) -> list[str]:
        return [log["message"] for log in self.of("LOG")]

    def stream_status(self, stream: str) -> str:
        """The last status of a stream: COMPLETE or INCOMPLETE once it has ended."""
        statuses = [
            trace["stream_status"]["status"]
            for trace in self.of("TRACE")
            if trace["type"] == "STREAM_STATUS" and trace["stream_status"]["stream_descriptor"]["name"] == stream
        ]
        return str(statuses[-1]) if statuses else ""

    @property
    def connection(self) -> tuple[str, str]:
        """Status and sentence of a check."""
        (status,) = self.of("CONNECTION_STATUS")
        return status["status"], status.get("message") or ""


def config(url: str, **options: Any) -> dict[str, Any]:
    """A configuration for the server at `url`, with the key that may read all."""
    return {"api_key": KEY, "start_date": START_DATE, "base_url": url, **COMMON, **options}


def expected_keys(account: Account) -> dict[str, list[tuple[int, Any]]]:
    """(project id, id) of every row that each stream of `account` must give, as `Output.keys` has them."""
    projects = account.projects.values()
    keys: dict[str, list[tuple[int, Any]]] = {
        "projects": [(one.id, one.id) for one in projects],
        "events": [(one.id, event.id) for one in projects for event in one.events],
        "persons": [
            (one.id, row["id"])
            for one in projects
            for place, row in enumerate(one.persons)
            if place not in one.dropped_persons
        ],
        "annotations": [
            (one.id, row["id"])
            for one in projects
            for other in projects
            if one.organization == other.organization
            for row in other.annotations
            if (one is other or row.get("scope") == "organization") and not row.get("deleted")
        ],
    }
    for stream, hidden in {"cohorts": "deleted", "feature_flags": "archived", "insights": ""}.items():
        keys[stream] = [(one.id, row["id"]) for one in projects for row in getattr(one, stream) if not row.get(hidden)]
    for stream, extra in EXTRA.items():
        keys[stream] = [
            (owner, extra.key_of(row))
            for owner, rows in extra_rows(account, stream).items()
            for row in [*rows, *(extra.derived(account.projects[owner]) if extra.owner == "project" else [])]
            if extra.shown(row) and not extra.dropped(row)
        ]
    return {stream: sorted(rows) for stream, rows in keys.items()}


def catalog(*streams: str) -> dict[str, Any]:
    """A configured catalog of `streams`, of the seven where none is named; incremental where that is possible."""
    return {"streams": [_configured(stream) for stream in streams or STREAMS]}


def _configured(stream: str) -> dict[str, Any]:
    extra = EXTRA.get(stream)
    cursor = "timestamp" if stream == "events" else extra.cursor if extra else ""
    key = extra.primary_key() if extra else [["id"]]
    return {
        "stream": {
            "name": stream,
            "json_schema": {},
            "supported_sync_modes": ["full_refresh"] + ["incremental"] * bool(cursor),
            "source_defined_primary_key": key,
        },
        "sync_mode": "incremental" if cursor else "full_refresh",
        "destination_sync_mode": "append_dedup",
        "primary_key": key,
        "cursor_field": [cursor] if cursor else [],
    }


def legacy_state(timestamp: str, **projects: str) -> list[dict[str, Any]]:
    """A state of events from before 0.1.8, with entries of projects beside it where given (as p7="...")."""
    return events_state({"timestamp": timestamp, **_entries(projects)})


def project_state(**projects: str) -> list[dict[str, Any]]:
    """A state of events: project_state(p7="2026-01-01T00:00:00Z")."""
    return events_state(_entries(projects))


def _entries(projects: Mapping[str, str]) -> dict[str, Any]:
    return {project[1:]: {"timestamp": timestamp} for project, timestamp in projects.items()}


def events_state(stream_state: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "events"}, "stream_state": stream_state}}]


def arguments(folder: Path, command: str, **files: Any) -> list[str]:
    """The command line for `command`, with each of `files` (config, catalog, state) written into `folder`."""
    line = [command]
    for name, content in files.items():
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            line += [f"--{name}", str(path)]
    return line


@cache
def _built_once() -> SourcePosthog:
    return SourcePosthog()


def new_source() -> SourcePosthog:
    """As `SourcePosthog()`, which takes the CDK a third of a second: the manifest is read once a process."""
    source = copy(_built_once())
    source.message_repository = InMemoryMessageRepository()
    return source


def run(command: str, *flags: str, **files: Any) -> Output:
    """`launch(SourcePosthog(), [command, ...])` in this process."""
    printed, status, level = StringIO(), 0, AIRBYTE.level
    # The CDK prints to the interpreter's original stdout.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(printed), patch("sys.__stdout__", printed):
        try:
            launch(new_source(), [*arguments(Path(folder), command, **files), *flags])
        except AirbyteTracedException as error:
            error.emit_message()
            status = 1
        finally:
            AIRBYTE.setLevel(level)  # `--debug` sets it for the process
    return output(printed.getvalue(), status)


def run_command(command: str, *flags: str, **files: Any) -> Output:
    """The command `source-posthog` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return output(*run_forked([*arguments(Path(folder), command, **files), *flags], CONSTANTS))


def run_until_killed(until: int | Callable[[Iterator[bytes]], Iterator[bytes]], **files: Any) -> Output:
    """What `source-posthog read` prints until a SIGKILL, which comes once so many of its lines are read, or those that
    `until` takes of them."""
    take = (lambda lines: islice(lines, until)) if isinstance(until, int) else until
    with tempfile.TemporaryDirectory() as folder:
        read = until_killed(arguments(Path(folder), "read", **files), take, CONSTANTS)
    return output(b"".join(read).decode(), -SIGKILL)


def output(text: str, status: int) -> Output:
    """`text` as messages; a line that is not one fails, since a destination could not read it either."""
    try:
        messages = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError:
        raise AssertionError(f"Not all lines are messages:\n{text[-5000:]}") from None
    return Output(messages, text, status)
