"""The cloud's throttles, and how many lists or queries of one project may be under way at once."""

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .traffic import Refusal, throttle_refusal

# The buckets that a request of a stream is counted in, by their names; those of others have their own.
_BUCKETS = {
    "events": ("clickhouse, a minute", "clickhouse, an hour"),
    "insights": ("clickhouse, a minute", "clickhouse, an hour"),
    "persons": ("clickhouse, a minute",),
    "query": ("queries, a minute", "queries, an hour"),
}
_OTHERS = ("others, a minute", "others, an hour")
# Requests, and seconds.
_LIMITS = {
    "clickhouse, a minute": (240, 60),
    "clickhouse, an hour": (1200, 3600),
    "queries, a minute": (240, 60),
    "queries, an hour": (2400, 3600),
    "others, a minute": (480, 60),
    "others, an hour": (4800, 3600),
}


class Throttles:
    """Counts requests in buckets."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, object], deque[float]] = defaultdict(deque)

    def take(self, stream: str, owner: object) -> None:
        """Count a request of `owner`. Raises Refusal (429) where a bucket is full."""
        now, wait = self._clock(), 0.0
        with self._lock:
            for bucket in _BUCKETS.get(stream, _OTHERS):
                most, seconds = _LIMITS[bucket]
                times = self._buckets[bucket, owner]
                while times and times[0] <= now - seconds:
                    times.popleft()
                if len(times) >= most:
                    wait = max(wait, times[0] + seconds - now)
                else:
                    times.append(now)
        if wait:
            raise throttle_refusal(math.ceil(wait))


class Turns:
    """Lets `at_once` requests of each project through at one time.

    Attributes:
        most: per project, the most that were under way at one time, waiting ones included.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._turns: dict[int, threading.Semaphore] = {}
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._under_way: Counter[int] = Counter()
            self.most: dict[int, int] = {}

    @contextmanager
    def counted(self, project_id: int) -> Iterator[None]:
        """Counts a request from its arrival to its end."""
        with self._lock:
            under_way, most = self._under_way, self.most  # these, since `forget` begins others
            under_way[project_id] += 1
            most[project_id] = max(most.get(project_id, 0), under_way[project_id])
        try:
            yield
        finally:
            with self._lock:
                under_way[project_id] -= 1

    @contextmanager
    def taken(self, project_id: int, wait: float, refusal: Callable[[], Refusal]) -> Iterator[None]:
        """Holds a place. Raises `refusal` where none becomes free within `wait` seconds."""
        with self._lock:
            turns = self._turns.setdefault(project_id, threading.Semaphore(self._at_once))
        if not turns.acquire(timeout=wait):
            raise refusal()
        try:
            yield
        finally:
            turns.release()
