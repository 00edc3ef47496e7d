"""What is known of a sync's queries is asked for once."""

from functools import partial

import pytest

from source_posthog.queries.order import Types
from source_posthog.query_facts import QueryFacts


def test_each_query_is_asked_once_for_its_own_types() -> None:
    facts, asked = QueryFacts(), list[str]()

    def ask(name: str) -> Types:
        asked.append(name)
        return {name: "String"}

    for name in ("a", "b", "a", "b"):
        assert facts.types(name, partial(ask, name)) == {name: "String"}
    assert asked == ["a", "b"]


def test_a_failure_is_not_remembered() -> None:
    facts, answers = QueryFacts(), iter(["none", "5"])

    def ask() -> int:
        return int(next(answers))

    with pytest.raises(ValueError, match="none"):
        facts.most_rows(ask)
    assert [facts.most_rows(ask), facts.most_rows(ask)] == [5, 5]
