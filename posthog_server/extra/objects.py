"""What an object of an extra stream is."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..ages import Age
from ..data import Project
from ..row_lists import one_list, ordered, window
from ..values import Row


@dataclass(frozen=True)
class Asked:
    """A request for a list of objects.

    Attributes:
        query: the last value of each parameter.
        url: of the request, without its query.
        cap: the most rows that a page gives.
        moved: rows in the order of this request, where that is open (see Options.moves).
        now: the present (microseconds).
    """

    query: Mapping[str, str]
    url: str
    age: Age
    cap: int | None
    moved: Callable[[list[Row]], list[Row]]
    now: int

    @property
    def window(self) -> tuple[int, int]:
        """The limit in force, and the offset."""
        limit, offset = window(self.query)
        return min(limit, self.cap or limit), offset


def by_offset(rows: list[Row], asked: Asked) -> bytes:
    """A page of `rows` by limit and offset."""
    limit, _ = asked.window
    return one_list(rows, {**asked.query, "limit": str(limit)}, asked.url)


def unordered(rows: list[Row], asked: Asked) -> bytes:
    """A page of a list by offset, whose order the server does not fix."""
    return by_offset(asked.moved(rows), asked)


def in_order(default: str = "", parameter: str = "order") -> Callable[[list[Row], Asked], bytes]:
    """What gives the pages of a list in the order of the field that `parameter` names, or else the `default`.

    Downwards with a minus; ties are in any order.
    """
    return lambda rows, asked: by_offset(ordered(asked.moved(rows), asked.query.get(parameter) or default), asked)


@dataclass(frozen=True)
class ExtraObject:
    """An object of an extra stream; its rows are in `Project.extra` or `Organization.extra`.

    Attributes:
        path: of its list below `/api/projects/:id/`, or what owns it; "" for rows of a table that only HogQL reads.
        scope: that a key needs.
        fields: those that PostHog is known to send, by the kind of their values, as in known_fields.FIELDS.
        make: a row, of its number among those of all owners.
        owner: what the rows belong to: "project", "organization", or "" for the organizations themselves.
        most: rows of one owner.
        derived: the rows that are made of other objects of a project.
        key: the fields that tell the rows of one owner apart.
        cursor: the field by which the stream is incremental; "" where it is not.
        shown: whether the list has a row.
        dropped: whether a row that the list has takes a place on a page, and is not there.
        answer: the list, of the rows that are shown.
        unknown_to: the ages that have no such list.
    """

    path: str
    scope: str
    fields: Mapping[str, str]
    make: Callable[[int, random.Random], Row]
    owner: str = "project"
    most: int | None = None
    derived: Callable[[Project], list[Row]] = lambda _: []
    key: tuple[str, ...] = ("id",)
    cursor: str = ""
    shown: Callable[[Row], bool] = lambda row: not row.get("deleted")
    dropped: Callable[[Row], bool] = lambda row: False
    answer: Callable[[list[Row], Asked], bytes] = unordered
    unknown_to: tuple[Age, ...] = ()

    def key_of(self, row: Mapping[str, Any]) -> Any:
        """The value of the key, or of its fields where it has several."""
        values = tuple(row[name] for name in self.key)
        return values if len(values) > 1 else values[0]

    def primary_key(self) -> list[list[str]]:
        """That of the stream."""
        return [[f"{self.owner}_id"]] * bool(self.owner) + [[name] for name in self.key]

    def owned_key_of(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """The owner of a record and the value of its key."""
        return row[f"{self.owner}_id"] if self.owner else self.key_of(row), self.key_of(row)
