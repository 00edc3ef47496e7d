"""What the command has beyond the CDK's: `catalog`, `--version`, lines of one form, and a word for people."""

import json
import logging
import os
import pty
import re
import select
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from airbyte_cdk.logger import PRINT_BUFFER
from airbyte_cdk.models import Type
from airbyte_cdk.utils import AirbyteTracedException

from integration_tests.harness.connector import arguments, catalog, config, run_command
from integration_tests.harness.forked import COMMAND, forked, run_forked, started, status_of
from posthog_server import Fault, Key, PostHogServer, account_with, event, missing_scope
from posthog_server.api import STREAMS
from source_posthog import SourcePosthog, configured_catalog
from source_posthog.command import version as version_module
from source_posthog.command.console import Console
from source_posthog.command.entrypoint import execute, of_one_form

SAMPLE = Path(__file__).parent / "sample_files" / "configured_catalog.json"


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    odd = {"huge": 2**80, "name": "Zoë 🦔", "list": [1, {"a": None}]}
    events = [event("2026-11-01T00:00:00Z", properties=odd), event("2026-11-02T00:00:00Z", properties={"name": "Zoë"})]
    with PostHogServer(account_with({7: events})) as running:
        yield running


def test_every_record_is_a_line_of_one_form_also_with_an_integer_of_more_than_64_bits(
    server: PostHogServer, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(["catalog", "events"])
    got = run_command("read", config=config(server.url), catalog=capsys.readouterr().out)
    lines = [line for line in got.text.splitlines() if line.startswith('{"type":"RECORD","record":{"stream":"events",')]
    assert len(lines) == len(got.records("events")) == 2
    assert sorted(str(row["properties"].get("huge")) for row in got.records("events")) == [str(2**80), "None"]
    assert all("Zoë" in line and '": ' not in line and ", " not in line for line in lines)


def test_half_a_surrogate_pair_can_be_written() -> None:
    content = {"type": "RECORD", "record": {"data": {"text": "\ud83e", "n": 2**70}}}
    line = of_one_form(json.dumps(content))
    assert json.loads(line.encode()) == content
    assert " " not in line


def test_catalog_prints_all_streams_or_those_that_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    def printed(*arguments: str) -> dict[str, tuple[str, str]]:
        execute(["catalog", *arguments])
        streams = json.loads(capsys.readouterr().out)["streams"]
        return {one["stream"]["name"]: (one["sync_mode"], one["destination_sync_mode"]) for one in streams}

    assert list(printed()) == list(STREAMS)
    assert printed("persons", "events") == {
        "persons": ("full_refresh", "overwrite"),
        "events": ("incremental", "append_dedup"),
    }


def test_catalog_says_which_streams_there_are_where_one_is_not_among_them() -> None:
    with pytest.raises(AirbyteTracedException, match=r"do not exist: dashboards\..* the streams are projects, cohorts"):
        execute(["catalog", "dashboards"])
    with pytest.raises(AirbyteTracedException, match=r"do not exist: evnts\. Did you mean `events`\? Else refresh"):
        execute(["catalog", "evnts"])


def test_catalog_goes_by_a_configuration_where_one_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config("https://us.posthog.com")))
    execute(["catalog", "--config", str(path), "cohorts"])
    assert [one["stream"]["name"] for one in json.loads(capsys.readouterr().out)["streams"]] == ["cohorts"]
    path.write_text("{}")
    with pytest.raises(AirbyteTracedException, match="The option `api_key` is missing"):
        execute(["catalog", "--config", str(path)])


def test_the_sample_catalog_of_the_standard_tests_is_what_catalog_prints(capsys: pytest.CaptureFixture[str]) -> None:
    execute(["catalog"])
    printed = json.loads(capsys.readouterr().out)
    sample = json.loads(SAMPLE.read_text())
    for one in (*printed["streams"], *sample["streams"]):
        del one["stream"]["json_schema"]
    assert sample == printed


