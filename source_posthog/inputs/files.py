"""Reads the files of the command line, and says in one sentence what is wrong with one."""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, TextIO

import orjson
from airbyte_cdk.models import (
    AirbyteStateMessage,
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    FailureType,
    Type,
)
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.inputs.configuration import MOST_CONFIG_LEVELS, is_deep
from source_posthog.inputs.pasted import STATES, Unexpected, as_states

logger = logging.getLogger("airbyte")

MESSAGES = {*(kind.value for kind in Type), "DEBUG"}  # the last is the CDK's own, for --debug

CONFIGURED = '{"streams": [{"stream": {...}, "sync_mode": "...", "destination_sync_mode": "..."}]}'
SAMPLE = "`source-posthog catalog` prints one"
EXPECTED = {
    "config": 'an object with the options: {"api_key": "...", "start_date": "2026-01-01T00:00:00Z"}',
    "catalog": f"a configured catalog: {CONFIGURED}; {SAMPLE}",
    "state": 'a list of states: [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "events"}, '
    '"stream_state": {...}}}], or what an earlier `read` printed',
}


def read_config(path: str) -> dict[str, Any]:
    """The object in the file at `path`. This and the other two raise AirbyteTracedException (config_error)."""
    with _opened("config", path) as file:
        config = json.loads(file.read())
        if not isinstance(config, dict):
            raise Unexpected
        return config


def read_catalog(path: str) -> ConfiguredAirbyteCatalog:
    with _opened("catalog", path) as file:
        text = file.read()
        if _is_discovered(text):
            raise _problem(
                f"The catalog file {path} is the output of `discover`, which lists all that can be read. A sync needs "
                f"a configured catalog, which says what to read and how: {CONFIGURED}; {SAMPLE} of all streams."
            )
        catalog = json.loads(text)
        _require_shallow(catalog)
        _require_schemas(catalog)
        return _loaded(ConfiguredAirbyteCatalogSerializer, catalog)


def _is_discovered(text: str) -> bool:
    """Whether `text` is the output of `discover`, its CATALOG message, or the catalog in it."""
    try:
        contents = [json.loads(text)]
    except ValueError:
        contents = list(_messages(text.splitlines()))
    for content in contents:
        if isinstance(content, dict):
            streams = content.get("streams")
            if content.get("type") == "CATALOG":
                return True
            if isinstance(streams, list) and any(isinstance(one, dict) and "json_schema" in one for one in streams):
                return True
    return False


def read_state(path: str | None) -> list[AirbyteStateMessage]:
    """The states in the file at `path`, the last one of each stream.

    The file is a list of states, as Airbyte gives it, or what a sync printed: its output as it is, read line by line
    since it can be large, or its STATE messages, in lines or in a list. Lines that are no message are ignored: the last
    one of a sync that was killed can be half a line. An empty file is the output of a sync that printed nothing.
    It may also be in one of the forms of pasted.py.
    """
    if not path:
        return []
    with _opened("state", path) as file:
        first = ""
        for line in file:
            first += line
            if line.strip():
                break
        is_output = bool(list(_messages([first])))
        if is_output or not first.strip():
            contents: Iterable[Any] = _messages(chain([first], file))
        else:
            contents = _listed(first + file.read())
        states: dict[tuple[str | None, str] | None, AirbyteStateMessage] = {}
        for content in contents:
            if content.get("type") == "STATE":
                content = content.get("state")
            elif content.get("type") in MESSAGES:
                continue
            _require_shallow(content)
            state = _loaded(AirbyteStateMessageSerializer, content)
            if state.stream is None and state.data is None and state.global_ is None:
                raise Unexpected
            name = state.stream.stream_descriptor if state.stream else None
            states.pop(key := name and (name.namespace, name.name), None)  # the last one counts, and comes last
            states[key] = state
    if is_output and not states:
        logger.warning(f"The state file {path} has no state, so this is a first sync.")
    elif not states:  # as the platform has it for the first one
        logger.info(f"The state file {path} is empty, so this is a first sync.")
    return list(states.values())


def _messages(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The protocol's messages and the states in `lines`."""
    for line in lines:
        try:
            content = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict) and content.get("type") in MESSAGES | STATES:
            yield content


def _listed(text: str) -> list[Any]:
    """`text` as a list of states or messages."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        if messages := list(_messages(text.splitlines())):
            return messages
        raise
    contents = as_states(content)
    if not all(isinstance(one, dict) for one in contents):
        raise Unexpected
    return contents


def _loaded(serializer: Any, content: Any) -> Any:
    try:
        return serializer.load(content)
    except Exception as error:  # the serializers of the protocol's messages raise errors of their own
        faults = [_field_fault(one.instance_path, one.message) for one in getattr(error, "errors", [])]
        raise Unexpected(*faults[:1]) from error


def _field_fault(path: str, message: str) -> str:
    """What is wrong with the field at `path`, without its value, which `message` begins with.

    "streams/0/sync_mode", '"all" is not one of ["full_refresh", "incremental"]' ->
    '`streams[0].sync_mode` must be one of ["full_refresh", "incremental"]'
    """
    field = re.sub(r"/(\d+)", r"[\1]", path).replace("/", ".")
    if not field:
        return ""
    if message.endswith(" is a required property"):
        return f"`{field}` is missing"
    fault = re.search(r"(one of \[[^]]*\]|of type \"\w+\")$", message)
    return f"`{field}` must be {fault[0]}" if fault else f"`{field}` is not valid"


def _place(error: json.JSONDecodeError) -> str:
    return f"line {error.lineno}, column {error.colno}: {error.msg.removesuffix(' at').removesuffix(' starting')}"


def _require_schemas(catalog: Any) -> None:
    """What the serializer refuses without a word of the field."""
    streams = catalog.get("streams") if isinstance(catalog, dict) else None
    for place, one in enumerate(streams if isinstance(streams, list) else []):
        match one:
            case {"stream": {"json_schema": schema}} if not isinstance(schema, dict):
                raise Unexpected(f'`streams[{place}].stream.json_schema` must be of type "object"')


def _require_shallow(content: Any) -> None:
    if is_deep(content):
        raise RecursionError


@contextmanager
def _opened(kind: str, path: str) -> Iterator[TextIO]:
    """The file at `path`; says what is wrong with it, whatever comes up while it is read."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield file
            return
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        reason = "is not a text file"
    except RecursionError:
        reason = f"has more than {MOST_CONFIG_LEVELS} levels"
    except json.JSONDecodeError as error:
        reason = f"is not JSON ({_place(error)})" if error.doc.strip() else "is not JSON, since it is empty"
    except ValueError:  # a number of thousands of digits
        reason = "is not JSON"
    except Unexpected as error:
        reason = f"is JSON, but not a {kind}" + (f": {error}" if str(error) else "")
    raise _problem(f"The {kind} file {path} {reason}. Expected: {EXPECTED[kind]}.")


def _problem(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, failure_type=FailureType.config_error)
