"""The HogQL that the server understands by itself: what this connector sends, and nothing else."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timezone, tzinfo

from posthog_server.grammar import HogQLError, nodes_of, parse_expr

from .ages import Age
from .conditions import AllOf, Box, Condition, masked, parse
from .conditions import comparison as key_comparison
from .conditions import membership as key_membership
from .data import FAR, Event
from .people import People
from .traffic import Refusal, invalid
from .values import microseconds

_FUNCTIONS = {
    *("toString", "endsWith", "toDateTime", "toDateTime64", "toDate"),
    *("assumeNotNull", "cityHash64", "intDiv", "count", "min", "max"),
}
_COLUMNS = {
    *("uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at"),
    *("person", "person_id", "pdi"),
}
# Columns of events that a join with the distinct ids gives, where a server joins.
JOINED_COLUMNS = ("person_id", "person.id", "pdi.person_id")

_AT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?"
_IN_UTC = re.compile(rf"toDateTime64\(\s*'({_AT})'\s*,\s*6\s*,\s*'UTC'\s*\)")
_AS_SAID = re.compile(rf"toDateTime\(\s*'({_AT}Z?)'\s*\)|'({_AT})'")
INSTANT = rf"(?:toDateTime64\([^()]*\)|toDateTime\([^()]*\)|assumeNotNull\(\s*toDateTime\([^()]*\)\s*\)|'{_AT}')"
_NOT_NULL = re.compile(r"assumeNotNull\(\s*(.*?)\s*\)", re.DOTALL)
_ID_LIKE = re.compile(r"toString\(\s*uuid\s*\)\s+(?i:like)\s+'([^'\\]+)'")
_ID_ENDS_WITH = re.compile(r"endsWith\(\s*toString\(\s*uuid\s*\)\s*,\s*'([^'\\]+)'\s*\)")
_ID_IS_NOT = re.compile(r"toString\(\s*uuid\s*\)\s*!=\s*'([^'\\]+)'")
_CREATED_AT = re.compile(rf"created_at\s*(>=|>|<=|<)\s*({INSTANT})")
_PERSON = re.compile(rf"(?:{'|'.join(map(re.escape, JOINED_COLUMNS))})\s*(?:=\s*'([^'\\]+)'|(?i:is\s+not\s+null))")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_COUNT = re.compile(
    r"\s*(?i:select)\s+count\(\s*\)\s+(?i:from)\s+events\s+(?i:where)\s+"
    rf"timestamp\s*>=\s*({INSTANT})\s+(?i:and)\s+timestamp\s*<\s*({INSTANT})(?:\s+(?i:and)\s+(created_at\b.*?))?\s*"
)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one server reads HogQL about one project.

    Attributes:
        zone: the project's, in which a bare date and time is read.
        in_utc: instants are shown in UTC, not in the project's zone.
        wall_time: instants in UTC are shown as the project's wall time, a fault of some servers.
        ties_by_id: events of one timestamp come in the order of their ids.
        joins_persons: `person_id` and the like of events come from a join that drops events without a person.
        knows_created_at: whether a column of this name is known.
    """

    age: Age = Age.CLOUD
    zone: tzinfo = timezone.utc
    in_utc: bool = False
    wall_time: bool = False
    ties_by_id: bool = False
    joins_persons: bool = False
    knows_created_at: bool = True

    @property
    def shown_in(self) -> tzinfo:
        """The zone in which instants are shown."""
        return timezone.utc if self.in_utc else self.zone

    def require_known(self, functions: Iterable[str]) -> None:
        """Raises Refusal (400) for the first of `functions` that the age does not know."""
        for name in functions:
            if name in self.age.unknown_functions:
                raise unsupported(name, self.age.unknown_functions[name])

    def require_known_in(self, text: str) -> None:
        """Raises Refusal (400) for the first function in `text` that the age does not know."""
        self.require_known(_CALL.findall(masked(text)))


@dataclass(frozen=True, kw_only=True)
class Where:
    """What must hold for an event.

    Attributes:
        like: patterns of LIKE that its id fits. `unlike`: ids that it does not have.
        created_start, created_end: created_start <= created_at < created_end (microseconds).
        tie: of this timestamp only those whose ids come before this one.
        event, distinct_id, person_id: what it has, where given.
        others: what else must hold, of the columns that events are stored by.
        joined: its distinct id has a person, since a join would drop it otherwise.
    """

    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    created_start: int = -FAR
    created_end: int = FAR
    tie: tuple[int, str] | None = None
    joined: bool = False
    event: str | None = None
    distinct_id: str | None = None
    person_id: str | None = None
    others: tuple[Condition, ...] = ()

    def holds(self, event: Event, people: People) -> bool:
        return (
            self.created_start <= event.created_at < self.created_end
            and event.id not in self.unlike
            and all(_fits(event.id, pattern) for pattern in self.like)
            and not (self.tie and event.at == self.tie[0] and uuid_order(event.id) >= uuid_order(self.tie[1]))
            and not (self.joined and people.of(event.distinct_id) is None)
            and self.event in (None, event.event)
            and self.distinct_id in (None, event.distinct_id)
            and (self.person_id is None or self.person_id == people.id_of(event.distinct_id))
            and all(other.holds(event, people) for other in self.others)
        )

    def may_hold(self, box: Box) -> bool:
        return AllOf(self.others).may_hold(box)

    def reads(self) -> frozenset[str]:
        by_time = self.created_start > -FAR or self.created_end < FAR
        columns = {"uuid": self.like or self.unlike or self.tie, "created_at": by_time, "event": self.event}
        columns |= {"distinct_id": self.distinct_id or self.joined, "person_id": self.person_id}
        return frozenset(name for name, read in columns.items() if read) | AllOf(self.others).reads()

    def __and__(self, other: "Where") -> "Where":
        return Where(
            like=self.like + other.like,
            unlike=self.unlike + other.unlike,
            created_start=max(self.created_start, other.created_start),
            created_end=min(self.created_end, other.created_end),
            tie=self.tie or other.tie,
            joined=self.joined or other.joined,
            event=other.event if self.event is None else self.event,
            distinct_id=self.distinct_id or other.distinct_id,
            person_id=self.person_id or other.person_id,
            others=self.others + other.others,
        )


