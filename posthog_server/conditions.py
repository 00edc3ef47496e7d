"""Conditions on the columns that events are stored by, and how AND, OR and brackets combine conditions.

(event > 'a' or (event = 'a' and assumeNotNull(cityHash64(distinct_id)) >= 5)) and event < 'c'
event not in ('b', 'bb')
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Any, NamedTuple, Protocol

from .city_hash import city_hash_64, city_hash_of_uuid
from .data import Event
from .people import People
from .values import DAY, EPOCH, microseconds

STRING = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)|''", re.DOTALL)
# HogQL's own parser reads `\0` as nothing; a NUL stands for itself. What is not in here cannot be read.
_ESCAPES = {"b": "\b", "f": "\f", "r": "\r", "n": "\n", "t": "\t", "a": "\a", "v": "\v", "\\": "\\", "'": "'", "0": ""}
_COMPARISON = re.compile(r"\s*(<=|>=|!=|==|=|<|>)\s*")
_MEMBERSHIP = re.compile(r"(.+?)\s+(not\s+)?in\s*\((.+)\)\s*", re.IGNORECASE | re.DOTALL)
_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
GREATEST_HASH = 2**64 - 1
_SUM = re.compile(r"\((\d+) \+ (\d+)\)")


class Interval(NamedTuple):
    """Values from `low` to `high`; None is no bound. An open end is itself not among them."""

    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    def meets(self, other: "Interval") -> bool:
        return not (self._ends_before(other) or other._ends_before(self))

    def _ends_before(self, other: "Interval") -> bool:
        if self.high is None or other.low is None:
            return False
        return bool(self.high < other.low or (self.high == other.low and (self.high_open or other.low_open)))


# Of the day, the event, the hash of the distinct id and the hash of the id: a part of the storage order.
Box = tuple[Interval, Interval, Interval, Interval]
DAY_PLACE, EVENT_PLACE, PERSON_PLACE, ID_PLACE = range(4)


class Condition(Protocol):
    """What must hold for an event."""

    def holds(self, event: Event, people: People) -> bool: ...

    def may_hold(self, box: Box) -> bool:
        """Whether ClickHouse's index leaves a part of the storage order, since the condition may hold in it."""
        ...

    def reads(self) -> frozenset[str]:
        """The columns that it reads."""
        ...


@dataclass(frozen=True)
class AllOf:
    parts: tuple[Condition, ...]

    def holds(self, event: Event, people: People) -> bool:
        return all(part.holds(event, people) for part in self.parts)

    def may_hold(self, box: Box) -> bool:
        return all(part.may_hold(box) for part in self.parts)

    def reads(self) -> frozenset[str]:
        return frozenset().union(*(part.reads() for part in self.parts))


@dataclass(frozen=True)
class AnyOf:
    parts: tuple[Condition, ...]

    def holds(self, event: Event, people: People) -> bool:
        return any(part.holds(event, people) for part in self.parts)

    def may_hold(self, box: Box) -> bool:
        return any(part.may_hold(box) for part in self.parts)

    def reads(self) -> frozenset[str]:
        return frozenset().union(*(part.reads() for part in self.parts))


@dataclass(frozen=True)
class Key:
    """An expression of an event that can be compared, ordered and grouped by.

    Attributes:
        value: of an event.
        column: the one that it is made of.
        place: in the storage order; None where the index does not know the expression.
        type: what ClickHouse calls it.
    """

    value: Callable[[Event], Any]
    column: str
    place: int | None
    type: str

    def literal(self, text: str) -> Any:
        """What `text` stands for in a comparison with it. Raises ValueError for what cannot be compared."""
        if self.type == "UInt64":
            if sum_ := _SUM.fullmatch(text):  # of integers that HogQL can read
                return int(sum_[1]) + int(sum_[2])
            if not text.isdecimal() or int(text) > GREATEST_HASH:
                raise ValueError(text)
            return int(text)
        if self.type == "Date":
            text, _ = _without("assumeNotNull", text)
            text, _ = _without("toDate", text)
            return microseconds(unquoted(text) + "T00:00:00") // DAY
        return stored(unquoted(text))


@dataclass(frozen=True)
class Comparison:
    key: Key
    sign: str
    value: Any

    def holds(self, event: Event, people: People) -> bool:
        return bool(_SIGNS[self.sign](self.key.value(event), self.value))

    def may_hold(self, box: Box) -> bool:
        if self.key.place is None:
            return True
        there = box[self.key.place]
        if self.sign == "!=":
            return (there.low, there.high) != (self.value, self.value)
        low = self.value if self.sign in ("=", ">", ">=") else None
        high = self.value if self.sign in ("=", "<", "<=") else None
        return there.meets(Interval(low, high, self.sign == ">", self.sign == "<"))

    def reads(self) -> frozenset[str]:
        return frozenset((self.key.column,))


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def stored(text: str) -> bytes:
    """The bytes of a String, by which ClickHouse compares and hashes it."""
    return text.encode(errors="surrogatepass")


