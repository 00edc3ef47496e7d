"""What a sync needs to know is asked for once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest

from source_posthog.api.once import Once, Slots, Switch


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


def test_whoever_needs_a_fact_while_it_is_asked_for_waits_for_it() -> None:
    once, asked = Once(), list[int]()
    is_asking, may_answer = Event(), Event()

    def ask() -> int:
        asked.append(len(asked))
        is_asking.set()
        assert may_answer.wait(60)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once, "fact", ask)
        assert is_asking.wait(60)
        assert not once._locks["fact"].acquire(blocking=False)
        second = pool.submit(once, "fact", ask)
        may_answer.set()
        assert (first.result(), second.result(), asked) == (7, 7, [0])


def test_a_project_has_so_many_slots_and_another_has_its_own() -> None:
    slots = Slots(2)
    taken = [slots.of(project).acquire(blocking=False) for project in (7, 7, 7, 8)]
    assert taken == [True, True, False, True]
