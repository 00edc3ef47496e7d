"""What time it is: by our own clock, and by PostHog's."""

import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import requests
from airbyte_cdk.models import FailureType

from source_posthog.api.errors import PostHogError

# So far apart no two clocks go that somebody looks after. By a server's that is behind, the sync's windows would end in
# the past, and it would read nothing and succeed.
MOST_DIFFERENCE = timedelta(days=1)

WHOLE_SECOND = timedelta(seconds=1)  # a `Date` header has no fraction


def now() -> datetime:
    """The present instant by our own clock, in UTC. The one place where it is asked; tests replace it."""
    return datetime.now(timezone.utc)


def seconds() -> float:
    """Seconds of a clock that never jumps. Tests replace it."""
    return time.monotonic()


class Clock:
    """PostHog's present, as far as the `Date` of its answers shows it.

    A clock of ours that runs ahead would end a window in the server's future. An event that is dated ahead too would
    then move the state there, and what comes in between would never be read.

    Its methods are called from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._date: datetime | None = None  # of the answer that puts the server's present latest
        self._since = 0.0  # `seconds()` when that answer came
        self._tolerance = WHOLE_SECOND  # how much later than its `Date` the server's present may have been by then

    def learn(self, response: requests.Response) -> None:
        """Learn from the `Date` of a good answer that has just come; one without a valid `Date` teaches nothing."""
        date = _date_header(response)
        if date is None:
            return
        with self._lock:
            if self._date is None or date - self._date >= timedelta(seconds=seconds() - self._since):
                self._date, self._since = date, seconds()
                self._tolerance = WHOLE_SECOND + response.elapsed

    def present(self) -> datetime:
        """The earlier of our own present and the server's.

        Within the tolerance the two cannot be told apart, and ours, which has a fraction, is taken.
        """
        ours = now()
        with self._lock:
            if self._date is None:
                return ours
            passed = timedelta(seconds=seconds() - self._since)
            return ours if ours - self._date <= passed + self._tolerance else self._date + passed

    def require_agreement(self) -> None:
        """Raise PostHogError (config_error) where PostHog's clock and ours differ by more than a day."""
        ours = now()
        with self._lock:
            if self._date is None:
                return
            date, ahead = self._date, self._date - ours + timedelta(seconds=seconds() - self._since)
        if abs(ahead) > MOST_DIFFERENCE:
            raise PostHogError(
                f"PostHog's clock and that of this computer differ by more than a day: PostHog says {_shown(date)}, "
                f"this computer {_shown(ours)}. Set the one that is wrong, and run the sync again. Until then nothing "
                "is read, since with such clocks nobody can tell which events are new.",
                FailureType.config_error,
            )


def _date_header(response: requests.Response) -> datetime | None:
    try:
        date = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def _shown(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
