"""How many events PostHog counts, beside those that are emitted."""

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Totals:
    """The events of one sync by project, without late ones; its methods are called from many threads.

    Only projects with more than a page of events are counted, and only where PostHog can count (events_api: query).
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted: dict[Any, int] = field(default_factory=dict)
    _emitted: Counter[Any] = field(default_factory=Counter)
    _unread: set[Any] = field(default_factory=set)

    def count(self, project: Any, events: int) -> int:
        """PostHog counts so many `events` of `project`. Returns how many the whole stream has, as far as is known."""
        with self._lock:
            self._counted[project] = events
            uncounted = sum(rows for one, rows in self._emitted.items() if one not in self._counted)
            return sum(self._counted.values()) + uncounted

    def emit(self, project: Any, events: int) -> None:
        """So many more `events` of `project` are emitted."""
        with self._lock:
            self._emitted[project] += events

    def failed(self, project: Any) -> None:
        """`project` is not read whole, which is said elsewhere."""
        with self._lock:
            self._unread.add(project)

    def done(self) -> tuple[float, int] | None:
        """The share (0 to 1) of the counted events that is emitted, and their number; None if none are counted."""
        with self._lock:
            total = sum(self._counted.values())
            emitted = sum(min(self._emitted[project], events) for project, events in self._counted.items())
        return (emitted / total, total) if total else None

    def lines(self) -> Iterator[tuple[int, str]]:
        """A line for each counted project, with its level: a warning where fewer events came than were counted."""
        with self._lock:
            found = [(project, events, self._emitted[project]) for project, events in self._counted.items()]
            unread = set(self._unread)
        for project, counted, emitted in found:
            is_short = emitted < counted and project not in unread
            line = f"Stream events, project {project}: {counted} events counted by PostHog, {emitted} emitted"
            if is_short:
                line += (
                    f", {counted - emitted} fewer. PostHog counts copies of an event until it has merged them, and "
                    "events can be deleted during a sync; if that does not explain it, please report it"
                )
            yield logging.WARNING if is_short else logging.INFO, line
