"""The port between the reader and a way to ask PostHog: a question, and a page of its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from source_posthog.exact.events.reach import SHORTEST_RANGE
from source_posthog.exact.instants import MICROSECOND

Row = dict[str, Any]

# An event as PostHog itself tells it from others: two of the same id are two where they differ in any of the others.
# The day is as the server writes it.
Identity = tuple[Any, Any, Any, str]  # id, event, distinct_id, day

ANY = "_"  # any one character, in a pattern of LIKE


@dataclass(frozen=True)
class Query:
    """A question: the events of `project_id` in [start, end).

    Attributes:
        like: only those whose id fits this pattern of LIKE: as long as the id, with "_" for any digit.
        unlike: only those with none of these ids.
        arrived_from: only those that PostHog ingested at this instant or later.
    """

    project_id: Any
    start: datetime
    end: datetime
    like: str = ""
    unlike: tuple[str, ...] = ()
    arrived_from: datetime | None = None

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


@dataclass
class Batch:
    """Rows to emit now, newest first; once that is done, all events of [start, end) are emitted.

    Attributes:
        newest: the timestamp of the newest event of [start, end), as the server wrote it; None if there is none.
    """

    rows: list[Row]
    start: datetime
    end: datetime
    newest: str | None = None


def identity(row: Row) -> Identity:
    return row["id"], row.get("event"), row.get("distinct_id"), row["timestamp"][:10]
