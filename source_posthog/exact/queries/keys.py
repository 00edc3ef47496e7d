"""The columns that a query is paged by: how they are ordered and compared, on PostHog's side and on this one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from source_posthog.exact.errors import UnfitColumns
from source_posthog.exact.instants import MICROSECOND, instant, iso
from source_posthog.exact.queries.definitions import PROJECT, Definition
from source_posthog.exact.queries.types import ClickHouseType, parsed

FINEST = 6  # digits of a second that PostHog shows; servers until mid-2024 show three of them, and none that is zero

_FRACTION = re.compile(r"\.([0-9]+)")


@dataclass(frozen=True)
class KeyKind:
    """How the values of some types are compared exactly, in HogQL and in Python.

    Attributes:
        column: HogQL for the column, in place of "{}", as something that has one order only.
        bound: HogQL for a value, of which the placeholder comes in place of "{}".
        position: a value of an answer as something that Python orders in the same way; raises ValueError for others.
        sent: a value of an answer as that of the placeholder.
    """

    column: str
    bound: str
    position: Callable[[Any], Any]
    sent: Callable[[Any], Any]


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError
    return int(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _as_date(value: Any) -> date:
    return date.fromisoformat(_string(value))


def _instant(value: Any) -> str:
    return iso(instant(value))


WHOLE = KeyKind("{}", "{}", _whole, _whole)
STRING = KeyKind("{}", "{}", _string, _string)
# ClickHouse orders a UUID by its second half, and an Enum by its number.
AS_STRING = KeyKind("toString({})", "{}", _string, _string)
BOOLEAN = KeyKind("{}", "{}", _boolean, _boolean)
DATE = KeyKind("{}", "toDate({})", _as_date, _string)
# Of HogQL's words for an instant the one that servers of every age know. It keeps microseconds, and obeys a Z; without
# one the string would be read in the time zone of the project.
INSTANT = KeyKind("{}", "toDateTime({})", instant, _instant)

# Without floats, whose equality is no matter of digits, and integers that are too long for a number in HogQL.
_KINDS: Mapping[str, KeyKind] = {
    "String": STRING,
    "UUID": AS_STRING,
    "Enum8": AS_STRING,
    "Enum16": AS_STRING,
    "Bool": BOOLEAN,
    "Date": DATE,
    "Date32": AS_STRING,
    "DateTime": INSTANT,
    "DateTime64": INSTANT,
    **{f"{sign}Int{bits}": WHOLE for sign in ("", "U") for bits in (8, 16, 32, 64)},
}


@dataclass(frozen=True)
class Key:
    """A column that rows are ordered by.

    Attributes:
        digits: of a second, that its values have.
    """

    name: str
    kind: KeyKind
    is_nullable: bool = False
    digits: int = 0

    def position(self, value: Any) -> Any:
        """`value` as Python orders it. Raises ValueError where it is none of the column's type."""
        return self.kind.position(value)

    @property
    def is_text(self) -> bool:
        return self.kind is STRING

    def blur(self, value: Any) -> timedelta:
        """How much later than `value` says the instant can be that it stands for: servers until mid-2024 cut it."""
        shown = _FRACTION.search(value) if self.kind is INSTANT and isinstance(value, str) else None
        if shown is None or len(shown[1]) >= self.digits:
            return timedelta()
        return timedelta(seconds=10 ** -len(shown[1])) - MICROSECOND


def is_later(key: Key, value: Any, present: datetime | None) -> bool:
    """Whether `value` is an instant after `present`."""
    return present is not None and key.kind is INSTANT and instant(value) > present


def latest_of(key: Key, value: Any) -> str:
    """The latest instant that `value` can stand for. Raises ValueError where it is none."""
    return iso(instant(value) + key.blur(value))


def is_before(key: Key, value: Any, bound: Any) -> bool:
    """Whether `value` lies before `bound`, whatever digits it is shown without."""
    position = key.position(value)
    return bool((position + key.blur(value) if key.kind is INSTANT else position) < key.position(bound))


def no_later(key: Key, value: Any, present: datetime | None) -> Any:
    """`value`; or `present` where it is a time after that, since rows can still come whose time lies between."""
    if present is None:
        return value
    if is_later(key, value, present):
        return iso(present)
    if key.kind is DATE and _as_date(value) > present.date():
        return present.date().isoformat()
    return value


def key_of(column: str, types: Mapping[str, str], option: str) -> Key:
    """`column` as a key, which `option` of the query names. Raises UnfitColumns."""
    if column not in types:
        raise UnfitColumns(
            f"has no column `{column}` in its result, although `{option}` names it; the columns are {', '.join(types)}"
        )
    type_ = parsed(types[column])
    kind = _KINDS.get(type_.name)
    if kind is None or _digits(type_) > FINEST:
        raise UnfitColumns(
            f"cannot be paged by the column `{column}` of `{option}`, whose type is {types[column]}: it must hold "
            "whole numbers, strings, UUIDs, enums, booleans, dates, or timestamps of at most microsecond precision. "
            f"Convert it in the query, for example with toString({column})"
        )
    return Key(column, kind, type_.is_nullable, _digits(type_))


def require_names(types: Mapping[str, str]) -> None:
    """Raise UnfitColumns where a destination would merge two columns of `types`, or one with a column of Airbyte's."""
    seen = {PROJECT: PROJECT}
    for column in types:
        other = seen.setdefault(column.lower(), column)
        if other != column:
            raise UnfitColumns(
                f"has the columns `{other}` and `{column}`, which differ only in case, so destinations would "
                f"merge them: rename one of them, for example `{column}` AS {_bare(column)}_2"
            )
        if column.lower().startswith("_airbyte"):
            raise UnfitColumns(
                f"has a column `{column}`, but names that begin with _airbyte are reserved for Airbyte's own columns: "
                f"rename it, for example `{column}` AS {_bare(column.lstrip('_'))}"
            )


def primary_keys(definition: Definition, types: Mapping[str, str]) -> tuple[Key, ...]:
    """The keys of `definition.primary_key` in a result with the columns `types`. Raises UnfitColumns."""
    return tuple(key_of(column, types, "primary_key") for column in definition.primary_key)


def cursor_key(definition: Definition, types: Mapping[str, str]) -> Key | None:
    """The key of `definition.cursor_field`; None where there is none. Raises UnfitColumns."""
    return key_of(definition.cursor_field, types, "cursor_field") if definition.cursor_field else None


def _digits(type_: ClickHouseType) -> int:
    """The digits of a second that a value of `type_` can have."""
    return int(type_.arguments[0]) if type_.name == "DateTime64" and type_.arguments else 0


def _bare(column: str) -> str:
    """A name without quotes that is like `column`, in an example."""
    return re.sub(r"\W+", "_", column).lower()
