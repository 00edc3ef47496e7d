"""Standard output: UTF-8, whatever the locale, and written whole, or an error that says why not."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class CannotWrite(Exception):
    """Standard output takes no more: the disk is full, or the file as large as it may be."""


@contextmanager
def standard_output(failed: Callable[[OSError], None]) -> Iterator[None]:
    """What is printed inside goes out as UTF-8 and is written when this ends, also by SystemExit.

    Where it cannot be written, in whatever thread, `failed` is called there before CannotWrite is raised. That the
    other end of a pipe is closed is a BrokenPipeError, as ever.
    """
    before = sys.stdout, sys.__stdout__
    descriptor = _Descriptor(sys.__stdout__.fileno(), failed) if sys.__stdout__ else None
    if descriptor is None:
        raise CannotWrite("it is closed")
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(  # type: ignore[misc]  # the CDK prints to the second
        io.BufferedWriter(descriptor),
        encoding="utf-8",
        errors="backslashreplace",  # half a surrogate pair becomes what JSON has for it: \ud83e
        line_buffering=descriptor.isatty(),
    )
    try:
        yield
        sys.stdout.flush()
    except SystemExit:
        sys.stdout.flush()
        raise
    finally:
        sys.stdout, sys.__stdout__ = before  # type: ignore[misc]


class _Descriptor(io.FileIO):
    """The file, pipe or terminal behind standard output."""

    def __init__(self, descriptor: int, failed: Callable[[OSError], None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._failed = failed

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._failed(error)
            raise CannotWrite(error.strerror) from error
