"""The elements of autocaptured events: the string of them that is stored, and what the events list makes of it.

a.btn:attr__href="/buy"href="/buy"nth-child="1"nth-of-type="1"text="Buy";div:nth-child="2"nth-of-type="1"
"""

import random
import re

from .traffic import server_error
from .values import Row

# The list's own way to read a chain, an expression for each step. Lines matter to the last two: "." is no line break.
_LINKS = re.compile(r'(?:"(?:\\.|[^"])*"|[^\s;"])+')
_HEAD = re.compile(r"(?P<head>.*?)(?::(?P<attributes>[-\w]*=.*)|\Z)", re.ASCII)
_ATTRIBUTE = re.compile(r'(?P<key>.*?)="(?P<value>.*?[^\\])"')

NUMBERS = ("nth-child", "nth-of-type")

TEXTS = [
    *(
        "Buy",
        "Sign up now",
        "",
        "a;b",
        'say "hi"',
        "it's",
        "Zoë 🦔",
        "x=1",
        'nth-child="7"',
        "back\\slash",
        "ends with \\",
    ),
    *("two\nlines", "\u2028", " ", 'a:b="c"', "{{ x }}", ";", '"', "'", "\\"),
]
CLASSES = ["btn", "large", "md:flex", "w-1.5", "[&>a]:p-2", "hover:x=1", "é", "a_b", "", "-", 'quo"te']
KEYS = [
    "attr__class",
    "attr__data-id",
    "attr__style",
    "attr__href",
    "attr__ü",
    "data",
    "",
    "on:click",
    'attr__"',
    "a.b",
]
TAGS = ["a", "div", "svg", "my-element", "path", "", "h1"]


def elements(chain: str) -> list[Row]:
    """What the events list shows. Raises Refusal (500) where a number is none."""
    return [_element(place, link) for place, link in enumerate(_LINKS.findall(chain))]


def _element(place: int, link: str) -> Row:
    match = _HEAD.search(link)
    assert match
    pairs = [(one["key"], one["value"]) for one in _ATTRIBUTE.finditer(match["attributes"] or "")]
    named, head = dict(pairs), match["head"]
    try:
        numbers = {key: int(value) for key, value in pairs if key in NUMBERS}
    except ValueError:
        raise server_error() from None
    return {
        "event": None,
        "text": named.get("text"),
        "tag_name": head.split(".")[0] if head else None,
        "attr_class": [name for name in head.split(".")[1:] if name] if "." in head else None,
        "href": named.get("href"),
        "attr_id": named.get("attr_id"),
        "nth_child": numbers.get("nth-child"),
        "nth_of_type": numbers.get("nth-of-type"),
        "attributes": {key: value for key, value in pairs if key not in ("text", "href", "attr_id", *NUMBERS, "")},
        "order": place,
    }


def random_chain(rng: random.Random) -> str:
    """A chain of elements as PostHog's libraries write them: attributes by their names, quotes in values and keys
    escaped, and nothing else."""
    return ";".join(_link(rng) for _ in range(rng.choice((0, 1, 2, 3, 8))))


def _link(rng: random.Random) -> str:
    classes = sorted(one.replace('"', "") for one in rng.sample(CLASSES, rng.choice((0, 0, 1, 3))))
    attributes = {key: rng.choice(TEXTS) for key in rng.sample(KEYS, rng.choice((0, 1, 3)))}
    attributes |= {key: rng.choice(TEXTS) for key in ("text", "href", "attr_id") if rng.random() < 0.3}
    attributes |= {key: str(rng.randrange(12)) for key in NUMBERS if rng.random() < 0.95}
    written = (f'{_escaped(key)}="{_escaped(value)}"' for key, value in sorted(attributes.items()))
    return rng.choice(TAGS) + "".join(f".{one}" for one in classes) + ":" + "".join(written)


def _escaped(text: str) -> str:
    return text.replace('"', '\\"')
