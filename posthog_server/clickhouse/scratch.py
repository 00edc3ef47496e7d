"""The folder in which one ClickHouse keeps its files. Where its run is killed, the next one removes it."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


class Scratch:
    """A new folder within `home`, until `remove`. Those that a killed process left there are removed.

    Attributes:
        lock: a file descriptor that marks the folder as used for as long as a process has it open. The one that writes
            into the folder inherits it, since it may live a little longer than the one that made it.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(exist_ok=True)
        one_at_a_time = _open(home)
        try:
            fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
            for left in home.iterdir():
                _remove_unless_used(left)
            self.folder = Path(tempfile.mkdtemp(dir=home))
            self.lock = _open(self.folder)
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        finally:
            os.close(one_at_a_time)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock)


def _remove_unless_used(folder: Path) -> None:
    with suppress(FileNotFoundError):  # its own process has removed it just now
        lock = _open(folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY)
