"""What PostHog answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import requests

from source_posthog import exact_json
from source_posthog.errors import NestedTooDeeply, PostHogError, Where


@dataclass(frozen=True)
class _Body:
    """The object in an answer, and what decodes the JSON in its strings."""

    value: dict[str, Any]
    decode: Callable[[str], Any]


class Answers:
    """The bodies of one sync's answers, each decoded once however many components look at it.

    A body is kept for as long as its answer is.
    """

    def __init__(self) -> None:
        self._bodies: WeakKeyDictionary[requests.Response, _Body | PostHogError] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[requests.Response, Where] = WeakKeyDictionary()

    def place(self, response: requests.Response, where: Where) -> None:
        """`response` is about `where`; errors about it will say so."""
        self._places[response] = where

    def body(self, response: requests.Response) -> dict[str, Any]:
        """The JSON object in `response`. Raises PostHogError where there is none."""
        return self._body(response).value

    def decoder(self, response: requests.Response) -> Callable[[str], Any]:
        """What decodes the JSON in the strings of `response`, exactly. It raises ValueError; see exact_json."""
        return self._body(response).decode

    def _body(self, response: requests.Response) -> _Body:
        body = self._bodies.get(response)
        if body is None:
            body = self._bodies[response] = _read(response)
        if isinstance(body, PostHogError):
            raise type(body)(body.reason, body.failure_type, self._places.get(response))
        return body

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


def _read(response: requests.Response) -> _Body | PostHogError:
    content = response.content
    if content[:100].lstrip().startswith(b"{"):
        try:
            decode = exact_json.decoder(content)
            return _Body(decode(content), decode)
        except exact_json.TooDeep as deep:
            return NestedTooDeeply(_reason(response, str(deep)))
        except ValueError:
            pass
    return PostHogError(_reason(response, "it is not a JSON object"))


def _reason(response: requests.Response, what: str) -> str:
    return (
        f"PostHog's answer for {urlsplit(response.url).path} cannot be used: {what}. None of it was read. Run the sync "
        "again; if this persists, check that `base_url` is the address of PostHog itself, not of a page in front of it."
    )


def offset(url: str) -> int:
    """The `offset` that `url` asks for; 0 where it names none."""
    try:
        return int(parse_qs(urlsplit(url).query).get("offset", ["0"])[-1])
    except (AttributeError, TypeError, ValueError):
        return 0
