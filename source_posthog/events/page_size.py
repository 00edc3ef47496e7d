"""How many rows a query asks for: as many as the server and the memory stand."""

from dataclasses import dataclass
from typing import Any

FIRST_LIMIT, LEAST_LIMIT, MOST_LIMIT = 10_000, 1_000, 50_000
# A larger page is asked for after so many full ones that came in so many seconds, of the ten that a query may take.
GOOD_PAGES, SECONDS_OF_A_GOOD_PAGE = 3, 4.0
# What a page may weigh, as JSON. Decoded it takes some four times as much, and three of a project are under way.
BYTES_OF_A_PAGE = 16_000_000


@dataclass
class PageSize:
    """How many rows to ask one project for; for one sync. Windows that are read at the same time share it.

    Attributes:
        limit: of the next question.
        most: what the server gives at the most, as far as is known.
        good: so many full pages came in time since `limit` was set.
    """

    limit: int = FIRST_LIMIT
    most: int = MOST_LIMIT
    good: int = 0

    def too_slow(self, limit: int) -> bool:
        """A page of `limit` was too much for the server. Returns whether fewer rows are to be asked for now."""
        if self.limit >= limit > LEAST_LIMIT:
            self.limit, self.good = max(limit // 4, LEAST_LIMIT), 0
        return self.limit < limit

    def answered(self, limit: int, echoed: Any, rows: int, size: int, seconds: float) -> None:
        """A question for `limit` rows, which the server took for one for `echoed`, gave `rows` of `size` bytes."""
        if isinstance(echoed, int) and 0 < echoed < limit:
            self.most = limit = min(self.most, echoed)
        if rows >= limit:
            fitting = max(BYTES_OF_A_PAGE * rows // max(size, 1), LEAST_LIMIT)
            self.good += seconds <= SECONDS_OF_A_GOOD_PAGE
            if self.good >= GOOD_PAGES:
                self.limit, self.good = 2 * self.limit, 0
            self.limit = min(self.limit, fitting)
        self.limit = min(self.limit, self.most)
