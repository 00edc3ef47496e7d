"""What the command has beyond the CDK's: `catalog`, `--version`, and lines of one form."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from airbyte_cdk.models import Type
from airbyte_cdk.utils import AirbyteTracedException

from integration_tests.harness.connector import config, run_command
from posthog_server import PostHogServer, account_with, event
from posthog_server.api import STREAMS
from source_posthog import SourcePosthog, configured_catalog
from source_posthog.command import version as version_module
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


def test_python_has_the_same_catalog(server: PostHogServer) -> None:
    source, options = SourcePosthog(), config(server.url)
    catalog = configured_catalog(source.discover(None, options), ["events"])
    got = [
        one.record.data["id"] for one in source.read(None, options, catalog) if one.type == Type.RECORD and one.record
    ]
    assert sorted(got) == sorted(one.id for one in server.posthog.account.projects[7].events)


def test_version_says_name_and_version() -> None:
    line = [sys.executable, "-m", "source_posthog.run", "--version"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"source-posthog {version('source-posthog')}")


def test_help_names_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        execute(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("spec", "check", "discover", "read", "catalog", "--version"))


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
