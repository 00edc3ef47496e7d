"""What is tried in an image, by whatever runs it: an engine, or the Dockerfile's steps without one."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Any

from integration_tests.harness.connector import Output, arguments, config, expected_keys, output
from posthog_server import KEY, PostHogServer, demo_account
from posthog_server.api import STREAMS
from source_posthog.command.version import NAME

WRONG_KEY = "phx_wrong"

# As `docker run --rm --volume FOLDER:FOLDER:ro IMAGE LINE...`.
Execute = Callable[..., CompletedProcess[str]]


def run(execute: Execute, command: str, **files: Any) -> Output:
    """`command` in the image, with `files` mounted. Its messages are those of standard output; the text is of both."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # the connector's user is another one
        done = execute(folder, *arguments(folder, command, **files))
    said = output(done.stdout, done.returncode)
    return replace(said, text=done.stdout + done.stderr)


def tried(execute: Execute, version: str) -> Iterator[str]:
    """Each step as a line, once it has gone as it should. Where one has not: AssertionError, with what was printed."""
    with TemporaryDirectory() as name:
        done = execute(Path(name), "--version")
        listed = execute(Path(name), "catalog")
    assert done.stdout == f"{NAME} {version}\n", f"--version printed {done.stdout + done.stderr!r}"
    yield f"--version  {done.stdout.strip()}"

    said = run(execute, "spec")
    (spec,) = said.of("SPEC")
    assert spec["connectionSpecification"]["required"] == ["api_key", "start_date"], said.text
    yield f"spec       {len(spec['connectionSpecification']['properties'])} options"

    account = demo_account()
    with PostHogServer(account) as server:
        options = config(server.url)
        yield from _checks(execute, options)
        (found,) = run(execute, "discover", config=options).of("CATALOG")
        assert [stream["name"] for stream in found["streams"]] == list(STREAMS), found
        yield f"discover   {len(found['streams'])} streams"
        catalog = listed.stdout
        first = run(execute, "read", config=options, catalog=catalog)
        assert first.status == 0, first.text
        expected = expected_keys(account)
        for stream in STREAMS:
            _same(stream, first.keys(stream), expected[stream])
        yield f"read       {len(expected['events'])} events, each once, and all rows of the other streams"
        second = run(execute, "read", config=options, catalog=catalog, state=first.state)
        again = second.keys("events")
        assert second.status == 0, second.text
        # A project's newest event is emitted again: another may share its instant.
        assert set(again) <= set(first.keys("events")), again
        assert len(again) <= len(account.projects), again
        yield "read       again, with the state: no event that is new"


def _checks(execute: Execute, options: dict[str, Any]) -> Iterator[str]:
    for key, wanted in ((KEY, "SUCCEEDED"), (WRONG_KEY, "FAILED")):
        said = run(execute, "check", config={**options, "api_key": key})
        assert (said.status, said.connection[0]) == (0, wanted), said.text
        assert key not in said.text, "the key is in the output"
        yield f"check      {wanted}" + (", with a wrong key: exit status 0, no key in the output" if key != KEY else "")


def _same(stream: str, got: list[Any], wanted: list[Any]) -> None:
    """Raises AssertionError with some of the ids that differ."""
    if got != wanted:
        missing, extra = list(Counter(wanted) - Counter(got)), list(Counter(got) - Counter(wanted))
        raise AssertionError(f"{stream}: missing {missing[:5]} ({len(missing)}), extra {extra[:5]} ({len(extra)})")
