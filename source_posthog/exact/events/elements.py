"""The elements of an autocaptured event, made of the string in which PostHog stores them: a query gives only that.

docs/posthog-server.md, "Elements", says what the list makes of it, also where it is odd. Anyone can send such
a string: none takes more time than in proportion to its length.
"""

import re
from collections.abc import Iterator
from typing import Any

# One element: up to a semicolon or white space outside of quotes. What is quoted ends at the next quote without a
# backslash before it, or if there is none at the last quote; a quote without another one is left out.
_ELEMENT = re.compile(r'(?:[^\s;"]+|"[^"\\]*(?:\\.[^"\\]*)*"|".*")+', re.DOTALL)
_FIRST_KEY = re.compile(r":[a-zA-Z0-9_-]*=")

# Attributes that are fields of an element, by the names that they have there.
_TEXTS = {"text": "text", "href": "href", "attr_id": "attr_id"}
_NUMBERS = {"nth-child": "nth_child", "nth-of-type": "nth_of_type"}


def elements_of(chain: object) -> list[dict[str, Any]]:
    """The elements of `chain`, the innermost first; none where it is no string.

    'a.btn.large:attr__href="/buy"href="/buy"nth-child="1"nth-of-type="2"text="Buy"'  ->
    [{"event": None, "text": "Buy", "tag_name": "a", "attr_class": ["btn", "large"], "href": "/buy", "attr_id": None,
      "nth_child": 1, "nth_of_type": 2, "attributes": {"attr__href": "/buy"}, "order": 0}]
    """
    found = _ELEMENT.findall(chain) if isinstance(chain, str) and chain else []
    return [_element(text, order) for order, text in enumerate(found)]


def _element(text: str, order: int) -> dict[str, Any]:
    tag, attributes = _parts(text)
    name, *classes = tag.split(".")
    element: dict[str, Any] = {
        "event": None,
        "text": None,
        "tag_name": name if tag else None,
        "attr_class": [one for one in classes if one] if classes else None,
        "href": None,
        "attr_id": None,
        "nth_child": None,
        "nth_of_type": None,
        "attributes": {},
        "order": order,
    }
    for key, value in _pairs(attributes):
        if key in _NUMBERS:
            element[_NUMBERS[key]] = _number(value)
        elif key in _TEXTS:
            element[_TEXTS[key]] = value
        elif key:
            element["attributes"][key] = value
    return element


def _parts(text: str) -> tuple[str, str]:
    """The tag with its classes, which can have colons, and the attributes: what stands before and after the colon of
    the first key, in its line. Without any, the last line is the tag."""
    first = _FIRST_KEY.search(text)
    colon = first.start() if first else len(text)
    begin, end = text.rfind("\n", 0, colon) + 1, text.find("\n", colon)
    return text[begin:colon], text[colon + 1 : end if end >= 0 else len(text)]


def _pairs(attributes: str) -> Iterator[tuple[str, str]]:
    """Keys and values. A value has a character or more, and ends at the next quote without a backslash before it."""
    start = 0
    while (equals := attributes.find('="', start)) >= 0:
        value = equals + 2
        end = attributes.find('"', value + 1)
        while end >= 0 and attributes[end - 1] == "\\":
            end = attributes.find('"', end + 1)
        if end < 0:
            return
        yield attributes[start:equals], attributes[value:end]
        start = end + 1


def _number(text: str) -> int | None:
    """`text` as a number; None where it is none, which makes the list fail."""
    try:
        return int(text)
    except ValueError:
        return None
