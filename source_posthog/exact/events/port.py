"""The port between the reader and a way to ask PostHog: a question, and a page of its answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from source_posthog.exact.events.names import Names
from source_posthog.exact.events.reach import SHORTEST_RANGE
from source_posthog.exact.instants import MICROSECOND
from source_posthog.exact.query_api import BROKEN

Row = dict[str, Any]

# An event as PostHog itself tells it from others: two of the same id are two where they differ in any of the others.
# The day is as the server writes it.
Identity = tuple[Any, Any, Any, str]  # id, event, distinct_id, day

HASHES = 2**64  # how many values a hash has

ANY = "_"  # any one character, in a pattern of LIKE


class Cut(NamedTuple):
    """A place in the order in which PostHog stores the events of a day.

    Attributes:
        event: a name; those of the events below the place are smaller, byte by byte.
        distinct_id: the same of the hash of the distinct_id, for events of that name; with HASHES all are below.
        uuid: the same of the hash of the id, for events of that name and hash.
    """

    event: str
    distinct_id: int = 0
    uuid: int = 0

    def order(self) -> tuple[bytes, int, int]:
        return self.event.encode(), self.distinct_id, self.uuid


@dataclass(frozen=True)
class Keys:
    """A range [low, high) of the order in which PostHog stores the events of a day; without end where it is None."""

    low: Cut | None = None
    high: Cut | None = None

    @property
    def is_bounded(self) -> bool:
        return self != Keys()

    def has_inside(self, cut: Cut) -> bool:
        """Whether `cut` cuts this range in two."""
        is_above = self.low is None or self.low.order() < cut.order()
        return is_above and (self.high is None or cut.order() < self.high.order())

    def may_have(self, event: object) -> bool:
        """Whether there can be an event of this name in it."""
        name = str(event).encode(errors="surrogatepass")
        if BROKEN in str(event):  # it is compared by other bytes than it is shown by
            return True
        is_above = self.low is None or self.low.order() <= (name, HASHES - 1, HASHES - 1)
        if self.high is None or not is_above:
            return is_above
        return (name, 0, 0) < self.high.order()


@dataclass(frozen=True)
class Query:
    """A question: the events of `project_id` in [start, end).

    Attributes:
        like: only those whose id fits this pattern of LIKE: as long as the id, with "_" for any digit.
        unlike: only those with none of these ids.
        arrived_from: only those that PostHog ingested at this instant or later.
        keys: only those in this range of the order of storage.
        names: only those that have one of these.
    """

    project_id: Any
    start: datetime
    end: datetime
    like: str = ""
    unlike: tuple[str, ...] = ()
    arrived_from: datetime | None = None
    keys: Keys = field(default_factory=Keys)
    names: Names = field(default_factory=Names)

    @property
    def is_shortest(self) -> bool:
        """Whether the range is not halved any more where the server is too slow for it."""
        return self.end - self.start <= SHORTEST_RANGE

    def fits(self, id: str) -> bool:
        """Whether `id` is one of those that are asked for."""
        if id in self.unlike:
            return False
        digits = zip(self.like, str(id), strict=False)
        return not self.like or (len(str(id)) == len(self.like) and all(like in (ANY, digit) for like, digit in digits))


@dataclass
class Page:
    """An answer.

    Attributes:
        rows: newest first, each with `id` and `timestamp`.
        complete: the transport's proof that the query holds nothing but these rows.
        step: timestamps are rounded down to a multiple of this.
    """

    rows: list[Row]
    complete: bool
    step: timedelta = MICROSECOND


Ask = Callable[[Query], Page]


@dataclass(frozen=True)
class HalfDay:
    """All events of [start, end), a range within a UTC day, are emitted whose key is below `reached`.

    Attributes:
        began: when the reading of the range began; what has arrived since may be missing.
        newest: the timestamp of the newest event that is emitted, as the server wrote it; None if there is none.
    """

    start: datetime
    end: datetime
    reached: Cut
    began: datetime
    newest: str | None = None


@dataclass
class Batch:
    """Rows to emit now, newest first; once that is done, all events of [start, end) are emitted.

    Attributes:
        newest: the timestamp of the newest event of [start, end), as the server wrote it; None if there is none.
        half: the day of which a half is emitted then, too.
    """

    rows: list[Row]
    start: datetime
    end: datetime
    newest: str | None = None
    half: HalfDay | None = None


def identity(row: Row) -> Identity:
    return row["id"], row.get("event"), row.get("distinct_id"), row["timestamp"][:10]
