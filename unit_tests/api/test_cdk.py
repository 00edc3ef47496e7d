"""What is taken from the inside of the CDK is there, and is listed."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airbyte_cdk
import pytest

from source_posthog.api.cdk import PRIVATE_NAMES

PACKAGE = Path(__file__).parents[2] / "source_posthog"


def owner_of(name: str) -> Any:
    """The class, or the module, that has the private name."""
    path, _, last = name.rpartition(".")
    module = f"airbyte_cdk.{path}"
    if last.startswith("__"):
        return importlib.import_module(module)
    module, _, owner = module.rpartition(".")
    return getattr(importlib.import_module(module), owner)


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_the_cdk_has_what_is_taken_from_its_inside(name: str) -> None:
    (parameters, reason), last = PRIVATE_NAMES[name], name.rpartition(".")[2]
    owner = owner_of(name)
    assert reason
    if parameters is None:
        assert last in inspect.getsource(owner)
    else:
        found = [one for one in inspect.signature(getattr(owner, last)).parameters if one != "self"]
        assert tuple(found) == parameters


def defined_here(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def test_every_private_name_is_of_the_package_or_listed() -> None:
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    attributes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if node.attr.startswith("_") and not node.attr.startswith("__")}
    ours = {name for tree in trees for name in defined_here(tree)} | {"_exit"}  # that of `os`
    listed = {name.rpartition(".")[2] for name in PRIVATE_NAMES}
    assert used - ours <= listed


@pytest.mark.slow
def test_what_is_overridden_is_listed() -> None:
    """An attribute or a method of ours that the CDK's class has as well."""
    listed = {name.rpartition(".")[2] for name in PRIVATE_NAMES}
    for path in PACKAGE.rglob("*.py"):
        module = importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        for one in vars(module).values():
            if not inspect.isclass(one) or one.__module__ != module.__name__:
                continue
            bases = [base for base in one.__mro__ if base.__module__.startswith(airbyte_cdk.__name__)]
            theirs = "\n".join(inspect.getsource(base) for base in bases)
            own = {name for name in defined_here(ast.parse(inspect.getsource(one))) if name.startswith("_")}
            taken = {name for name in own if not name.startswith("__") and f"self.{name}" in theirs}
            assert taken <= listed, one
