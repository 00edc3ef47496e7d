"""What the threads of a sync find out once, and what only so many of them do at a time."""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Once:
    """Facts that are asked for once a sync: whoever needs one first asks for it, and the others wait.

        types = once(("types", "sessions"), ask)

    A failure is not remembered: it is raised to whoever asked, and the next one who needs the fact tries again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Hashable, threading.Lock] = {}
        self._facts: dict[Hashable, Any] = {}

    def __call__(self, fact: Hashable, ask: Callable[[], T]) -> T:
        """The `fact`, which `ask` finds out where nobody has done so yet. Raises what `ask` raises."""
        with self._lock:
            lock = self._locks.setdefault(fact, threading.Lock())
        with lock:
            if fact not in self._facts:
                self._facts[fact] = ask()
            return cast(T, self._facts[fact])

    def known(self, fact: Hashable, default: T) -> T:
        """The `fact`, where it is known already."""
        return cast(T, self._facts.get(fact, default))


class Switch:
    """What holds from some moment of a sync on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_on = False

    def __bool__(self) -> bool:
        return self._is_on

    def turn_on(self) -> bool:
        """Returns whether that is news."""
        with self._lock:
            was_on, self._is_on = self._is_on, True
        return not was_on


class Slots:
    """So many requests of each project at once; for all threads and streams that share it.

    with slots.of(project_id):
        send()
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._semaphores: dict[Any, threading.BoundedSemaphore] = {}

    def of(self, project_id: Any) -> threading.BoundedSemaphore:
        with self._lock:
            return self._semaphores.setdefault(project_id, threading.BoundedSemaphore(self._at_once))
