"""How many requests of one project may run at the same time."""

import threading
from typing import Any


class Places:
    """So many requests of each project at once; for all threads and streams that share it.

    with places.of(project_id):
        send()
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._semaphores: dict[Any, threading.BoundedSemaphore] = {}

    def of(self, project_id: Any) -> threading.BoundedSemaphore:
        with self._lock:
            return self._semaphores.setdefault(project_id, threading.BoundedSemaphore(self._at_once))