def test_what_fails_without_messages_speaks_on_standard_error_and_leaves_standard_output_empty(
    server: PostHogServer, tmp_path: Path
) -> None:
    """Also of what is logged meanwhile: a query of the configuration has to be asked for its columns."""
    query = {"name": "mine", "query": "SELECT event FROM events", "primary_key": ["event"]}
    server.posthog.faults.add(Fault(stream="query", times=None, status=403, body={"detail": "no"}))
    path, out = tmp_path / "config.json", tmp_path / "out"
    path.write_text(json.dumps(config(server.url, queries=[query])))
    for line, error in (
        (["catalog", "dashboards"], "The catalog names streams that do not exist: dashboards."),
        (["catalog", "--config", str(path)], 'Stream mine, project 7: PostHog refuses access ("no").'),
        (["catalog", "--config", str(tmp_path / "none")], "The config file "),
    ):
        out.write_text("")
        status, errors = forked(line, str(out))
        assert (status, out.read_text(), errors.count("\n")) == (1, "", 1)
        assert re.match(rf"{TIME} ERROR {re.escape(error)}", errors)


def test_nothing_that_is_logged_stands_in_an_answer(capfd: pytest.CaptureFixture[str]) -> None:
    for is_answer, has_messages in ((True, False), (False, True)):
        with Console(is_answer=is_answer).instead():
            logging.getLogger("airbyte").warning("a word")
            PRINT_BUFFER.flush()
        printed = capfd.readouterr()
        assert ("a word" in printed.out, "a word" in printed.err) == (has_messages, is_answer)


def test_help_prints_nothing_else(tmp_path: Path) -> None:
    assert forked(["--help"], str(tmp_path / "out")) == (0, "")
    assert (tmp_path / "out").read_text().startswith("usage: ")


def test_python_has_the_same_catalog(server: PostHogServer) -> None:
    source, options = SourcePosthog(), config(server.url)
    catalog = configured_catalog(source.discover(None, options), ["events"])
    got = [
        one.record.data["id"] for one in source.read(None, options, catalog) if one.type == Type.RECORD and one.record
    ]
    assert sorted(got) == sorted(one.id for one in server.posthog.account.projects[7].events)


def test_version_says_name_and_version() -> None:
    printed, status = run_forked(["--version"], {})
    assert printed.startswith(f"source-posthog {version('source-posthog')}")
    assert status == 0


def test_help_names_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        execute(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("spec", "check", "discover", "read", "catalog", "--version"))


def test_a_command_that_does_not_exist_is_answered_with_those_that_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        execute(["catalogue"])
    printed = capsys.readouterr().err
    assert all(command in printed for command in ("spec", "check", "discover", "read", "source-posthog catalog"))


@pytest.mark.parametrize("option", ["--manifest-path", "--components-path"])
def test_an_option_of_other_connectors_is_ignored_with_a_word(server: PostHogServer, option: str) -> None:
    got = run_command("check", option, "other.yaml", config=config(server.url))
    assert (got.status, got.connection[0]) == (0, "SUCCEEDED")
    assert f"{option} is ignored: the connector has its own." in got.logs


def test_a_command_line_that_is_not_valid_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["nonsense"], ["read"], ["catalog", "--nonsense"]):
        with pytest.raises(SystemExit) as ended:
            execute(line)
        assert ended.value.code == 2
        assert capsys.readouterr().out == ""


@dataclass
class Installed:
    """A distribution, as pip notes where it came from."""

    noted: str | None
    version: str = "9.9.9"

    def read_text(self, name: str) -> str | None:
        return self.noted if name == "direct_url.json" else None


@pytest.mark.parametrize(
    ("noted", "written", "line"),
    [
        ('{"vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}', None, "9.9.9 (commit 0123456789ab)"),
        ('{"vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}', "8c2f1ab\n", "9.9.9 (commit 8c2f1ab)"),
        ('{"url": "file:///somewhere", "dir_info": {}}', "", "9.9.9"),
        (None, None, "9.9.9"),
    ],
    ids=["installed from a repository", "written at the build", "installed from a folder", "a wheel"],
)
def test_version_names_the_commit_where_it_is_known(
    noted: str | None, written: str | None, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_module, "distribution", lambda _: Installed(noted))
    monkeypatch.setattr(version_module, "PACKAGE", tmp_path)
    if written is not None:
        (tmp_path / "COMMIT").write_text(written)
    assert version_module.version_line() == f"source-posthog {line}"


