"""What is known of each project while its events are read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from source_posthog.events.reach import Reach
from source_posthog.events.windows import Window
from source_posthog.places import Places

# How often a window that waits for an older one looks whether that is still being read, in seconds.
LOOK_AGAIN = 1.0


class Abandoned(Exception):
    """The window is not read to its end, and that is no error of its own."""


class Lane:
    """One project in one sync, for all threads that read its windows.

    Attributes:
        requests: one for each request of the project that may run.
        reach: how long a range the server can answer.
        late_reach: the same, where it looks at when events arrived.
        is_abandoned: the project is gone, refuses access, or has a window that could not be read. It is asked no more:
            its state waits for that window, so the next sync would read all later ones again.
        first_event_asked: whether its empty history was looked for; hold `history` to look at this and the next.
        instants_checked: whether its events are known to be at the instants that they show.
    """

    def __init__(self, requests: threading.BoundedSemaphore) -> None:
        self.requests = requests
        self.reach = Reach()
        self.late_reach = Reach()
        self.is_abandoned = False
        self.history = threading.Lock()
        self.first_event_asked = False
        self.instants_checked = False
        self._is_counted = False
        self._reading: list[Window] = []
        self._progress = threading.Condition()

    def counts(self) -> bool:
        """Whether its events are to be counted now: once."""
        with self._progress:
            is_first, self._is_counted = not self._is_counted, True
        return is_first

    @contextmanager
    def reading(self, window: Window) -> Iterator[None]:
        """`window` is being read inside."""
        with self._progress:
            self._reading.append(window)
        try:
            yield
        finally:
            with self._progress:
                self._reading.remove(window)
                self._progress.notify_all()

    def moved(self) -> None:
        """More of the project is emitted."""
        with self._progress:
            self._progress.notify_all()

    def wait_for_turn(self, window: Window, may_read_on: Callable[[Window], bool]) -> None:
        """Wait until `window` may emit more, as long as another window that may is being read."""
        with self._progress:
            while not may_read_on(window) and not self.is_abandoned:
                if not any(other != window and may_read_on(other) for other in self._reading):
                    return
                self._progress.wait(LOOK_AGAIN)


class Lanes:
    """The lanes of a sync, by project. `places`: for the requests that may run at the same time."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._lanes: dict[Any, Lane] = {}
        self._filter_refused = False

    @property
    def filter_refused(self) -> bool:
        """Whether the server does not know how to filter events by their arrival."""
        return self._filter_refused

    def refuse_filter(self) -> bool:
        """The server refused the filter by arrival. Returns whether that is news."""
        with self._lock:
            is_news, self._filter_refused = not self._filter_refused, True
        return is_news

    def of(self, project_id: Any) -> Lane:
        with self._lock:
            return self._lanes.setdefault(project_id, Lane(self._places.of(project_id)))
