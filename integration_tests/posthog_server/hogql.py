"""The HogQL that the server understands: what this connector sends, and nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .data import Event
from .traffic import invalid
from .values import microseconds

FAR = 2**63  # beyond any instant, in microseconds

_AT = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?)"
_INSTANT = rf"toDateTime(?:64(?=[^Z]*,\s*6)|(?=[^)]*Z'\)))\(\s*'{_AT}Z?'\s*(?:,\s*6\s*,\s*'UTC'\s*)?\)"
_ID_LIKE = re.compile(r"toString\(\s*uuid\s*\)\s+(?i:like)\s+'([^'\\]+)'")
_ID_ENDS_WITH = re.compile(r"endsWith\(\s*toString\(\s*uuid\s*\)\s*,\s*'([^'\\]+)'\s*\)")
_ID_IS_NOT = re.compile(r"toString\(\s*uuid\s*\)\s*!=\s*'([^'\\]+)'")
_CREATED_AT = re.compile(rf"created_at\s*(>=|>|<=|<)\s*{_INSTANT}")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_COUNT = re.compile(
    r"\s*(?i:select)\s+count\(\s*\)\s+(?i:from)\s+events\s+(?i:where)\s+"
    rf"timestamp\s*>=\s*{_INSTANT}\s+(?i:and)\s+timestamp\s*<\s*{_INSTANT}(?:\s+(?i:and)\s+(created_at\b.*?))?\s*"
)


@dataclass(frozen=True, kw_only=True)
class Where:
    """What must hold for an event: patterns of LIKE that its id fits, ids that it does not have, and
    created_start <= created_at < created_end (microseconds)."""

    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    created_start: int = -FAR
    created_end: int = FAR

    def holds(self, event: Event) -> bool:
        return (
            self.created_start <= event.created_at < self.created_end
            and event.id not in self.unlike
            and all(_fits(event.id, pattern) for pattern in self.like)
        )

    def __and__(self, other: "Where") -> "Where":
        return Where(
            like=self.like + other.like,
            unlike=self.unlike + other.unlike,
            created_start=max(self.created_start, other.created_start),
            created_end=min(self.created_end, other.created_end),
        )


def _fits(id: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace("%", ".*").replace("_", "."), id))


def where(expressions: Iterable[str], *, knows_created_at: bool = True) -> Where:
    """What all of `expressions` say. Raises Refusal (400) for what the server does not understand."""
    found = Where()
    for expression in expressions:
        for term in _AND.split(expression.strip()):
            found &= _term(term, knows_created_at)
    return found


def _term(text: str, knows_created_at: bool) -> Where:
    if match := _ID_LIKE.fullmatch(text):
        return Where(like=(match[1],))
    if match := _ID_ENDS_WITH.fullmatch(text):
        return Where(like=(f"%{match[1]}",))
    if match := _ID_IS_NOT.fullmatch(text):
        return Where(unlike=(match[1],))
    match = _CREATED_AT.fullmatch(text)
    if match and not knows_created_at:
        raise invalid("Unable to resolve field: created_at")
    if not match:
        raise invalid(f"Unable to resolve the expression: {text}")
    comparison, at = match[1], _instant(match[2])
    if comparison in (">", "<="):  # bounds are whole microseconds
        at += 1
    return Where(created_start=at) if comparison[0] == ">" else Where(created_end=at)


def counted_range(sql: str, *, knows_created_at: bool = True) -> tuple[int, int, Where]:
    """[start, end) (microseconds) of the one SELECT that the server knows, and what else must hold.

    Raises Refusal (400) for any other.
    """
    match = _COUNT.fullmatch(sql)
    if not match:
        raise invalid(f"Unable to resolve the query: {sql}")
    return (
        _instant(match[1]),
        _instant(match[2]),
        where([match[3]] if match[3] else [], knows_created_at=knows_created_at),
    )


def _instant(text: str) -> int:
    try:
        return microseconds(text)
    except ValueError:
        raise invalid(f"Cannot parse string '{text}' as DateTime64(6)") from None
