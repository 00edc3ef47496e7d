"""JSON as Python, exactly and fast.

orjson turns integers over 64 bits into floats, and refuses floats over 1.8e308 and half surrogates, all of which
PostHog passes on from its users' properties. The standard library takes them, and is slower: it reads what needs it.
"""

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import orjson

from source_posthog.exact.errors import TooDeep

# The CDK cannot write a record that is nested more deeply than Python's stack allows, which is a thousand levels less
# what is on it already, and it would end the whole sync.
MOST_LEVELS = 800

_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKENS = re.compile(_STRING + rb'|["{}\[\],]', re.DOTALL)
_MEMBER = re.compile(rb"\s*(" + _STRING + rb")\s*:(.*)", re.DOTALL)
_ALL_DIGITS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_RUN = b"0" * 19
# Between a number and what stands before it there may be a sign and white space, also as it is escaped in a string.
_LONG_NUMBER = re.compile(rb"[:,\[][- \t\r\n\\tnr]*0{19}")
_LONG_NUMBER_ALONE = re.compile(rb"[- \t\r\n\\tnr]*0{19}")


def decoder(content: bytes) -> Callable[[bytes | str], Any]:
    """What decodes `content`, and the objects in its strings: it is looked at once, since a page has many such strings.

    It raises ValueError for what is no JSON and TooDeep for what is too deep, and takes a time in proportion to the
    length, whatever the strings hold.
    """
    return _careful if has_long_numbers(content) else _fast


def _fast(content: bytes | str) -> Any:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _careful(content)
    if _brackets(content) > MOST_LEVELS and _is_deep(value):
        raise TooDeep(MOST_LEVELS)
    return value


def _careful(content: bytes | str) -> Any:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if is_nested_too_deeply(data):  # before the standard library descends: how far it can differs between Pythons
        raise TooDeep(MOST_LEVELS)
    try:
        return json.loads(content) if has_long_numbers(data) else _either(content)
    except RecursionError:
        raise TooDeep(MOST_LEVELS) from None


def _either(content: bytes | str) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)


def _brackets(content: bytes | str) -> int:
    """How many brackets open in `content`, those in strings included: it is nested no more deeply than that."""
    if isinstance(content, str):
        return content.count("{") + content.count("[")
    return content.count(b"{") + content.count(b"[")


def _is_deep(value: Any) -> bool:
    """Whether `value` is nested more than MOST_LEVELS deep: it is looked at level by level.

    That is faster than to look at the JSON, where brackets in strings have to be told from others.
    """
    level, levels = [value], 0
    while level and levels <= MOST_LEVELS:
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, (dict, list))
        ]
        levels += 1
    return levels > MOST_LEVELS


def is_nested_too_deeply(content: bytes) -> bool:
    """Whether the JSON in `content`, which may be cut off, is nested more than MOST_LEVELS deep."""
    if _brackets(content) <= MOST_LEVELS:
        return False
    outside_of_strings = content.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(outside_of_strings).translate(None, _ALL_BUT_BRACKETS)
    return any(levels > MOST_LEVELS for levels in accumulate(map(_STEPS.__getitem__, brackets)))


def pieces(content: bytes) -> dict[int | str, bytes]:
    """What the array or object in `content` is made of, however deep it is: the JSON of each element by its place, of
    each member by its name.

        pieces(b'{"id": 1, "properties": {"a": [2]}}')  ->  {"id": b" 1", "properties": b' {"a": [2]}'}

    Raises ValueError where its brackets do not match up, as where it was cut off.
    """
    levels, begin, end, found = 0, 0, len(content), []
    for token in _TOKENS.finditer(content):
        match token[0]:
            case b'"':
                raise ValueError("a string has no end")
            case b"{" | b"[":
                levels += 1
                begin = token.end() if levels == 1 else begin
            case b"}" | b"]":
                levels -= 1
                if levels == 0:
                    found.append(content[begin : token.start()])
                    end = token.end()
                    break
            case b"," if levels == 1:
                found.append(content[begin : token.start()])
                begin = token.end()
    if levels or not found or content[end:].strip():
        raise ValueError("it does not end where its brackets do")
    if not b"".join(found).strip():
        return {}
    return dict(map(_member, found) if content.lstrip().startswith(b"{") else enumerate(found))


def _member(text: bytes) -> tuple[str, bytes]:
    if match := _MEMBER.fullmatch(text):
        return str(_either(match[1])), match[2]
    raise ValueError("a member has no name")


def has_long_numbers(content: bytes) -> bool:
    """Whether a number in `content`, or in an object in a string of it, may have 19 digits or more.

    Most have no such run of digits at all, and where one is, it is mostly within a string.
    """
    flat = content.translate(_ALL_DIGITS_ZERO)
    if _LONG_RUN not in flat:
        return False
    return bool(_LONG_NUMBER.search(flat) or _LONG_NUMBER_ALONE.match(flat))
