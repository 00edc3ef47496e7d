"""What has to be the same in several files is the same."""

import ast
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from posthog_server import api, extra, known_fields
from source_posthog import SourcePosthog
from source_posthog.api.health import TroubleKind
from tools import fields

ROOT = Path(__file__).parents[1]
CONFIG = {"api_key": "phx_", "start_date": "2026-01-01T00:00:00Z"}
STREAMS = [stream.name for stream in SourcePosthog().streams(CONFIG)]
OF_A_PROJECT = [name for name in STREAMS if name != "projects"]
SPEC = SourcePosthog().spec(logging.getLogger("airbyte")).connectionSpecification
EXTRA = SPEC["properties"]["extra_streams"]["items"]["enum"]


def text(name: str) -> str:
    return (ROOT / name).read_text()


def loaded(name: str) -> Any:
    return json.loads(text(name)) if name.endswith(".json") else yaml.safe_load(text(name))


# --- Streams


def table(name: str, title: str) -> list[str]:
    """The first words of the rows of the table below the heading `title` in the document `name`."""
    _, _, rest = text(name).partition(f"# {title}\n")
    rows = re.split(r"\n#+ ", rest)[0]
    return [word for word in re.findall(r"^\| (\w+)", rows, re.MULTILINE) if word != "stream"]


# Every place that must name each stream, for a new one to be complete. A stream of a project: any but `projects`. The
# option `extra_streams` of the specification is where each extra stream is named first.
PLACES: dict[str, tuple[Callable[[], list[str]], list[str]]] = {
    "source_posthog/manifest.yaml, check": (
        lambda: loaded("source_posthog/manifest.yaml")["check"]["stream_names"],
        OF_A_PROJECT,
    ),
    "source_posthog/schemas": (
        lambda: [path.stem for path in (ROOT / "source_posthog/schemas").iterdir()],
        STREAMS + EXTRA,
    ),
    "source_posthog/manifest.yaml, streams": (
        lambda: [
            stream.name
            for stream in SourcePosthog().streams({**CONFIG, "extra_streams": EXTRA})
            if stream.name not in STREAMS
        ],
        EXTRA,
    ),
    "metadata.yaml, suggestedStreams": (
        lambda: loaded("metadata.yaml")["data"]["suggestedStreams"]["streams"],
        OF_A_PROJECT,
    ),
    "README.md, The key": (lambda: table("README.md", "The key"), STREAMS),
    "README.md, Streams": (lambda: table("README.md", "Streams"), STREAMS),
    "docs/posthog.md, Supported Streams": (lambda: table("docs/posthog.md", "Supported Streams"), STREAMS),
    "README.md, Extra streams": (lambda: table("README.md", "Extra streams"), EXTRA),
    "docs/posthog.md, Extra streams": (lambda: table("docs/posthog.md", "Extra streams"), EXTRA),
    "docs/fields.md": (lambda: re.findall(r"^## (\w+)$", text("docs/fields.md"), re.MULTILINE), STREAMS + EXTRA),
    "the catalog of the standard tests": (
        lambda: [
            one["stream"]["name"] for one in loaded("integration_tests/sample_files/configured_catalog.json")["streams"]
        ],
        STREAMS,
    ),
    "posthog_server/api.py, STREAMS": (lambda: list(api.STREAMS), STREAMS),
    "posthog_server/known_fields.py, FIELDS": (lambda: list(known_fields.FIELDS), STREAMS + EXTRA),
    "posthog_server/extra, EXTRA": (lambda: list(extra.EXTRA), EXTRA),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_stream_is_named_where_it_must_be_and_no_other(place: str) -> None:
    found, wanted = PLACES[place]
    assert sorted(found()) == sorted(wanted)


def test_the_fields_in_the_documents_are_those_of_the_schemas() -> None:
    assert text("docs/fields.md") == fields.document(), "run: make fields"


# --- Version

VERSIONS: dict[str, Callable[[], str]] = {
    "pyproject.toml": lambda: re.findall(r'^version = "(.*)"$', text("pyproject.toml"), re.MULTILINE)[0],
    "metadata.yaml": lambda: loaded("metadata.yaml")["data"]["dockerImageTag"],
    "CHANGELOG.md": lambda: re.findall(r"^## (\S+)$", text("CHANGELOG.md"), re.MULTILINE)[0],
    "docs/posthog.md": lambda: re.findall(r"^\| (\d\S+) \|", text("docs/posthog.md"), re.MULTILINE)[0],
    "docs/image.md": lambda: "".join(set(re.findall(r"source-posthog-exact:([\d.]*\d)", text("docs/image.md")))),
}


def test_the_version_is_the_same_everywhere() -> None:
    versions = {name: find() for name, find in VERSIONS.items()}
    assert set(versions.values()) == {versions["pyproject.toml"]}, versions


# --- Which connector it is


def documentation() -> str:
    """The address of the documentation that `spec` names."""
    return str(loaded("source_posthog/manifest.yaml")["spec"]["documentation_url"])


def test_the_spec_names_a_document_of_this_repository() -> None:
    (repository,) = re.findall(r"^git clone (\S+)", text("README.md"), re.MULTILINE)
    address, _, path = documentation().partition(f"{repository}/")
    assert address == ""
    assert (ROOT / path).is_file()


def test_what_tells_this_connector_from_the_published_one_is_what_the_files_say() -> None:
    metadata = loaded("metadata.yaml")["data"]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", text("docs/image.md"), re.MULTILINE)
    ours, published = ({row[0]: row[place] for row in rows} for place in (1, 2))
    assert metadata["definitionId"] in published["definition ID in Airbyte"]
    assert f"`{metadata['dockerRepository']}`" == published["image"]
    assert f"`{metadata['remoteRegistries']['pypi']['packageName']}`" == published["Python package"]
    assert f"`{documentation()}`" == ours["`documentationUrl` of `spec`"]
    assert f"`{metadata['documentationUrl']}`" == published["`documentationUrl` of `spec`"]


# --- Libraries


def imports(folder: str) -> set[str]:
    """The packages that the code in `folder` imports, without those of Python and of the checkout."""
    found = {name.split(".")[0] for path in (ROOT / folder).rglob("*.py") for name in _imported(path)}
    return (
        found
        - set(sys.stdlib_module_names)
        - {"source_posthog", "posthog_server", "tools", "integration_tests", "ecosystem_tests", "unit_tests"}
    )


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)


