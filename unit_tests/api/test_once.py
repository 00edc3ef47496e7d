"""What a sync needs to know is asked for once."""

from functools import partial

import pytest

from source_posthog.api.once import Once, Switch


def test_each_fact_is_asked_for_once() -> None:
    once, asked = Once(), list[str]()

    def ask(name: str) -> str:
        asked.append(name)
        return name.upper()

    for name in ("a", "b", "a", "b"):
        assert once(("types", name), partial(ask, name)) == name.upper()
    assert asked == ["a", "b"]
    assert (once.known(("types", "a"), ""), once.known("c", "unknown")) == ("A", "unknown")


def test_a_failure_is_not_remembered() -> None:
    once, answers = Once(), iter(["none", "5"])

    def ask() -> int:
        return int(next(answers))

    with pytest.raises(ValueError, match="none"):
        once("most rows", ask)
    assert [once("most rows", ask), once("most rows", ask)] == [5, 5]


def test_a_switch_is_news_once() -> None:
    switch = Switch()
    assert not switch
    assert [switch.turn_on(), switch.turn_on(), bool(switch)] == [True, False, True]