def uuid_order(id: str) -> tuple[str, str]:
    """Where ClickHouse has a UUID: by its second half first."""
    digits = id.replace("-", "")
    return digits[16:], digits[:16]


def _fits(id: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace("%", ".*").replace("_", "."), id))


def where(expressions: Iterable[str], dialect: Dialect | None = None) -> Where:
    """What all of `expressions` say. Raises Refusal (400) for what the server does not understand."""
    dialect, found = dialect or Dialect(), Where()
    for expression in expressions:
        condition = parse(expression, lambda text: _term(text, dialect))
        for part in condition.parts if isinstance(condition, AllOf) else (condition,):
            found &= part if isinstance(part, Where) else Where(others=(part,))
    return found


def _term(text: str, dialect: Dialect) -> Condition:
    dialect.require_known_in(text)
    if of_key := key_comparison(text, dialect.shown_in) or key_membership(text, dialect.shown_in):
        return of_key
    if match := _ID_LIKE.fullmatch(text):
        return Where(like=(match[1],))
    if match := _ID_ENDS_WITH.fullmatch(text):
        return Where(like=(f"%{match[1]}",))
    if match := _ID_IS_NOT.fullmatch(text):
        return Where(unlike=(match[1],))
    if match := _PERSON.fullmatch(text):
        return Where(joined=dialect.joins_persons, person_id=match[1])
    match = _CREATED_AT.fullmatch(text)
    if match and not dialect.knows_created_at:
        raise invalid("Unable to resolve field: created_at")
    if not match:
        raise _not_understood(text)
    comparison, at = match[1], instant(match[2], dialect)
    if comparison in (">", "<="):  # bounds are whole microseconds
        at += 1
    return Where(created_start=at) if comparison[0] == ">" else Where(created_end=at)


def _not_understood(text: str) -> Refusal:
    """In PostHog's words: what cannot be parsed, or the first function or column that is not known."""
    try:
        tree = parse_expr(text)
    except HogQLError as error:
        return invalid(str(error).removesuffix(f": {text}"))
    for node in nodes_of(tree):
        if node["node"] == "Call" and node["name"] not in _FUNCTIONS:
            return unsupported(node["name"])
        if node["node"] == "Field" and node["chain"][0] not in _COLUMNS:
            return invalid(f"Unable to resolve field: {node['chain'][0]}")
    return invalid(f"Unable to resolve the expression: {text}")


def counted_range(sql: str, dialect: Dialect | None = None) -> tuple[int, int, Where]:
    """[start, end) (microseconds) of the one SELECT that the server knows, and what else must hold.

    Raises Refusal (400) for any other.
    """
    dialect = dialect or Dialect()
    dialect.require_known_in(sql)
    match = _COUNT.fullmatch(sql)
    if not match:
        raise invalid(f"Unable to resolve the query: {sql}")
    return (
        instant(match[1], dialect),
        instant(match[2], dialect),
        where([match[3]] if match[3] else [], dialect),
    )


def is_count(sql: str) -> bool:
    """Whether `sql` counts a range and does nothing else, which is what `counted_range` reads."""
    return bool(_COUNT.fullmatch(sql))


def unsupported(function: str, proposed: str = "") -> Refusal:
    """What is said of a function that HogQL does not know."""
    hint = f". Perhaps you meant '{proposed}(...)'?" if proposed else ""
    return invalid(f"Unsupported function call '{function}(...)'{hint}")


def instant(text: str, dialect: Dialect) -> int:
    """What `text` names; a bare date and time in the project's zone."""
    if match := _NOT_NULL.fullmatch(text):
        text = match[1]
    try:
        if match := _IN_UTC.fullmatch(text):
            return microseconds(match[1])
        if match := _AS_SAID.fullmatch(text):
            return microseconds(match[1] or match[2], dialect.zone)
    except ValueError:
        pass
    raise invalid(f"Cannot parse string {text} as DateTime64(6)")
