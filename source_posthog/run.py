"""The command `source-posthog spec|check|discover|read|catalog`."""

import ctypes
import sys
from contextlib import suppress

from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.command.entrypoint import execute
from source_posthog.command.reader import NOBODY_READS, OutputReader

M_ARENA_MAX = -8  # of glibc's malloc.h


def share_freed_memory() -> None:
    """Let all threads use the same memory for their pages.

    By default glibc keeps what each thread has freed for that thread: with 10 workers and events of 20 KB the connector
    held 900 MB instead of 560 (`make bench`, row f). Where there is no glibc, nothing is done.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def run() -> None:
    """Run the connector on the command line's arguments.

    Exits with status 1 after an Airbyte trace message that says, in a sentence, what is wrong; without a word with
    status 130 after Ctrl-C, and with 141 when nobody reads its output any more.
    """
    share_freed_memory()
    reader = OutputReader()
    reader.watch()
    try:
        try:
            execute(sys.argv[1:] or ["--help"])
        except AirbyteTracedException as error:
            error.emit_message()
            reader.all_written()
            sys.exit(1)
        reader.all_written()
        return
    except BrokenPipeError:
        reader.status = NOBODY_READS
    except KeyboardInterrupt:
        pass
    reader.leave()  # only here: with the exception the sync was let go of, and has closed its queue


if __name__ == "__main__":
    run()
