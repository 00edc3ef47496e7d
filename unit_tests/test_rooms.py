"""The package is a house of rooms: imports go down only, and a name stands once."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "source_posthog"
FILES = sorted(PACKAGE.rglob("*.py"))

# Which rooms each room may import from, beside itself. The files at the top: "".
BELOW = {
    "exact": set[str](),
    "inputs": {"exact"},
    "api": {"exact"},
    "streams": {"api", "exact"},
    "": {"streams", "api", "inputs", "exact"},
    "command": {"", "inputs", "api"},
}
TOP = {"__init__.py", "components.py", "engine.py", "run.py", "source.py"}

# Names that stand in more than one file, each with the reason.
SEVERAL_TIMES = {
    "T": "a type variable belongs to its file",
    "logger": "Python's own way: each file has its own",
    "page": "the two ways to ask for events, event_list and event_query, are used as modules of one form",
    "__all__": "Python's own",
}


def room(file: Path) -> str:
    parts = file.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imported(file: Path) -> Iterator[str]:
    """The rooms from which `file` imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGE.name):
            parts = str(node.module).split(".")[1:]
            yield parts[0] if parts and parts[0] in BELOW else ""


def names(file: Path) -> Iterator[str]:
    """The classes, functions and constants of `file`."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down_only(file: Path) -> None:
    own = room(file)
    allowed = BELOW[own] | {own} | ({"command"} if file.name == "run.py" else set())
    assert set(imported(file)) <= allowed


def test_nothing_else_stands_at_the_top() -> None:
    assert {file.name for file in FILES if not room(file)} == TOP


def test_a_name_stands_once() -> None:
    where = defaultdict(list)
    for file in FILES:
        for name in names(file):
            where[name].append(str(file.relative_to(PACKAGE)))
    assert {name for name, found in where.items() if len(found) > 1} == set(SEVERAL_TIMES), where


@pytest.mark.parametrize("folder", ["unit_tests", "posthog_server"])
def test_units_and_the_server_need_no_whole_syncs(folder: str) -> None:
    code = {str(file): file.read_text() for file in (PACKAGE.parent / folder).rglob("*.py")}
    assert [name for name, text in code.items() if re.search(r"^\s*(from|import) integration_tests", text, re.M)] == []


@pytest.mark.parametrize("folder", ["unit_tests", "integration_tests"])
def test_what_test_files_share_is_none_of_them(folder: str) -> None:
    code = {str(file): file.read_text() for file in (PACKAGE.parent / folder).rglob("*.py")}
    assert [name for name, text in code.items() if re.search(r"^from \w+_tests[\w.]*\.test_", text, re.M)] == []
