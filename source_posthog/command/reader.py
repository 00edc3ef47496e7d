"""What the command does when it is interrupted, or nobody reads its output any more: it ends, quietly and at once."""

import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

INTERRUPTED = 128 + 2  # what shells report for a process that ended by SIGINT (Ctrl-C) ...
NOBODY_READS = 128 + 13  # ... by SIGPIPE ...
TERMINATED = 128 + 15  # ... and by SIGTERM
NOT_WRITTEN = 1
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
        self._has_begun = self._all_written = False
        self._why = ""

    def watch(self) -> None:
        """End the process on Ctrl-C, on SIGTERM, and when nobody reads any more: see `begin`."""
        if threading.current_thread() is not threading.main_thread():
            return  # a program's own thread: the program ends it
        # A shell can have the first ignored. The second would not end the first process of a container.
        for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) is default:
                signal.signal(number, self._interrupt)
        threading.Thread(target=self._wait_for_the_end, name="reader", daemon=True).start()

    def begin(self) -> None:
        """From now on there is something to close: KeyboardInterrupt in the main thread, which then has to leave."""
        self._has_begun = True

    def cannot_write(self, error: OSError) -> None:
        """The output cannot be written, which a thread has just found out."""
        self.say_why(str(error.strerror))
        self._leave_soon()
        if threading.current_thread() is not threading.main_thread():
            self._wake_the_main_thread()

    def say_why(self, reason: str) -> None:
        """The output cannot be written, for this reason: the process says so when it leaves."""
        self.status = NOT_WRITTEN
        self._why = f"The output cannot be written ({reason}): what was written before is valid, up to its last line.\n"

    def all_written(self) -> None:
        """From now on it does not matter whether anybody reads."""
        self._all_written = True

    def leave(self) -> None:
        """End the process: without waiting for its threads, and without the output that is still in buffers."""
        with suppress(OSError):
            os.write(2, self._why.encode())
        os._exit(self.status)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        if self.status == NOBODY_READS and self._all_written:
            return
        if number == signal.SIGTERM:
            self.status = TERMINATED
        if not self._has_begun:
            self.leave()
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
        self._wake_the_main_thread()

    @staticmethod
    def _wake_the_main_thread() -> None:
        """From any wait."""
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
