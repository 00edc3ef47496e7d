"""Lines for the people who watch a sync: how far it is, and what each stream took."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("airbyte")

SECONDS_BETWEEN_LINES = 60
REQUESTS_AN_HOUR = 1140  # what the budget in the manifest leaves for events on PostHog's cloud


def clock() -> float:
    """Seconds of a clock that never jumps. Tests replace it."""
    return time.monotonic()


class SyncLog:
    """Counts of one sync; its methods are called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.waited: Counter[str] = Counter()  # whole seconds
        self.records: Counter[str] = Counter()
        self.windows = self.windows_done = self.events = 0
        self._begun = self._last_line = clock()

    def request(self, stream: str) -> None:
        with self._lock:
            self.requests[stream] += 1

    def retry(self, stream: str, seconds: float) -> None:
        """A request of `stream` is going to be sent again after `seconds`."""
        with self._lock:
            self.retries[stream] += 1
            self.waited[stream] += round(seconds)

    def page(self, window: Mapping[str, Any], events: int, is_cloud: bool) -> None:
        """A page of `events` events of `window` was read. Says how far the stream is, at most once a minute."""
        with self._lock:
            self.events += events
            if clock() - self._last_line < SECONDS_BETWEEN_LINES:
                return
            self._last_line = clock()
            span = f"{window['start_time']} to {window['end_time']}"
            line = (
                f"Stream events, project {window['project_id']}, window {span}: "
                f"{self.events} events in {self.requests['events']} requests so far, {self.windows_done} of "
                f"{self.windows} windows done{self._left(is_cloud)}"
            )
        logger.info(line)

    def _left(self, is_cloud: bool) -> str:
        if not self.windows_done:
            return ""
        share = (self.windows - self.windows_done) / self.windows_done
        seconds = (clock() - self._begun) * share
        if is_cloud:
            seconds = max(seconds, self.requests["events"] * share * 3600 / REQUESTS_AN_HOUR)
        return f", about {max(1, round(seconds / 60))} min left"

    def closing_line(self, stream: str) -> str:
        return (
            f"Stream {stream}: {self.records[stream]} records in {self.requests[stream]} requests, "
            f"{self.retries[stream]} of them again, {self.waited[stream]} s waited"
        )
