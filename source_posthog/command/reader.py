"""What the command does when nobody reads its output any more: it ends, quietly and at once."""

import os
import select
import signal
import sys
import threading
import time
from types import FrameType

INTERRUPTED = 128 + 2  # what shells report for a process that ended by SIGINT (Ctrl-C) ...
NOBODY_READS = 128 + 13  # ... and by SIGPIPE
WRITER_GRACE = 0.5  # seconds; a main thread that is writing notices by itself that nobody reads
LONGEST_END = 2.0  # seconds; a last write can hang where the other end is alive but reads no more


class OutputReader:
    """Whoever reads the output of this process; at the other end of a pipe, mostly.

    A sync can be silent for an hour, while it waits for a throttle, and would notice only at its next line that nobody
    is there. So the pipe is watched, and when it breaks the main thread is interrupted as by Ctrl-C.

    Attributes:
        status: the exit status of a process that is interrupted.
    """

    def __init__(self) -> None:
        self.status = INTERRUPTED
        self._all_written = False

    def watch(self) -> None:
        """Interrupt the main thread, which this is, with KeyboardInterrupt on Ctrl-C and when nobody reads any more."""
        if threading.current_thread() is not threading.main_thread():
            return  # a program's own thread: the program ends it
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell can have it ignored
            signal.signal(signal.SIGINT, self._interrupt)
        threading.Thread(target=self._wait_for_the_end, name="reader", daemon=True).start()

    def all_written(self) -> None:
        """From now on it does not matter whether anybody reads."""
        self._all_written = True

    def leave(self) -> None:
        """End the process: without waiting for its threads, and without the output that is still in buffers."""
        os._exit(self.status)

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        if self.status == NOBODY_READS and self._all_written:
            return
        self._leave_soon()
        raise KeyboardInterrupt

    def _leave_soon(self) -> None:
        timer = threading.Timer(LONGEST_END, self.leave)
        timer.daemon = True
        timer.start()

    def _wait_for_the_end(self) -> None:
        if sys.__stdout__ is None:
            return
        try:
            poll = select.poll()
            poll.register(sys.__stdout__.fileno(), 0)
        except (AttributeError, OSError, ValueError):  # no such call (Windows), or no real stdout
            return
        poll.poll()  # with no event to wait for, it returns when the other end is closed; of a file, never
        time.sleep(WRITER_GRACE)
        if self._all_written:
            return
        self.status = NOBODY_READS
        self._leave_soon()  # here too, since SIGINT can be ignored
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # wakes it from any wait
