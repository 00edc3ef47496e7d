"""How the state says how far a day is read."""

from collections.abc import Mapping
from typing import Any

from source_posthog.exact.events.port import HASHES, Cut, HalfDay
from source_posthog.exact.instants import instant, iso

DAY = "day"  # the name in an entry of the state


def written(half: HalfDay) -> dict[str, Any]:
    """`half` as it stands in the state; hashes are strings, since not every JSON has integers of 64 bits."""
    event, distinct_id, uuid = half.reached
    return {
        "start": iso(half.start),
        "end": iso(half.end),
        "event": event,
        "distinct_id": str(distinct_id),
        "uuid": str(uuid),
        "began": iso(half.began),
        "newest": half.newest,
    }


def half_day(entry: Mapping[str, Any]) -> HalfDay | None:
    """The half day in an entry of the state; None where there is none. Raises ValueError where it is not valid."""
    stated = entry.get(DAY)
    if stated is None:
        return None
    try:
        start, end, began = (instant(stated[name]) for name in ("start", "end", "began"))
        reached = Cut(_name(stated["event"]), _hash(stated["distinct_id"]), _hash(stated["uuid"]))
        newest = stated.get("newest")
        if newest is not None:
            instant(newest)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("it lacks a part") from error
    return HalfDay(start, end, reached, began, newest)


def _name(value: object) -> str:
    if isinstance(value, str):
        value.encode()
        return value
    raise ValueError("a name is a string")


def _hash(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) <= HASHES:
        return int(value)
    raise ValueError("a hash is a string of digits")
