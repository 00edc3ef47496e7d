"""The names of the events that are wanted: as a set, in HogQL, in a state and in a configuration."""

import random
from typing import Any

import pytest

from posthog_server.grammar import parse_expr
from source_posthog.exact.events.conditions import name_conditions
from source_posthog.exact.events.names import EXCLUDE, INCLUDE, Names, names_fault, names_in, wanted_names

ODD = [
    *("", " ", "it's", "a, 'b'", "in ('x')", "{d}", "{{ d }}", "nul\0", "é😀", "a\\", "\\'", '"', "x) or (event = 'y'"),
    *("line\n", "\t", "\u2028", "%", "_", "--", "/* */", "\x01\x7f"),
]


def random_names(rng: random.Random) -> Names:
    return Names(frozenset(rng.sample(ODD, rng.choice((0, 1, 2, 5)))), left_out=rng.random() < 0.5)


@pytest.mark.parametrize("seed", range(200))
def test_what_is_without_others_has_what_those_have_not(seed: int) -> None:
    rng = random.Random(seed)
    one, other = random_names(rng), random_names(rng)
    rest = one.without(other)
    for name in [*ODD, "a name that nobody lists"]:
        assert rest.may_have(name) == (one.may_have(name) and not other.may_have(name))
    assert rest.are_none == (not rest.left_out and not any(map(rest.may_have, ODD)))


@pytest.mark.parametrize("seed", range(100))
def test_posthogs_own_parser_reads_the_names_that_were_meant(seed: int) -> None:
    names = random_names(random.Random(seed))
    if names.are_all or names.are_none:
        assert name_conditions(names) == []
        return
    (condition,) = name_conditions(names)
    tree = parse_expr(condition)
    constants = tree["right"].get("exprs", [tree["right"]])
    assert sorted(one["value"] for one in constants) == sorted(names.listed)
    assert tree["left"]["chain"] == ["event"]
    is_one = len(names.listed) == 1
    assert (
        tree["op"]
        == {(True, False): "==", (True, True): "!=", (False, False): "in", (False, True): "not in"}[
            is_one, names.left_out
        ]
    )


@pytest.mark.parametrize("names", [Names(), Names(frozenset("a"), left_out=False), Names(frozenset("ab"))], ids=str)
def test_a_state_says_which_names_were_read(names: Names) -> None:
    assert names_in(names.written().get("filter")) == names


@pytest.mark.parametrize("stated", [None, 5, "a", [], {}, {"include": "a"}, {"exclude": None}, {"timestamp": "x"}])
def test_a_state_that_says_anything_else_stands_for_all(stated: Any) -> None:
    assert names_in(stated) == Names()


def test_a_name_that_is_shown_by_other_signs_than_it_has_may_be_any() -> None:
    assert Names(frozenset(["a\ufffd"])).may_have("a\ufffd")
    assert Names(frozenset(["b"]), left_out=False).may_have("a\ufffd")


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, Names()),
        ({"events_include": [], "events_exclude": []}, Names()),
        ({"events_include": ["a"], "events_exclude": []}, Names(frozenset("a"), left_out=False)),
        ({"events_exclude": ["a"]}, Names(frozenset("a"))),
    ],
)
def test_an_empty_list_is_no_filter(config: dict[str, Any], wanted: Names) -> None:
    assert wanted_names(config) == wanted
    assert [names_fault(config, option) for option in config] == [""] * len(config)


def test_ten_names_are_shown() -> None:
    assert str(Names(frozenset("ab"), left_out=False)) == "'a', 'b'"
    assert str(Names(frozenset("a\n"))) == r"all but '\n', 'a'"
    assert str(Names(frozenset(map(str, range(10, 22))))).endswith("'19' and 2 more")
    assert str(Names()) == "all"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({EXCLUDE: ["half \ud83d"]}, "The option `events_exclude` has a name that is not valid Unicode"),
        ({INCLUDE: ["a"], EXCLUDE: ["b"]}, "The options `events_include` and `events_exclude` cannot both be set"),
        ({INCLUDE: [], EXCLUDE: ["b"]}, ""),
        ({INCLUDE: ["a"], EXCLUDE: []}, ""),
    ],
)
def test_names_that_cannot_be_asked_for_are_refused_in_a_sentence(config: dict[str, list[str]], sentence: str) -> None:
    found = names_fault(config, EXCLUDE)
    assert found.startswith(sentence)
    assert bool(found) == bool(sentence)
