"""How many rows are asked for: as many as the server and the memory stand."""

from dataclasses import dataclass, field
from typing import Any

# The first page of a project is a small one, since nothing is known yet of how large its events are.
LEAST_LIMIT, FIRST_LIMIT, USUAL_LIMIT, MOST_LIMIT = 1_000, 2_000, 10_000, 40_000
# Of the events list, which gives a thousand since May 2026 and gave ten thousand before.
USUAL_ROWS_OF_LIST, MOST_ROWS_OF_LIST = 1_000, 10_000
# A larger page is asked for after so many full ones that came in so many seconds, of the ten that a query may take.
GOOD_PAGES, SECONDS_OF_A_GOOD_PAGE = 3, 4.0
# What a page may weigh, as JSON. Decoded it takes up to four times as much, and every worker holds one. Pages of light
# rows may weigh more: in the order of storage PostHog reads some 8,000 rows beside those of a range.
BYTES_OF_A_PAGE, BYTES_OF_LIGHT_ROWS, LIGHT_ROW = 16_000_000, 24_000_000, 3_000
# An answer that weighs more is not read to its end, where fewer rows can be asked for.
MOST_BYTES_OF_AN_ANSWER = 32_000_000
ROWS_THAT_TELL = 20  # fewer say little of how large others are


@dataclass
class RowBytes:
    """How many bytes a row has, of whatever project; None as long as that is not known."""

    usual: float | None = None


@dataclass
class PageSize:
    """How many rows to ask one project for; for one sync. Windows that are read at the same time share it.

    Attributes:
        stands: so many rows the server can answer for in time, as far as is known.
        most: what the server gives at the most, as far as is known.
        others: what is known of other projects.
        row_bytes: of the project's rows, as far as is known.
        good: so many full pages came in time since `stands` was set.
        is_first: no full page has come yet.
    """

    stands: int = FIRST_LIMIT
    most: int = MOST_LIMIT
    others: RowBytes = field(default_factory=RowBytes)
    row_bytes: float | None = None
    good: int = 0
    is_first: bool = True

    @property
    def limit(self) -> int:
        """Of the next question."""
        return self._limit(self.stands)

    @property
    def usual(self) -> int:
        """Of a question after the first, as far as that is known."""
        return self._limit(max(self.stands, USUAL_LIMIT) if self.is_first else self.stands)

    def _limit(self, rows: int) -> int:
        row_bytes = self.row_bytes or self.others.usual
        if not row_bytes:
            return max(1, min(rows, self.most))
        most_bytes = BYTES_OF_LIGHT_ROWS if row_bytes <= LIGHT_ROW else BYTES_OF_A_PAGE
        return max(1, min(rows, self.most, int(most_bytes / row_bytes)))

    def too_slow(self, limit: int) -> bool:
        """A page of `limit` was too much for the server. Returns whether fewer rows are to be asked for now."""
        self.is_first = False
        if self.limit >= limit > LEAST_LIMIT:
            self.stands, self.good = max(limit // 4, LEAST_LIMIT), 0
        return self.limit < limit

    def too_large(self, limit: int) -> bool:
        """An answer to `limit` is larger than it should be. Returns whether fewer rows are to be asked for now."""
        self.stands, self.is_first = max(min(self.limit, limit) // 8, 1), True
        return self.limit < limit

    def answered(self, limit: int, echoed: Any, rows: int, size: int, seconds: float) -> None:
        """A question for `limit` rows, which the server took for one for `echoed`, gave `rows` of `size` bytes."""
        if isinstance(echoed, int) and 0 < echoed < limit:
            self.most = limit = min(self.most, echoed)
        if rows >= min(ROWS_THAT_TELL, limit):
            self.row_bytes = self.others.usual = size / rows
        if 2 * rows < limit:
            return
        self.good += seconds <= SECONDS_OF_A_GOOD_PAGE
        if self.is_first:
            self.stands, self.is_first = max(self.stands, USUAL_LIMIT * (1 + self.good)), False
        elif self.good >= GOOD_PAGES:
            self.stands, self.good = min(2 * self.stands, MOST_LIMIT), 0
