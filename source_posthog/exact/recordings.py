"""Recordings of sessions: which of those on a page belong to a window, and where the next page begins.

Their list is newest first, by offset, and does not say how many there are. What it gives is odd in three ways
(docs/posthog-server.md):

- Bounds may cut a recording that crosses them in two, or mean whole days. So a window is asked for with a day around
  it, which no session outlasts, and a recording belongs to the window in which it begins.
- Deleted ones take a place on their page, and are not shown: a short page, or an empty one, says nothing.
- Rows that begin at one instant may change their order between two pages. So the next page begins with those that the
  last one ended with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.instants import iso

AROUND = timedelta(days=1)  # asked for on both sides of a window: a session takes less
LEAST_PAGE = 20  # rows that every server gives for a greater limit


@dataclass
class RecordingPages:
    """The pages of the window [start, end), by the instant at which a recording begins.

    Attributes:
        offset: where the next page begins; None where there is none.
        newest: the latest beginning that was seen in the window.
    """

    start: datetime
    end: datetime
    offset: int | None = 0
    newest: datetime | None = None
    _seen: set[str | int] = field(default_factory=set)
    _largest: int = LEAST_PAGE

    def asked(self) -> dict[str, str | int]:
        """The bounds and the offset of the next page, as parameters."""
        bounds = {"date_from": iso(self.start - AROUND), "date_to": iso(self.end + AROUND)}
        return {**bounds, "offset": self.offset} if self.offset else {**bounds}

    def add(self, rows: Sequence[tuple[str | int, datetime]], limit: int, has_next: bool) -> set[str | int]:
        """The ids of those `rows`, (id, begins at) of a page of at most `limit`, that are the window's and are new.

        Raises UntrueAnswer where one lies so far outside of the window that the server cannot have known its bounds.
        """
        new: set[str | int] = set()
        for id, at in rows:
            if not self.start - 2 * AROUND <= at <= self.end + 2 * AROUND:  # whole days of any time zone are within
                raise UntrueAnswer(f"the recording {id} of {iso(at)} is not in the range that was asked for")
            if self.start <= at < self.end and id not in self._seen:
                new.add(id)
                self.newest = max(at, self.newest or at)
        self._seen |= new
        self._advance([at for _, at in rows], limit, has_next)
        return new

    def _advance(self, instants: Sequence[datetime], limit: int, has_next: bool) -> None:
        if not has_next or self.offset is None:
            self.offset = None
            return
        # A server may give fewer rows than were asked for, and a page can be short for another reason: as many as one
        # page had, every page can have.
        self._largest = max(self._largest, len(instants))
        step = min(limit, self._largest)
        tied = sum(at == instants[-1] for at in instants) if instants else 0
        self.offset += step - tied if tied < step else step
