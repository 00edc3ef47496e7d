"""The elements that are made of a chain are those that the events list shows, whatever the chain.

The list's are made by the embedded server, in another way: by expressions, as the real one does.
"""

import random
from typing import Any

import pytest

from posthog_server.elements import elements, random_chain
from posthog_server.traffic import Refusal
from source_posthog.exact.events.elements import elements_of

SIGNS = 'ab:;="\\ \n.-_1é'


def element(**fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("event", "text", "tag_name", "attr_class", "href", "attr_id", "nth_child", "nth_of_type", "attributes")
    )
    return {**empty, "attributes": {}, "order": 0, **fields}


CHAINS: dict[str, list[dict[str, Any]]] = {
    'a:nth-child="1"nth-of-type="1"href="/x"attr__href="/x"text="click";div.card:attr__class="card"nth-child="2"': [
        element(tag_name="a", nth_child=1, nth_of_type=1, href="/x", text="click", attributes={"attr__href": "/x"}),
        element(tag_name="div", attr_class=["card"], nth_child=2, attributes={"attr__class": "card"}, order=1),
    ],
    "a........small": [element(tag_name="a", attr_class=["small"])],
    '"a.small': [element(tag_name="a", attr_class=["small"])],
    "a.": [element(tag_name="a", attr_class=[])],
    'a.md:flex.w-1.5:text="x"': [element(tag_name="a", attr_class=["md:flex", "w-1", "5"], text="x")],
    r'a:data="say \"hi; all\""text="b"': [element(tag_name="a", attributes={"data": r"say \"hi; all\""}, text="b")],
    ':attr_id="b"': [element(attr_id="b")],
    'a:href=""text="b"': [element(tag_name="a", href='"text=')],
    'a:data="one\ntwo"text="b"': [element(tag_name="a")],
    'a:nth-child="one"nth-of-type="2"': [element(tag_name="a", nth_of_type=2)],
    'a b;"c': [element(tag_name="a"), element(tag_name="b", order=1), element(tag_name="c", order=2)],
    ";; ;": [],
    "": [],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_a_chain_is_read_as_the_list_reads_it(chain: str) -> None:
    assert elements_of(chain) == CHAINS[chain]
    if "one" not in chain or "\n" in chain:  # for a number that is none the list fails
        assert elements(chain) == CHAINS[chain]


@pytest.mark.parametrize("chain", [None, 5, ["a"], {"a": 1}, True])
def test_what_is_no_string_has_no_elements(chain: Any) -> None:
    assert elements_of(chain) == []


@pytest.mark.parametrize("seed", range(4))
def test_chains_that_libraries_write_and_any_others_have_the_elements_of_the_list(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        signs = list(random_chain(rng))
        for _ in range(rng.choice((0, 0, 1, 4))):
            place = rng.randrange(len(signs) + 1)
            signs[place : place + rng.randrange(2)] = rng.choice(SIGNS)
        require_the_same("".join(signs))
        require_the_same("".join(rng.choice(SIGNS) for _ in range(rng.randrange(30))))


def require_the_same(chain: str) -> None:
    if chain.count("\\") > 18:  # the list tries more and more combinations of these
        return
    try:
        expected = elements(chain)
    except Refusal:  # a number is none
        assert elements_of(chain)
        return
    assert elements_of(chain) == expected, repr(chain)


@pytest.mark.slow
@pytest.mark.parametrize("part", ['"', "\\a", '\\"', '="\\"', 'x="', 'a;"', "a:", "\n", ":a=", ". "])
def test_a_long_chain_takes_no_more_than_its_length(part: str) -> None:
    """Those that try one way to read it after the other never come to an end here."""
    for chain in (part * 50_000, f'a:b="{part * 50_000}', f'{part * 50_000}:b="c"'):
        assert isinstance(elements_of(chain), list)
