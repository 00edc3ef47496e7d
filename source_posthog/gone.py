"""Projects that are there no more."""

import threading
from collections.abc import Callable
from typing import Any


class GoneProjects:
    """Which projects are gone: each is asked for once a sync, whichever stream comes upon it first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_gone: dict[Any, bool] = {}

    def confirmed(self, project: Any, ask: Callable[[], bool]) -> bool:
        """Whether `project` is gone; `ask` asks PostHog, where nobody has done so yet. Raises what `ask` raises."""
        with self._lock:
            if project not in self._is_gone:
                self._is_gone[project] = ask()
            return self._is_gone[project]
