"""What is known of a sync's queries, each asked for once."""

import threading
from collections.abc import Callable
from typing import Any, cast

from source_posthog.queries.reading import Types


class QueryFacts:
    """Whoever needs a fact first asks for it, and the others wait.

    A failure is not remembered: it is raised to whoever asked, and the next one who needs the fact tries again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._facts: dict[str, Any] = {}

    def types(self, query: str, ask: Callable[[], Types]) -> Types:
        """The types of the columns of the query with this name. Raises what `ask` raises."""
        return cast(Types, self._once(f"types of {query}", ask))

    def most_rows(self, ask: Callable[[], int]) -> int:
        """How many rows an answer has at the most. Raises what `ask` raises."""
        return cast(int, self._once("most rows", ask))

    def _once(self, fact: str, ask: Callable[[], Any]) -> Any:
        with self._lock:
            lock = self._locks.setdefault(fact, threading.Lock())
        with lock:
            if fact not in self._facts:
                self._facts[fact] = ask()
            return self._facts[fact]
