"""What PostHog answers."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from weakref import WeakKeyDictionary

import requests

from source_posthog.api import exact_json
from source_posthog.api.errors import NestedTooDeeply, PostHogError, Where, one_line
from source_posthog.exact.errors import TooDeep

logger = logging.getLogger("airbyte")

# What is left out of the rows that are nested too deeply to be emitted: by the place of the row, and the name (of a row
# that is an array: the place) of what is left out, its JSON.
DeepRows = Mapping[int, Mapping[int | str, str]]


class Unemittable(dict[str, Any]):
    """A row of which something is nested too deeply for a record. It takes part in the reading, and is not emitted."""


@dataclass(frozen=True)
class _Body:
    """The object in an answer, and what decodes the JSON in its strings.

    Attributes:
        deep: what is nested too deeply, and is null in `value`.
    """

    value: dict[str, Any]
    decode: Callable[[str], Any]
    deep: DeepRows = field(default_factory=dict)


class Answers:
    """The bodies of one sync's answers, each decoded once however many components look at it.

    A body is kept for as long as its answer is.
    """

    def __init__(self) -> None:
        self._bodies: WeakKeyDictionary[requests.Response, _Body | PostHogError] = WeakKeyDictionary()
        self._places: WeakKeyDictionary[requests.Response, Where] = WeakKeyDictionary()
        self._shown: set[str] = set()

    def locate(self, response: requests.Response, where: Where) -> None:
        """`response` is about `where`; errors about it will say so."""
        self._places[response] = where

    def body(self, response: requests.Response) -> dict[str, Any]:
        """The JSON object in `response`. Raises PostHogError where there is none, or not all of it can be emitted."""
        body = self._body(response)
        if body.deep:
            raise NestedTooDeeply(
                _reason(response, str(TooDeep(exact_json.MOST_LEVELS))), where=self._places.get(response)
            )
        return body.value

    def readable(self, response: requests.Response) -> dict[str, Any]:
        """As `body`, but rows may be nested too deeply, as long as the caller asks for `deep_rows`."""
        return self._body(response).value

    def deep_rows(self, response: requests.Response) -> DeepRows:
        """What is null in the rows of `readable`, since it is nested too deeply."""
        return self._body(response).deep

    def decoder(self, response: requests.Response) -> Callable[[str], Any]:
        """What decodes the JSON in the strings of `response`, exactly. It raises ValueError; see exact_json."""
        return self._body(response).decode

    def expect_array(self, response: requests.Response) -> None:
        """`response` may be an array: then its rows are the `results` of the object that it is taken for."""
        content = response.content
        if content[:100].lstrip().startswith(b"["):
            self._bodies[response] = _read(response, b'{"results":' + content + b"}")

    def _body(self, response: requests.Response) -> _Body:
        body = self._bodies.get(response)
        if body is None:
            body = self._bodies[response] = _read(response, response.content)
        if isinstance(body, PostHogError):
            raise type(body)(body.reason, body.failure_type, self._places.get(response))
        return body

    def rows(self, response: requests.Response, key: str = "id") -> list[dict[str, Any]]:
        """The `results` of `response`; see `deep_rows`.

        Raises PostHogError where there is no such list, or a row in it has no `key`: both would lose data unseen.
        """
        results = self.readable(response).get("results")
        if not isinstance(results, list):
            raise self.unusable(response, "it has no list of `results`")
        for row in results:
            self._require_key(response, row, key)
        return results

    def single_row(self, response: requests.Response) -> dict[str, Any] | None:
        """The row that `response` consists of; None where it is none, but for example a list."""
        body = self.body(response)
        if "results" in body or body.get("id") is None:
            return None
        self._require_key(response, body, "id")
        return body

    def _require_key(self, response: requests.Response, row: Any, key: str) -> None:
        value = row.get(key) if isinstance(row, dict) else None
        if type(value) not in (str, int):
            given = "" if value is None else f", but {one_line(repr(value))}"
            raise self.unusable(response, f"a row has no `{key}` that is a string or a number{given}")

    def detail(self, response: requests.Response) -> str:
        """PostHog's own sentence in an error, in one line; "" if there is none. All of a longer one is logged at DEBUG,
        once."""
        detail = self._of_error(response, "detail")
        line = one_line(detail)
        if line != detail and detail not in self._shown:
            self._shown.add(detail)
            logger.debug(f"PostHog's whole answer, of which the log shows the beginning: {detail}")
        return line

    def code(self, response: requests.Response) -> str:
        """What PostHog calls an error; "" if it does not say."""
        return self._of_error(response, "code")

    def _of_error(self, response: requests.Response, name: str) -> str:
        try:
            value = self.body(response).get(name)
        except PostHogError:
            return ""
        return value if isinstance(value, str) else ""

    def unusable(self, response: requests.Response, what: str) -> PostHogError:
        """The error for an answer that PostHog would not give; nothing of it is read."""
        return PostHogError(_reason(response, what), where=self._places.get(response))


def _read(response: requests.Response, content: bytes) -> _Body | PostHogError:
    """What is in `content`, the body of `response`."""
    if content[:100].lstrip().startswith(b"{"):
        decode = exact_json.decoder(content)
        try:
            return _Body(decode(content), decode)
        except TooDeep:
            return _read_in_pieces(response, content, decode)
        except ValueError:
            pass
    return PostHogError(_reason(response, "it is not a JSON object"))


def _read_in_pieces(
    response: requests.Response, content: bytes, decode: Callable[[bytes | str], Any]
) -> _Body | PostHogError:
    """What can be emitted of an answer that is nested too deeply: one such row must not hide the others.

    One that was cut off is none: all of it is asked for again.
    """
    deep: dict[int, dict[int | str, str]] = {}
    value: dict[str, Any] = {}
    try:
        for name, text in exact_json.pieces(content).items():
            is_list = name == "results" and text.lstrip().startswith(b"[")
            value[str(name)] = _rows(text, decode, deep) if is_list else decode(text)
    except TooDeep as too_deep:
        return NestedTooDeeply(_reason(response, str(too_deep)))
    except ValueError:
        return PostHogError(_reason(response, "it is not a JSON object"))
    return _Body(value, decode, deep)


def _rows(
    text: bytes, decode: Callable[[bytes | str], Any], deep: dict[int, dict[int | str, str]]
) -> list[dict[str, Any] | list[Any]]:
    """The rows in `text`; what they lack goes into `deep`."""
    rows = []
    for place, row in enumerate(exact_json.pieces(text).values()):
        try:
            rows.append(decode(row))
        except TooDeep:
            values, deep[place] = _row(row, decode)
            rows.append(values if row.lstrip().startswith(b"{") else list(values.values()))
    return rows


def _row(text: bytes, decode: Callable[[bytes | str], Any]) -> tuple[dict[int | str, Any], dict[int | str, str]]:
    """What can be emitted of the row in `text`, null for the rest, and the JSON of the rest."""
    values: dict[int | str, Any] = {}
    deep: dict[int | str, str] = {}
    for name, piece in exact_json.pieces(text).items():
        try:
            values[name] = decode(piece)
        except TooDeep:
            values[name], deep[name] = None, piece.decode("utf-8", "surrogatepass").strip()
    return values, deep


def _reason(response: requests.Response, what: str) -> str:
    return (
        f"PostHog's answer for {urlsplit(response.url).path} cannot be used: {what}. None of it was read. Run the sync "
        "again; if this persists, check that `base_url` is the address of PostHog itself, not of a page in front of it."
    )


def offset(url: str) -> int:
    """The `offset` that `url` asks for; 0 where it names none."""
    return number_in(url, "offset")


def number_in(url: str, parameter: str) -> int:
    """The number that `url` gives a `parameter`; 0 where it gives none."""
    try:
        return int(parse_qs(urlsplit(url).query).get(parameter, ["0"])[-1])
    except (AttributeError, TypeError, ValueError):
        return 0