def hash_of_distinct_id(event: Event) -> int:
    return city_hash_64(stored(event.distinct_id))


def hash_of_id(event: Event) -> int:
    return city_hash_of_uuid(event.id)


def day_of(event: Event, zone: tzinfo = timezone.utc) -> int:
    """The day of an event in `zone`, in days since the epoch."""
    if zone is timezone.utc:
        return event.at // DAY
    at = (EPOCH + timedelta(microseconds=event.at)).astimezone(zone)
    return at.date().toordinal() - EPOCH.date().toordinal()


def key(text: str, zone: tzinfo = timezone.utc) -> Key | None:
    """The expression that `text` is; None for any that is no key. Days are those of `zone`.

    HogQL believes that a hash can be NULL, and what it writes around a comparison then hides the hash from the index.
    """
    inner, is_not_null = _without("assumeNotNull", text.strip())
    written = "".join(inner.split())
    if written == "event":
        return Key(lambda event: stored(event.event), "event", EVENT_PLACE, "String")
    if written == "toDate(timestamp)":
        is_stored = str(zone) in ("UTC", "Etc/UTC")
        return Key(
            day_of if is_stored else lambda event: day_of(event, zone),
            "timestamp",
            DAY_PLACE if is_stored else None,
            "Date",
        )
    if written == "cityHash64(distinct_id)":
        return Key(hash_of_distinct_id, "distinct_id", PERSON_PLACE if is_not_null else None, "UInt64")
    if written == "cityHash64(uuid)":
        return Key(hash_of_id, "uuid", ID_PLACE if is_not_null else None, "UInt64")
    if written == "cityHash64(toString(uuid))":
        return Key(lambda event: city_hash_64(event.id.encode()), "uuid", None, "UInt64")
    return None


def comparison(text: str, zone: tzinfo = timezone.utc) -> Comparison | None:
    """The comparison of a key with a constant that `text` is; None for anything else."""
    match = _COMPARISON.search(masked(text))
    compared = key(text[: match.start()], zone) if match else None
    if not match or not compared:
        return None
    try:
        return Comparison(compared, match[1].replace("==", "="), compared.literal(text[match.end() :].strip()))
    except ValueError:
        return None


def membership(text: str, zone: tzinfo = timezone.utc) -> Condition | None:
    """The condition that a key is, or is not, one of two constants or more; None for anything else."""
    match = _MEMBERSHIP.fullmatch(masked(text))
    constants = split(text[slice(*match.span(3))], ",") if match else []
    sign, combined = ("!=", AllOf) if match and match[2] else ("=", AnyOf)
    parts = [comparison(f"{text[: match.end(1)]} {sign} {one}", zone) for one in constants] if match else []
    known = tuple(part for part in parts if part)
    return combined(known) if 2 <= len(known) == len(parts) else None


def parse(text: str, leaf: Callable[[str], Condition]) -> Condition:
    """The condition that `text` is; `leaf` reads what has neither AND nor OR nor brackets around it."""
    text = text.strip()
    for word, combined in (("or", AnyOf), ("and", AllOf)):
        parts = split(text, rf"\b{word}\b")
        if len(parts) > 1:
            return combined(tuple(parse(part, leaf) for part in parts))
    if text[:1] == "(" and text[-1:] == ")" and _closing(masked(text)) == len(text) - 1:
        return parse(text[1:-1], leaf)
    return leaf(text)


def split(text: str, separator: str) -> list[str]:
    """The parts of `text` between the matches of a pattern (whatever its case) outside of strings and brackets."""
    parts, start, depth = [], 0, 0
    for match in re.finditer(rf"([()])|{separator}", masked(text), re.IGNORECASE):
        if match[1]:
            depth += 1 if match[1] == "(" else -1
        elif depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def masked(text: str) -> str:
    """`text` with underscores in the place of what is in strings."""
    return STRING.sub(lambda match: f"'{'_' * (len(match[0]) - 2)}'", text)


def unquoted(text: str) -> str:
    """The string that HogQL reads a literal as. Raises ValueError for what is none."""
    if not STRING.fullmatch(text):
        raise ValueError(text)
    return _ESCAPED.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    if match[0] == "''":
        return "'"
    if match[1] not in _ESCAPES:
        raise ValueError(match[0])
    return _ESCAPES[match[1]]


def _without(function: str, text: str) -> tuple[str, bool]:
    """What `function` is called with, and whether it is called; else `text` itself."""
    match = _CALL.fullmatch(text)
    return (match[2].strip(), True) if match and match[1] == function else (text, False)


def _closing(text: str) -> int:
    """The place of the bracket that closes the first one; -1 where there is none."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place
    return -1
