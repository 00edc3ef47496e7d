"""How long a range the server can answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

# A range that is too slow is halved down to this; below it, slowness is a fault like any other.
SHORTEST_RANGE = timedelta(seconds=1)

# So many answers have to come before a longer range is tried again.
LEAST_PATIENCE, MOST_PATIENCE = 8, 1024


@dataclass
class Reach:
    """The longest range that the server can answer for one project in time, as far as is known; for one sync.

    It is halved where the server is too slow and tried twice as long now and then, since the spell may have passed.
    Windows of the project that are read at the same time share it.

    Attributes:
        answers: so many of the longest range came since it was set.
        patience: so many have to come before a longer one is tried; twice as many after each that was too slow.
        trying: the longest range is such a try, and not answered yet.
    """

    longest: timedelta | None = None
    answers: int = 0
    patience: int = LEAST_PATIENCE
    trying: bool = False

    def start_of(self, start: datetime, end: datetime) -> datetime:
        """Where the next question begins, of those that are to be asked for [start, end)."""
        return start if self.longest is None else max(start, end - self.longest)

    def answered(self, length: timedelta) -> None:
        if self.longest is None or length < self.longest:
            return
        if self.trying:
            self.patience, self.trying = LEAST_PATIENCE, False
        self.answers += 1
        if self.answers >= self.patience:
            self.longest, self.answers, self.trying = 2 * length, 0, True

    def too_slow(self, length: timedelta) -> None:
        if self.trying and self.longest is not None and length >= self.longest:
            self.patience = min(2 * self.patience, MOST_PATIENCE)
        shorter = max(length / 2, SHORTEST_RANGE)
        self.longest, self.answers, self.trying = min(self.longest or shorter, shorter), 0, False
