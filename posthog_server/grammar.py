"""PostHog's own parser of HogQL: what the connector sends is what PostHog can read."""

import importlib
import json
import sys
import threading
from collections.abc import Iterator
from functools import cache, lru_cache
from types import ModuleType
from typing import Any
from unittest.mock import patch

Node = dict[str, Any]

# What the parser looks up in PostHog's own code when it is loaded.
ERRORS = ("BaseHogQLError", "ExposedHogQLError", "NotImplementedError", "ParsingError", "SyntaxError")

_LOADING = threading.Lock()


class HogQLError(ValueError):
    """PostHog cannot read a piece of HogQL."""


def parse_expr(text: str) -> Any:
    """The syntax tree of an expression, as PostHog writes it in JSON. Raises HogQLError."""
    return _tree(_parser().parse_expr_json(text), text)


def parse_select(text: str) -> Any:
    """The syntax tree of a SELECT, as PostHog writes it in JSON. Raises HogQLError."""
    return _tree(_select_json(text), text)


def nodes_of(tree: Node) -> Iterator[Node]:
    """All nodes of a syntax tree, itself first."""
    yield tree
    for child in children_of(tree):
        yield from nodes_of(child)


def children_of(node: Node) -> Iterator[Node]:
    """The nodes right below a node: some of its fields are lists or maps of them."""
    for value in node.values():
        yield from _nodes_in(value)


def _nodes_in(value: Any) -> Iterator[Node]:
    if isinstance(value, list):
        for item in value:
            yield from _nodes_in(item)
    elif isinstance(value, dict):
        if "node" in value:
            yield value
        else:
            for item in value.values():
                yield from _nodes_in(item)


@lru_cache(maxsize=256)  # it takes up to 50 ms, and pages are asked for with the same SQL
def _select_json(text: str) -> str:
    answer: str = _parser().parse_select_json(text)
    return answer


def _parser() -> ModuleType:
    with _LOADING:  # two threads at once would take each other's stand-ins away
        return _loaded_parser()


@cache
def _loaded_parser() -> ModuleType:
    """The parser, which imports `posthog.hogql.errors`: a stand-in is there while it is loaded."""
    errors = ModuleType("posthog.hogql.errors")
    errors.__dict__.update({name: type(name, (Exception,), {}) for name in ERRORS})
    stand_ins = {"posthog": ModuleType("posthog"), "posthog.hogql": ModuleType("posthog.hogql")}
    with patch.dict(sys.modules, {**stand_ins, "posthog.hogql.errors": errors}):
        return importlib.import_module("hogql_parser")


def _tree(answer: str, text: str) -> Any:
    tree = json.loads(answer)
    if tree.get("error"):
        raise HogQLError(f"{tree['message']}: {text}")
    return tree
