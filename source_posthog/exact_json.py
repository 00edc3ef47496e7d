"""JSON as Python, exactly and fast.

orjson turns integers over 64 bits into floats, and refuses floats over 1.8e308 and half surrogates, all of which
PostHog passes on from its users' properties. The standard library takes them, and is slower: it reads what needs it.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

# The CDK cannot write a record that is nested more deeply than Python's stack allows, which is a thousand levels less
# what is on it already, and it would end the whole sync.
MOST_LEVELS = 800

_BRACKETS_AS_BRACES = bytes.maketrans(b"[]", b"{}")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ALL_DIGITS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_RUN = b"0" * 19
# What may stand between a number and the sign before it, also as it is escaped in a string. Where there is more of it,
# the standard library looks.
_GAP, _LONGEST_GAP = b"- \t\r\n\\tnr", 16


class TooDeep(ValueError):
    """It is nested more than MOST_LEVELS deep."""


def loads(content: bytes) -> Any:
    """The value of `content`. Raises ValueError where it is no JSON, TooDeep where it is too deep."""
    return decoder(content)(content)


def decoder(content: bytes) -> Callable[[bytes | str], Any]:
    """What decodes `content`, and the objects in its strings: it is looked at once, since a page has many such strings.

    It raises as `loads`.
    """
    is_plain = _most_levels(content) <= MOST_LEVELS and not has_long_numbers(content)
    return _fast if is_plain else _careful


def _fast(content: bytes | str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _careful(content)


def _careful(content: bytes | str) -> Any:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if is_nested_too_deeply(data):
        raise TooDeep(f"it is nested more than {MOST_LEVELS} levels deep")
    try:
        return json.loads(content) if has_long_numbers(data) else _either(content)
    except RecursionError:
        raise TooDeep(f"it is nested more than {MOST_LEVELS} levels deep") from None


def _either(content: bytes | str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)


def is_nested_too_deeply(content: bytes) -> bool:
    """Whether the JSON in `content` is nested more than MOST_LEVELS deep.

    Strings are looked at only where brackets in them, which need not match up, could hide it: that costs more.
    """
    return _most_levels(content) > MOST_LEVELS and _most_levels(_STRINGS.sub(b"", content)) > MOST_LEVELS


def _most_levels(content: bytes) -> int:
    """How deep `content` is nested at the most: the pairs of brackets are taken off from the inside, level by level."""
    shape, levels = content.translate(_BRACKETS_AS_BRACES, _ALL_BUT_BRACKETS), 0
    while levels <= MOST_LEVELS:
        smaller = shape.replace(b"{}", b"")
        if len(smaller) == len(shape):
            break
        shape, levels = smaller, levels + 1
    return levels + shape.count(b"{")


def has_long_numbers(content: bytes) -> bool:
    """Whether a number in `content`, or in an object in a string of it, may have 19 digits or more.

    Most have no such run of digits at all, and where one is, it is mostly within a string.
    """
    flat = content.translate(_ALL_DIGITS_ZERO)
    at = flat.find(_LONG_RUN)
    while at >= 0:
        before = flat[max(at - _LONGEST_GAP, 0) : at].rstrip(_GAP)
        if not before or before[-1:] in (b":", b",", b"["):
            return True
        end = at + len(_LONG_RUN)
        while flat[end : end + 1] == b"0":
            end += 1
        at = flat.find(_LONG_RUN, end)
    return False
