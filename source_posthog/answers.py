"""What PostHog answers."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import orjson
import requests

from source_posthog.errors import NestedTooDeeply, PostHogError, Where

# The CDK cannot write a record that is nested more deeply than Python's stack allows, which is a thousand levels less
# what is on it already, and it would end the whole sync.
MOST_LEVELS = 800

_BRACKETS_AS_BRACES = bytes.maketrans(b"[]", b"{}")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ALL_DIGITS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_RUN = b"0" * 19
_LONG_NUMBERS = tuple(before + _LONG_RUN for before in (b":", b",", b"["))


class Answers:
    """The bodies of one sync's answers, each decoded once however many components look at it.

    A body is kept for as long as its answer is.
    """

    def __init__(self) -> None:
        self._bodies: WeakKeyDictionary[requests.Response, dict[str, Any] | PostHogError] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[requests.Response, Where] = WeakKeyDictionary()

    def place(self, response: requests.Response, where: Where) -> None:
        """`response` is about `where`; errors about it will say so."""
        self._places[response] = where

    def body(self, response: requests.Response) -> dict[str, Any]:
        """The JSON object in `response`. Raises PostHogError where there is none."""
        body = self._bodies.get(response)
        if body is None:
            body = self._bodies[response] = self._read(response)
        if isinstance(body, NestedTooDeeply):
            raise NestedTooDeeply(body.reason, body.failure_type, self._places.get(response))
        if isinstance(body, PostHogError):
            raise PostHogError(body.reason, body.failure_type, self._places.get(response))
        return body

    def _read(self, response: requests.Response) -> dict[str, Any] | PostHogError:
        content = response.content
        if content[:100].lstrip().startswith(b"{") and is_nested_too_deeply(content):
            return NestedTooDeeply(_reason(response, f"it is nested more than {MOST_LEVELS} levels deep"))
        try:
            body = _decode(content)
        except (ValueError, RecursionError):
            body = None
        return body if isinstance(body, dict) else PostHogError(_reason(response, "it is not a JSON object"))

    def rows(self, response: requests.Response) -> list[dict[str, Any]]:
        """The `results` of `response`.

        Raises PostHogError where there is no such list, or a row in it has no id: both would lose data unseen.
        """
        results = self.body(response).get("results")
        if not isinstance(results, list):
            raise self.unusable(response, "it has no list of `results`")
        if not all(isinstance(row, dict) and row.get("id") is not None for row in results):
            raise self.unusable(response, "a row has no `id`")
        return results

    def detail(self, response: requests.Response) -> str:
        """PostHog's own sentence in an error; "" if there is none."""
        try:
            detail = self.body(response).get("detail")
        except PostHogError:
            return ""
        return detail if isinstance(detail, str) else ""

    def unusable(self, response: requests.Response, what: str) -> PostHogError:
        """The error for an answer that PostHog would not give; nothing of it is read."""
        return PostHogError(_reason(response, what), where=self._places.get(response))


def _reason(response: requests.Response, what: str) -> str:
    return (
        f"PostHog's answer for {urlsplit(response.url).path} cannot be used: {what}. Nothing of it was read; run the "
        "sync again, and if that does not help, check that `base_url` is PostHog itself and not a page in front of it."
    )


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


def _decode(content: bytes) -> Any:
    """JSON as Python, exactly. orjson turns integers over 64 bits into floats, and refuses floats over 1.8e308 and
    half surrogates, all of which PostHog passes on from its users' properties; the standard library takes them."""
    if not _has_long_numbers(content):
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass
    return json.loads(content)


def _has_long_numbers(content: bytes) -> bool:
    """Whether a number in `content` may have 19 digits or more; most have no such run of digits at all."""
    if _LONG_RUN not in content.translate(_ALL_DIGITS_ZERO):
        return False
    flat = content.translate(_ALL_DIGITS_ZERO, b"- \t\r\n")
    return any(number in flat for number in _LONG_NUMBERS)


def decoded(text: str) -> Any:
    """The JSON in a string of an answer, exactly.

    Raises ValueError where it is none, or nested more than MOST_LEVELS deep.
    """
    content = text.encode("utf-8", "surrogatepass")
    if content.count(b"{") + content.count(b"[") > MOST_LEVELS and is_nested_too_deeply(content):
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep")
    try:
        return _decode(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def offset(url: str) -> int:
    """The `offset` that `url` asks for; 0 where it names none."""
    try:
        return int(parse_qs(urlsplit(url).query).get("offset", ["0"])[-1])
    except (AttributeError, TypeError, ValueError):
        return 0