# --- the two readers of a command: a program, and people at a terminal

TIME = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"


def at_a_terminal(line: list[str], out: Path | None) -> tuple[int, list[str]]:
    """The status of a command whose standard error is a terminal, and the lines that this shows.

    Its standard output is that terminal too where there is no file `out` for it.
    """
    terminal, theirs = pty.openpty()
    running = started(line, str(out or os.ttyname(theirs)), os.ttyname(theirs))
    shown = b""
    os.set_blocking(terminal, False)
    while running.is_alive() or select.select([terminal], [], [], 0)[0]:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
    os.close(theirs)
    os.close(terminal)
    return status_of(running), shown.decode().splitlines()


def test_people_at_a_terminal_get_plain_lines_and_the_file_gets_all_messages(
    server: PostHogServer, tmp_path: Path
) -> None:
    key = Key("phx_without_cohorts", frozenset({"project:read", "query:read"}))
    server.posthog.account.add_key(key)
    server.posthog.faults.add(Fault(stream="cohorts", times=None, **missing_scope("cohort:\x1b[2Jread")))
    options = config(server.url, api_key=key.token)
    line = arguments(tmp_path, "read", config=options, catalog=catalog("events", "cohorts"))
    status, shown = at_a_terminal(line, tmp_path / "out")
    assert status == 1
    assert all(re.match(rf"{TIME} (ERROR )?(Stream|1 of) ", one) for one in shown)
    said = [re.sub(rf"^{TIME} ", "", one) for one in shown]
    assert "Stream events: started" in said
    assert any(one.startswith("Stream events: 2 records in ") for one in said)
    (refusal,) = [one for one in said if one.startswith("ERROR Stream cohorts, project 7: PostHog does not allow")]
    assert r"cohort:\x1b[2Jread" in refusal, "nothing that a terminal would obey"
    assert said[-1] == "ERROR 1 of 2 streams failed: cohorts."
    messages = [json.loads(one) for one in (tmp_path / "out").read_text().splitlines()]
    assert {one["type"] for one in messages} == {"LOG", "TRACE", "RECORD", "STATE"}
    assert messages[-1]["trace"]["error"]["message"] == "1 of 2 streams failed: cohorts."
    again = arguments(tmp_path, "read", config=options, catalog=catalog("events"), state=(tmp_path / "out").read_text())
    assert forked(again, str(tmp_path / "second")) == (0, "")
    assert '"RECORD"' not in (tmp_path / "second").read_text(), "the file is the state of the next sync"


def test_people_who_see_both_outputs_see_each_line_of_the_log_once(server: PostHogServer, tmp_path: Path) -> None:
    status, shown = at_a_terminal(arguments(tmp_path, "check", config=config(server.url)), None)
    assert status == 0
    *said, answer = shown
    assert json.loads(answer)["type"] == "CONNECTION_STATUS"
    assert [one for one in said if "The API key sees 1 project(s): 7" in one]
    assert all(re.match(rf"{TIME} ", one) for one in said)


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, id="POSIX"),
        pytest.param({"PYTHONIOENCODING": "latin-1"}, id="latin-1", marks=pytest.mark.only_long),
    ],
)
def test_the_output_is_utf_8_whatever_the_locale(
    server: PostHogServer, tmp_path: Path, variables: dict[str, str]
) -> None:
    line = arguments(tmp_path, "read", config=config(server.url), catalog=catalog("events"))
    done = subprocess.run([*COMMAND, *line], capture_output=True, env={**os.environ, **variables}, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(json.loads(one) for one in done.stdout.decode("utf-8").splitlines())
    assert "Zoë 🦔" in done.stdout.decode("utf-8")


def test_for_debugging_there_are_messages_of_the_protocol_too(server: PostHogServer) -> None:
    got = run_command("check", "--debug", config=config(server.url))
    assert {message["type"] for message in got.messages} == {"LOG", "CONNECTION_STATUS"}
    (request, *_) = [one for one in got.of("LOG") if "outbound API request" in one["message"]]
    assert request["level"] == "DEBUG"
    assert f"{server.url}/api/projects" in request["message"]
    assert "Bearer ****" in request["message"]
