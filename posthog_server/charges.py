"""What queries are charged for what they read, and what ends them: the budget, the quota and the time limit."""

import math
import threading
from collections import Counter
from collections.abc import Callable

from .costs import Cost
from .data import Project
from .faults import (
    as_refusal,
    estimated_too_slow,
    out_of_memory,
    queries_budget_exceeded,
    queries_quota_exceeded,
    too_slow,
)
from .options import Options
from .selection import Selection
from .traffic import Refusal, Seen
from .values import SECOND

BYTES_READ = "X-PostHog-Query-Bytes-Read"
BUDGET_LEFT = "X-PostHog-Query-Budget-Remaining-Bytes"

_HOUR = 3600
_TOO_MUCH = {504: too_slow, 512: estimated_too_slow, 513: out_of_memory}  # what is said above a number of rows


class Charges:
    """The accounts of all projects, as the options say at the moment.

    Attributes:
        bytes_read, rows_read: by project, of all queries since `forget`; only while an option wants them to be counted.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._budgets: dict[int, tuple[float, float]] = {}  # what was left, and when
        self._of_quota: Counter[int] = Counter()
        self.forget()

    def forget(self) -> None:
        """Begin to count anew; budgets and quotas go on."""
        self.bytes_read: Counter[int] = Counter()
        self.rows_read: Counter[int] = Counter()

    @property
    def are_counted(self) -> bool:
        options = self._options
        limits = (options.read_budget, options.read_quota, options.most_bytes_read)
        return options.counts_bytes or limits != (None, None, None)

    def require_left(self, project: Project) -> None:
        """Raise Refusal where the quota (402) or the budget (429) of a project is used up."""
        quota = self._options.read_quota
        if quota is not None and self._of_quota[project.id] >= quota:
            raise as_refusal(queries_quota_exceeded())
        budget, left = self._options.read_budget, self._left(project.id)
        if budget and left is not None and left <= 0:
            raise as_refusal(queries_budget_exceeded(max(1, math.ceil((1 - left) * _HOUR / budget))))

    def take(self, project: Project, seen: Seen, cost: Callable[[], Cost]) -> None:
        """Charge a query what it read. Raises Refusal (504) where that took too long: then it read up to the limit."""
        if not self.are_counted:
            return
        read, most = cost(), self._options.most_bytes_read
        charged = read.bytes if most is None else min(read.bytes, most)
        with self._lock:
            self._of_quota[project.id] += charged
            self.bytes_read[project.id] += charged
            self.rows_read[project.id] += read.rows
            left, budget = self._left(project.id), self._options.read_budget
            if budget is not None and left is not None:  # a debt is at most what an hour brings
                self._budgets[project.id] = max(left - charged, -float(budget)), self._options.clock()
        seen.bytes_read = charged
        if most is not None and read.bytes > most:
            raise as_refusal(too_slow())

    def headers(self, seen: Seen) -> dict[str, str]:
        """What an answer says of what it cost; nothing where that was not counted, or the answer is an old one."""
        if seen.bytes_read is None or seen.project_id is None:
            return {}
        left = self._left(seen.project_id)
        budget = {} if left is None else {BUDGET_LEFT: str(max(0, int(left)))}
        return {BYTES_READ: str(seen.bytes_read), **budget}

    def _left(self, project_id: int) -> float | None:
        """What is left of the budget: full at first, and refilled all the time. None where there is none."""
        budget, now = self._options.read_budget, self._options.clock()
        if budget is None:
            return None
        full = budget * self._options.budget_hours
        left, at = self._budgets.get(project_id, (full, now))
        return min(full, left + (now - at) * budget / _HOUR)


def require_fast(options: Options, project: Project, query: Selection) -> None:
    """Raise Refusal (504, 512 or 513) where the range is too much for the server."""
    if options.longest_range is not None and query.before - query.after > options.longest_range * SECOND + 1:
        raise as_refusal(too_slow())
    scanned = options.most_rows_scanned
    if scanned is not None and len(project.events.inside(query.after, query.before)) > scanned:
        raise too_many_rows(options)


def too_many_rows(options: Options) -> Refusal:
    """What is said where more than `most_rows_scanned` would be read."""
    return as_refusal(_TOO_MUCH[options.scan_status]())
