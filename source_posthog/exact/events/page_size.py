"""How many rows a query asks for: as many as the server and the memory stand."""

from dataclasses import dataclass
from typing import Any

# The first page of a project is a small one, since nothing is known yet of how large its events are.
LEAST_LIMIT, FIRST_LIMIT, USUAL_LIMIT, MOST_LIMIT = 1_000, 2_000, 10_000, 20_000
# Of the events list, which gives a thousand since May 2026 and gave ten thousand before.
USUAL_ROWS_OF_LIST, MOST_ROWS_OF_LIST = 1_000, 10_000
# A larger page is asked for after so many full ones that came in so many seconds, of the ten that a query may take.
GOOD_PAGES, SECONDS_OF_A_GOOD_PAGE = 3, 4.0
# What a page may weigh, as JSON. Decoded it takes up to four times as much, and every worker holds one.
BYTES_OF_A_PAGE = 14_000_000


@dataclass
class PageSize:
    """How many rows to ask one project for; for one sync. Windows that are read at the same time share it.

    Attributes:
        limit: of the next question.
        most: what the server gives at the most, as far as is known.
        good: so many full pages came in time since `limit` was set.
        is_first: no full page has come yet.
    """

    limit: int = FIRST_LIMIT
    most: int = MOST_LIMIT
    good: int = 0
    is_first: bool = True

    def too_slow(self, limit: int) -> bool:
        """A page of `limit` was too much for the server. Returns whether fewer rows are to be asked for now."""
        self.is_first = False
        if self.limit >= limit > LEAST_LIMIT:
            self.limit, self.good = max(limit // 4, LEAST_LIMIT), 0
        return self.limit < limit

    def answered(self, limit: int, echoed: Any, rows: int, size: int, seconds: float) -> None:
        """A question for `limit` rows, which the server took for one for `echoed`, gave `rows` of `size` bytes."""
        if isinstance(echoed, int) and 0 < echoed < limit:
            self.most = limit = min(self.most, echoed)
        if rows >= limit:
            self.good += seconds <= SECONDS_OF_A_GOOD_PAGE
            if self.is_first:
                self.limit, self.is_first = USUAL_LIMIT, False
            elif self.good >= GOOD_PAGES:
                self.limit, self.good = 2 * self.limit, 0
            self.limit = min(self.limit, max(BYTES_OF_A_PAGE * rows // max(size, 1), LEAST_LIMIT))
        self.limit = min(self.limit, self.most)
