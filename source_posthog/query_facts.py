"""What is known of a sync's queries, each asked for once."""

import threading
from collections.abc import Callable
from typing import Any, cast

from source_posthog.queries.order import Types


class QueryFacts:
    """Whoever needs a fact first asks for it, and the others wait.

    A failure is not remembered: it is raised to whoever asked, and the next one who needs the fact tries again.

    Attributes:
        knows_modifiers: whether PostHog knows the modifiers of our queries, EventsQuery included: it does until it has
            answered one that it had refused with them.
    """

    def __init__(self) -> None:
        self.knows_modifiers = True
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._facts: dict[str, Any] = {}

    def types(self, query: str, ask: Callable[[], Types]) -> Types:
        """The types of the columns of the query with this name. Raises what `ask` raises."""
        return cast(Types, self._once(f"types of {query}", ask))

    def most_rows(self, ask: Callable[[], int]) -> int:
        """How many rows an answer has at the most. Raises what `ask` raises."""
        return cast(int, self._once("most rows", ask))

    def without_modifiers(self) -> bool:
        """PostHog does not know the modifiers. Returns whether that is news."""
        with self._lock:
            was_known, self.knows_modifiers = self.knows_modifiers, False
            return was_known

    def _once(self, fact: str, ask: Callable[[], Any]) -> Any:
        with self._lock:
            lock = self._locks.setdefault(fact, threading.Lock())
        with lock:
            if fact not in self._facts:
                self._facts[fact] = ask()
            return self._facts[fact]
