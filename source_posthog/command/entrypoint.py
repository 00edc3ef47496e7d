"""The command line: the CDK's commands, two of our own, and every message on a line of one form."""

import argparse
import json
from collections.abc import Sequence

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer

from source_posthog.command.version import NAME, version_line
from source_posthog.inputs.catalog import configured_catalog
from source_posthog.inputs.files import read_config
from source_posthog.source import SourcePosthog

ALSO = f"""
also:
  {NAME} catalog [STREAM ...]  a configured catalog of these streams, or of all
  {NAME} --version             name, version and commit
"""

# Any valid configuration has the same streams, but for those that a configuration itself defines.
ANY_CONFIG = {"api_key": "phx_", "start_date": "2026-01-01T00:00:00Z"}


def execute(arguments: Sequence[str]) -> None:
    """Do what the command line's `arguments` ask for. Raises as the CDK's `launch`."""
    match arguments:
        case ["--version"]:
            print(version_line())
        case ["catalog", *rest]:
            _print_catalog(rest)
        case _:
            _launch(arguments)


def _launch(arguments: Sequence[str]) -> None:
    entrypoint = AirbyteEntrypoint(SourcePosthog())
    try:
        parsed = entrypoint.parse_args(list(arguments))
    except SystemExit:
        if {"-h", "--help"} & {*arguments[:1]}:
            print(ALSO, end="")
        raise
    with PRINT_BUFFER:
        for message in entrypoint.run(parsed):
            print(f"{of_one_form(message)}\n", end="")  # in one call, since the log's lines come from other threads


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
