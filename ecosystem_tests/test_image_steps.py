"""What `make image` tries in an image fails for an image that does not read as it should."""

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from integration_tests.harness.forked import run_forked
from posthog_server import KEY
from source_posthog.command.version import NAME, version_line
from tools.image.steps import tried

Change = Callable[[list[str]], list[str]]
VERSION = version_line().removeprefix(f"{NAME} ")


def executed(change: Change) -> Callable[..., CompletedProcess[str]]:
    """The connector of this checkout as an image, whose output is as `change` makes it."""

    def execute(mounted: Path, *line: str) -> CompletedProcess[str]:
        said, status = run_forked(list(line), {})
        return CompletedProcess(line, status, "\n".join(change(said.split("\n"))), "")

    return execute


def an_event(line: str) -> bool:
    return '"RECORD"' in line and json.loads(line)["record"]["stream"] == "events"


def one_less(lines: list[str]) -> list[str]:
    lost = next(filter(an_event, lines), None)
    return [line for line in lines if line != lost]


def one_twice(lines: list[str]) -> list[str]:
    return [*islice(filter(an_event, lines), 1), *lines]


def with_the_key(lines: list[str]) -> list[str]:
    log = json.dumps({"type": "LOG", "log": {"level": "INFO", "message": f"asked with {KEY}"}})
    return [log, *lines] if any("CONNECTION_STATUS" in line for line in lines) else lines


def test_the_connector_of_this_checkout_passes() -> None:
    assert len(list(tried(executed(lambda lines: lines), VERSION))) == 7


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(one_less, r"events: missing \[\(.*\] \(1\), extra \[\] \(0\)", id="an event is missing"),
        pytest.param(one_twice, r"events: missing \[\] \(0\), extra \[\(.*\] \(1\)", id="an event comes twice"),
        pytest.param(with_the_key, "the key is in the output", id="the key is said"),
    ],
)
def test_what_is_wrong_is_noticed(change: Change, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        list(tried(executed(change), VERSION))
