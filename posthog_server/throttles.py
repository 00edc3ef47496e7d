"""The cloud's throttles, and how many lists or queries of one project may be under way at once."""

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .ages import Age
from .traffic import Refusal, throttle_refusal

# The buckets that a request of a stream is counted in, each with its limit as (name, requests, seconds).
_BURST = ("burst", 240, 60)
_LISTS = (_BURST, ("lists", 1200, 3600))
_LIMITS = {
    "events": _LISTS,
    "insights": _LISTS,
    "session_recordings": _LISTS,
    "persons": (_BURST,),
    "query": (("query", 240, 60), ("query", 2400, 3600)),
}
_LIMITS_OF_2024 = {"events": (_BURST,), "persons": (_BURST,), "query": (("query", 120, 3600),)}
_OTHERS = (("other", 480, 60), ("other", 4800, 3600))


class Throttles:
    """Counts requests in buckets."""

    def __init__(self, clock: Callable[[], float], age: Age) -> None:
        self._clock = clock
        self._limits = _LIMITS_OF_2024 if age.is_of_2024 else _LIMITS
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, object, int], deque[float]] = defaultdict(deque)

    def take(self, stream: str, owner: object) -> None:
        """Count a request of `owner`. Raises Refusal (429) where a bucket is full."""
        now, wait = self._clock(), 0.0
        with self._lock:
            for bucket, most, seconds in self._limits.get(stream, _OTHERS):
                times = self._buckets[bucket, owner, seconds]
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
