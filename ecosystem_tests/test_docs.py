"""What the documents say is so: their commands run, and the sentences that they quote are those of the connector."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecosystem_tests.documents import DOCUMENTS, OF_EXAMPLES, code
from integration_tests.harness.connector import config
from posthog_server import PostHogServer, demo_account
from posthog_server.environments import ROOT

TROUBLESHOOTING = ROOT / "docs" / "posthog.md"

# Commands that are not run here, with the reason. Of those of make, it is tried that make knows them.
ELSEWHERE = {
    "pip": "test_image.py builds a wheel, and installs it into an environment of its own",
    "git": "example.com stands for an address that a checkout does not know",
    "docker": "needs a container engine, as `make image` does; test_image.py runs the steps of the Dockerfile",
    "buildah": "needs the image, which `make image` builds",
    "kind": "needs a cluster",
    "make": "the tests themselves, or what takes longer than all of them",
}


def blocks(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{path.name} {place}")
        for path in DOCUMENTS
        if path.name != "examples.md"  # test_examples.py runs those
        for place, block in enumerate(code(path, language), 1)
    ]


def commands(block: str) -> list[str]:
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in (re.sub(r"\s+#.*$|^#.*$", "", line).strip() for line in lines) if line]


def is_elsewhere(command: str) -> bool:
    return command in ELSEWHERE or command.split()[0] in ELSEWHERE


@pytest.fixture(scope="module")
def server() -> Iterator[PostHogServer]:
    with PostHogServer(demo_account()) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, server: PostHogServer) -> Path:
    """A folder as the reader has it: the README's config.json for the embedded PostHog, and the checkout's samples."""
    (tmp_path / "config.json").write_text(json.dumps(config(server.url)))
    (tmp_path / "integration_tests").symlink_to(ROOT / "integration_tests")
    return tmp_path


def succeeds(line: list[str], folder: Path) -> str:
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"FAILED"' not in done.stdout
    return done.stdout


@pytest.mark.parametrize("block", blocks("sh"))
def test_the_commands_of_the_documents_run(block: str, folder: Path) -> None:
    runs = [command for command in commands(block) if not is_elsewhere(command)]
    if runs:
        succeeds(["bash", "-euo", "pipefail", "-c", "\n".join(runs)], folder)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_of_the_documents_runs(block: str, folder: Path) -> None:
    succeeds([sys.executable, "-c", block], folder)


@pytest.mark.parametrize("block", blocks("json"))
def test_the_json_of_the_documents_is_json(block: str) -> None:
    assert json.loads(block)


def test_make_knows_its_commands_in_the_documents() -> None:
    named = {command for block in blocks("sh") for command in commands(block.values[0]) if command.startswith("make")}
    named |= {f"make {name}" for path in DOCUMENTS for name in re.findall(r"`make (\w+)`", path.read_text())}
    for command in named:
        succeeds([*command.split(), "--dry-run"], ROOT)


def test_nothing_is_listed_as_run_elsewhere_that_no_document_has() -> None:
    given = [command for block in blocks("sh") for command in commands(block.values[0])]
    assert all(any(one in (command, command.split()[0]) for command in given) for one in ELSEWHERE)


@pytest.mark.parametrize("path", [*DOCUMENTS, *OF_EXAMPLES], ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_within_the_checkout_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / link).exists(), link


# --- Sentences. What differs from case to case is "..." in the document, and as well here.


def sentence(text: str) -> str:
    return " ".join(text.split())


def texts_of(node: ast.AST) -> Iterator[str]:
    """The texts in Python's source, with "..." for what they are filled with."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield sentence(one.value)
        elif isinstance(one, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "..." for part in one.values)
            yield sentence("".join(parts))


def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted((ROOT / "source_posthog").rglob("*.py"))]


def sentences_of_the_manifest() -> list[str]:
    manifest = yaml.safe_load((ROOT / "source_posthog" / "manifest.yaml").read_text())
    filters = manifest["definitions"]["requester"]["error_handler"]["response_filters"]
    given = [one["error_message"] for one in filters if "error_message" in one]
    definitions = manifest["definitions"]
    by_query = [definitions[name]["retriever"]["requester"] for name in ("query_stream", "table_stream")]
    for requester in (*by_query, definitions["list_requester"]):
        given += [one["too_slow_advice"] for one in requester["error_handler"]["backoff_strategies"]]
    return [sentence(re.sub(r"{{.*?}}", "...", text)) for text in given]


def sentences_of_the_code() -> list[str]:
    """The messages of errors, failed checks and warnings, where they are written out."""
    found = []
    for call in (node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        shown = [word.value for word in call.keywords if word.arg == "message"]
        shown += call.args[:1] if name in ("failed", "warning", "PostHogError", "QueryError", "RedirectRefused") else []
        shown += call.args[2:3] if name == "ErrorResolution" else []
        found += [next(texts_of(one)) for one in shown if isinstance(one, ast.Constant | ast.JoinedStr)]
    return found


def quotes() -> list[str]:
    return [sentence(quote) for quote in re.findall(r"^> (.*)$", TROUBLESHOOTING.read_text(), re.MULTILINE)]


def pattern(quote: str) -> str:
    """Finds `quote` in a sentence; its own "..." can stand for more than one that differs."""
    return ".*?".join(map(re.escape, quote.split("...")))


@pytest.mark.parametrize("quote", quotes())
def test_every_sentence_of_the_troubleshooting_index_is_one_of_the_connector(quote: str) -> None:
    sentences = [*sentences_of_the_manifest(), *(text for tree in trees() for text in texts_of(tree))]
    assert any(re.search(pattern(quote), one) for one in sentences)


@pytest.mark.parametrize("shown", [*sentences_of_the_manifest(), *sentences_of_the_code()])
def test_every_sentence_that_a_user_can_see_is_in_the_troubleshooting_index(shown: str) -> None:
    assert any(re.search(pattern(quote), shown) for quote in quotes())
