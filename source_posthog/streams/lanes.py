"""What is known of each project while its events are read."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from source_posthog.api.errors import Skipped
from source_posthog.api.once import Slots, Switch
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.windows import Range, Window

# How often a window that waits for an older one looks whether that is still being read, in seconds.
LOOK_AGAIN = 1.0


class Turns(Protocol):
    """Who may read on, so that a stop loses little: see `Ledger`."""

    def may_read_on(self, window: Window) -> bool:
        """Whether `window` may ask for a page now."""
        ...

    def expect(self, window: Window) -> None:
        """`window` asks for a page: it counts until it is covered."""
        ...


@dataclass
class CountedDays:
    """How many events the UTC days of a range have, as PostHog counts them.

    Attributes:
        is_asked: whether PostHog was asked for that.
        days: None as long as it is not known.
    """

    is_asked: bool = False
    days: Mapping[date, int] | None = None


class Lane:
    """One project in one sync, for all threads that read its windows.

    Attributes:
        requests: one for each request of the project that may run.
        reach: how long a range the server can answer.
        late_reach: the same, where it looks at when events arrived.
        is_abandoned: the project is gone, refuses access, or has a window that could not be read. It is asked no more:
            its state waits for that window, so the next sync would read all later ones again.
        history: hold it to look at `counted` and what follows.
        instants_checked: whether its events are known to be at the instants that they show.
    """

    def __init__(self, requests: threading.BoundedSemaphore) -> None:
        self.requests = requests
        self.reach = Reach()
        self.late_reach = Reach()
        self.is_abandoned = False
        self.history = threading.Lock()
        self.instants_checked = False
        self._counted: dict[Range | None, CountedDays] = {}
        self._reading: list[Window] = []
        self._progress = threading.Condition()

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

    def counted(self, planned: Range | None) -> CountedDays:
        """What is known of a range that was planned."""
        return self._counted.setdefault(planned, CountedDays())

    def turn_to(self, requests: threading.BoundedSemaphore) -> None:
        """The project is asked in another way from now on, which may tell what the one before could not."""
        self.requests, self._counted = requests, {}

    def moved(self) -> None:
        """More of the project is emitted."""
        with self._progress:
            self._progress.notify_all()

    @contextmanager
    def turn(self, window: Window, turns: Turns) -> Iterator[None]:
        """A place for a request of `window`, once it may emit what that brings, and while it still may.

        Raises Skipped where the lane is.
        """
        while True:
            with self._progress:
                while not self._is_next(window, turns):
                    self._progress.wait(LOOK_AGAIN)
            requests = self.requests
            with requests:
                with self._progress:  # others have read on while this one waited for its place
                    is_next = requests is self.requests and self._is_next(window, turns)
                    if is_next:
                        turns.expect(window)
                if is_next:
                    yield
                    return

    def _is_next(self, window: Window, turns: Turns) -> bool:
        """Whether `window` may read on, or no other that is being read may either. Raises Skipped."""
        if self.is_abandoned:
            raise Skipped
        return turns.may_read_on(window) or not any(turns.may_read_on(one) for one in self._reading if one != window)


class Lanes:
    """The lanes of a sync, by project.

    `slots`: for the requests that may run at the same time.

    Attributes:
        filter_refused: the server does not know how to filter events by their arrival.
        order_refused: nor how to do so by their place in the order of storage.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._lanes: dict[Any, Lane] = {}
        self.filter_refused, self.order_refused = Switch(), Switch()

    def of(self, project_id: Any) -> Lane:
        with self._lock:
            return self._lanes.setdefault(project_id, Lane(self._slots.of(project_id)))

    def turn_to(self, slots: Slots) -> None:
        """The projects are asked in another way from now on, in which `slots` are for the requests."""
        with self._lock:
            self._slots = slots
            for project_id, lane in self._lanes.items():
                lane.turn_to(slots.of(project_id))
