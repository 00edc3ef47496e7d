"""The threads of a sync, and the queue between them and whoever reads: both end when nobody reads any more."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from queue import Empty, Queue, SimpleQueue
from typing import Any, ParamSpec, TypeVar

from airbyte_cdk.sources.streams.concurrent.partitions.types import QueueItem

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_QUEUE = 10_000  # records and other messages that are ready; more are not read ahead
PATIENCE = 1.0  # seconds without a message, after which the sync counts as idle


class Abandoned(Exception):
    """Nobody reads the sync any more; ends the worker's task at its next record."""


class Output(Queue[QueueItem]):
    """The queue that the workers fill, and that can be abandoned: then nobody waits in it, and nothing goes in.

    Attributes:
        idle: called again and again, in the thread that waits for a message, for as long as none comes.
    """

    def __init__(self, idle: Callable[[], None] = lambda: None) -> None:
        super().__init__(maxsize=LONGEST_QUEUE)
        self._abandoned = False
        self.idle = idle

    def get(self, block: bool = True, timeout: float | None = None) -> QueueItem:
        while block and timeout is None:
            with suppress(Empty):
                return super().get(timeout=PATIENCE)
            self.idle()
        return super().get(block, timeout)

    def put(self, item: QueueItem, block: bool = True, timeout: float | None = None) -> None:
        """Raises Abandoned when nobody reads any more."""
        if self._abandoned:
            raise Abandoned
        super().put(item, block, timeout)

    def abandon(self) -> None:
        """Let go of what is in the queue, and of the workers that wait for room in it."""
        self._abandoned = True
        with self.mutex:
            self.queue.clear()
            self.not_full.notify_all()


class Workers(Executor):
    """At most `number` daemon threads.

    The interpreter waits for the threads of the stock ThreadPoolExecutor before it exits, however long they still sleep
    until a throttle is over.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._tasks.put((future, partial(fn, *args, **kwargs)))
        if len(self._threads) < self._number:
            thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while task := self._tasks.get():
            future, call = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # as in any executor: it belongs to whoever asks the future
                    future.set_exception(error)
            del task, future, call  # hold no records while waiting for the next task

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after what was submitted, or after what they are at where `cancel_futures` is set."""
        while cancel_futures:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait else ():
            thread.join()
