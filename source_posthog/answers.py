"""What PostHog answers, and the instants in it."""

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pendulum
import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException

_ALL_DIGITS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBERS = tuple(before + b"0" * 19 for before in (b":", b",", b"["))


def instant(text: str) -> datetime:
    """The instant that an ISO 8601 text names (Z, +00:00 or +0200, with or without a fraction; UTC if it has no zone).

    Raises ValueError for anything else, also for a bare date, time or duration.
    """
    try:
        at = datetime.fromisoformat(text)  # forty times faster than pendulum, and knows the form that PostHog writes
        if at.tzinfo and "T" in text:
            return at
    except (TypeError, ValueError):
        pass
    # pendulum would take "now" for a date.
    parsed = pendulum.parse(text, exact=True) if isinstance(text, str) and text[:4].isdigit() else None
    if not isinstance(parsed, datetime):
        raise ValueError(f"{text!r} is not an ISO 8601 date and time")
    return datetime.fromisoformat(parsed.isoformat())  # pendulum's own datetimes do not mix with timedelta


def iso(at: datetime) -> str:
    """`at` as PostHog reads it without fail. Z and not +00:00: a plus that goes unencoded would silently mean "now"."""
    return at.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def page(response: requests.Response) -> Mapping[str, Any]:
    """The JSON object in `response`, decoded once however often it is asked for.

    Raises AirbyteTracedException where the body is not a JSON object.
    """
    body = getattr(response, "_page", None)
    if body is None:
        try:
            body = _decode(response.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise unusable(response, "the answer is not a JSON object")
        setattr(response, "_page", body)  # noqa: B010  # not an attribute that requests knows of
    return body


def _decode(content: bytes) -> Any:
    """JSON as Python, exactly. orjson turns integers over 64 bits into floats, and refuses floats over 1.8e308 and
    half surrogates, all of which PostHog passes on from its users' properties; the standard library takes them."""
    flat = content.translate(_ALL_DIGITS_ZERO, b"- \t\r\n")
    if not any(number in flat for number in _LONG_NUMBERS):
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            pass
    return json.loads(content)


def rows(response: requests.Response) -> list[dict[str, Any]]:
    """The `results` of `response`.

    Raises AirbyteTracedException where there is no such list, or a row in it has no id: both would lose data unseen.
    """
    results = page(response).get("results")
    if not isinstance(results, list):
        raise unusable(response, "the answer has no list of `results`")
    if not all(isinstance(row, dict) and row.get("id") is not None for row in results):
        raise unusable(response, "a row has no `id`")
    return results


def unusable(response: requests.Response, what: str) -> AirbyteTracedException:
    """The error for an answer that PostHog would not give; nothing of it is read."""
    path = urlsplit(response.url).path
    return AirbyteTracedException(
        message=f"PostHog's answer for {path} cannot be used: {what}. Nothing of it was read; run the sync again, and "
        "if that does not help, check that `base_url` is PostHog itself and not a page in front of it.",
        internal_message=f"{what}: {response.url}",
        failure_type=FailureType.transient_error,
    )


def offset(url: str) -> int:
    """The `offset` that `url` asks for; 0 where it names none."""
    try:
        return int(parse_qs(urlsplit(url).query).get("offset", ["0"])[-1])
    except (AttributeError, TypeError, ValueError):
        return 0
