"""Instants and JSON, as PostHog reads and writes them."""

import json
import math
import random
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import orjson

Row = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = 1_000_000  # microseconds, the unit of all instants of events
DAY = 86_400 * SECOND

_ISO = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.IGNORECASE
)


def microseconds(text: str, zone: tzinfo = timezone.utc) -> int:
    """The instant that an ISO 8601 string names, in microseconds since the epoch; read in `zone` if it names none.

    Digits beyond the microsecond are cut off. Raises ValueError for any other text, e.g. where a plus became a space.
    """
    match = _ISO.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not an ISO 8601 date and time")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, named = match.groups()[6:]
    at = datetime(
        year,
        month,
        day,
        hour,
        minute,
        second,
        int((fraction or "0")[:6].ljust(6, "0")),
        timezone.utc if named else zone,
    )
    if named and named not in "Zz":
        digits = named[1:].replace(":", "").ljust(4, "0")
        shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        at -= shift if named[0] == "+" else -shift
    return (at - EPOCH) // timedelta(microseconds=1)


def isoformat(at: int) -> str:
    """`at` (microseconds) as PostHog writes an event's timestamp: no fraction when it is zero, else six digits."""
    return (EPOCH + timedelta(microseconds=at)).isoformat()


def wall_time(at: int, zone: tzinfo) -> int:
    """What the clocks of `zone` show at an instant, taken for UTC. Both are in microseconds since the epoch."""
    instant = EPOCH + timedelta(microseconds=at)
    return (instant.astimezone(zone).replace(tzinfo=timezone.utc) - EPOCH) // timedelta(microseconds=1)


def random_uuid(rng: random.Random) -> str:
    """A version 4 UUID from `rng`."""
    digits = f"{rng.getrandbits(128):032x}"
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:]}"
    )


def finite(value: Any) -> Any:
    """`value` with NaN and the infinities as null, at any depth, as PostHog gives them."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def cleaned(properties: Mapping[str, Any]) -> Row:
    """`properties` as PostHog gives them: no NaN or Infinity, no double quotes around string values."""
    return {key: value.strip('"') if isinstance(value, str) else finite(value) for key, value in properties.items()}


def encode(value: Any) -> bytes:
    """`value` as JSON. The standard library takes what orjson refuses: integers over 64 bits and half surrogates."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(finite(value), separators=(",", ":")).encode()
