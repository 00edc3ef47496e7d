"""The command line: the CDK's commands, two of our own, and every message on a line of one form."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import AirbyteMessageSerializer, ConfiguredAirbyteCatalogSerializer
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.errors import error_trace
from source_posthog.command.console import Console
from source_posthog.command.output import CannotWrite
from source_posthog.command.version import NAME, version_line
from source_posthog.inputs.catalog import configured_catalog
from source_posthog.inputs.files import read_config
from source_posthog.inputs.masking import without_secrets
from source_posthog.source import SourcePosthog

logger = logging.getLogger("airbyte")

ALSO = f"""
also:
  {NAME} catalog [STREAM ...]  a configured catalog of these streams, or of all
  {NAME} --version             name, version and commit
"""

# Any valid configuration has the same streams, but for those that a configuration itself defines.
ANY_CONFIG = {"api_key": "phx_", "start_date": "2026-01-01T00:00:00Z"}

ANSWERS = {"catalog", "--version", "--help", "-h"}  # print something else than messages


def main(arguments: Sequence[str]) -> int:
    """Do what the command line's `arguments` ask for, and return the exit status.

    An error is a sentence: a trace message, or on standard error where messages are not asked for.
    """
    with Console(is_answer=arguments[0] in ANSWERS).instead() as console:
        try:
            execute(arguments, console.show)
            return 0
        except (BrokenPipeError, CannotWrite):
            raise
        except AirbyteTracedException as error:
            failure = error
        except Exception as error:  # a fault of ours
            sentence = f"The command failed with an unexpected {type(error).__name__} ({error}). Please report it."
            logger.critical(sentence, exc_info=error)
            failure = AirbyteTracedException.from_exception(error, message=sentence)
        line = _error_line(failure)
        if not console.is_answer:
            print(line)
        console.show(line)
        return 1


def execute(arguments: Sequence[str], show: Callable[[str], None] = lambda _: None) -> None:
    """Do what the command line's `arguments` ask for, and `show` each message that is printed. Raises as the CDK's
    `launch`."""
    match arguments:
        case ["--version"]:
            print(version_line())
        case ["catalog", *rest]:
            _print_catalog(rest)
        case _:
            _launch(arguments, show)


def _launch(arguments: Sequence[str], show: Callable[[str], None]) -> None:
    try:
        parsed = AirbyteEntrypoint.parse_args(list(arguments))
    except SystemExit as ended:
        if arguments[0] not in ("spec", "check", "discover", "read"):
            print(ALSO, end="", file=sys.stderr if ended.code else sys.stdout)
        raise
    for option in ("manifest_path", "components_path"):  # of the CDK's connectors that have none of their own
        if getattr(parsed, option, None):
            logger.warning(f"--{option.replace('_', '-')} is ignored: the connector has its own.")
    entrypoint, errors = AirbyteEntrypoint(SourcePosthog()), sys.stderr
    with PRINT_BUFFER:
        sys.stderr = errors  # what is said there is no message; the buffer would print it among them
        for message in entrypoint.run(parsed):
            line = of_one_form(message)
            print(f"{line}\n", end="")  # in one call, since the log's lines come from other threads
            show(line)


def _print_catalog(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        f"{NAME} catalog", description="Prints a configured catalog, for --catalog of `read`."
    )
    parser.add_argument("streams", nargs="*", metavar="STREAM", help="the streams to read (default: all)")
    parser.add_argument("--config", help="path to the configuration, which can define streams of its own")
    given = parser.parse_args(arguments)
    config = read_config(given.config) if given.config else ANY_CONFIG
    catalog = configured_catalog(SourcePosthog().discover(None, config), given.streams)
    print(json.dumps(ConfiguredAirbyteCatalogSerializer.dump(catalog), indent=2))


def of_one_form(line: str) -> str:
    """The message in `line` without spaces between its parts, as most lines are.

    The CDK writes a record that orjson refuses, since it has an integer of more than 64 bits, with spaces.
    """
    if not line.startswith('{"type": '):
        return line
    content = json.loads(line)
    compact = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    try:
        compact.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which can be written where it is escaped
        return json.dumps(content, separators=(",", ":"))
    return compact


def _error_line(error: AirbyteTracedException) -> str:
    """The trace message of `error`, masked."""
    trace = AirbyteMessageSerializer.dump(without_secrets(error_trace(error)))
    return json.dumps(trace, separators=(",", ":"), ensure_ascii=False)