def distributions(packages: set[str]) -> set[str]:
    """As the registry names them."""
    return {{"xdist": "pytest-xdist", "yaml": "pyyaml"}.get(package, package.replace("_", "-")) for package in packages}


def declared() -> tuple[set[str], set[str]]:
    """The libraries of the connector, and those for development."""

    def names(key: str) -> set[str]:
        (found,) = re.findall(rf"^{key} = (\[.*?\])$", text("pyproject.toml"), re.MULTILINE | re.DOTALL)
        return {re.split(r"[<>=]", one)[0] for one in ast.literal_eval(found)}

    return names("dependencies"), names("dev")


def test_the_connector_declares_what_it_imports_and_nothing_else() -> None:
    below_requests = {"urllib3"}  # from version 2 on it notices a body that ends too early
    assert distributions(imports("source_posthog")) | below_requests == declared()[0]


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["posthog_server", "tools", "integration_tests", "ecosystem_tests", "unit_tests"])
def test_the_tests_import_only_what_is_declared(folder: str) -> None:
    # PyAirbyte, ClickHouse, Dagster with its example's `definitions`, and DuckDB.
    of_another_environment = {"airbyte", "chdb", "dagster", "definitions", "duckdb"}
    connectors, developers = declared()
    assert distributions(imports(folder) - of_another_environment) <= connectors | developers


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_the_lock_can_be_installed_on_every_supported_python(python: str) -> None:
    """As far as the libraries that are installed here can say."""
    refused = []
    for line in text("requirements.lock").splitlines():
        pinned = Requirement(line)
        applies = not pinned.marker or pinned.marker.evaluate(
            {"python_full_version": f"{python}.99", "python_version": python}
        )
        try:
            installed = distribution(pinned.name)
        except PackageNotFoundError:  # for another Python, or another system
            continue
        allowed = SpecifierSet(installed.metadata["Requires-Python"] or "")
        if applies and installed.version in pinned.specifier and f"{python}.99" not in allowed:
            refused.append(f"{line} needs {allowed}")
    assert refused == []


# --- The form of Airbyte's documents

HEADERS = [
    "Prerequisites",
    "Setup guide",
    "Supported sync modes",
    "Supported Streams",
    "Limitations & Troubleshooting",
    "Changelog",
]


def test_the_page_of_the_connector_has_airbytes_headers_in_their_order() -> None:
    page = text("docs/posthog.md")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADERS
    for tag in ("HideInUI", "details", "summary"):
        assert page.count(f"<{tag}>") == page.count(f"</{tag}>") > 1


def test_every_breaking_change_has_its_steps_in_the_migration_guide() -> None:
    changes = loaded("metadata.yaml")["data"]["releases"]["breakingChanges"]
    steps = re.findall(r"^## Upgrading to (\S+)$", text("docs/posthog-migrations.md"), re.MULTILINE)
    assert steps == list(changes)


def test_airbyte_waits_longer_for_a_message_than_a_throttled_request_does() -> None:
    a_wait = TroubleKind.THROTTLE.value * 1.1 + 2 * 120  # the part at random, and the answers before and after
    assert loaded("metadata.yaml")["data"]["maxSecondsBetweenMessages"] > a_wait
