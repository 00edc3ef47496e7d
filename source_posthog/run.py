"""The command `source-posthog spec|check|discover|read|catalog`.

What takes time to import is imported when Ctrl-C already ends the process silently.
"""

import sys

from source_posthog.command.reader import NOBODY_READS, OutputReader

M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3  # of glibc's malloc.h


def share_freed_memory() -> None:
    """Let all threads use the same memory for their pages, and give large ones back.

    By default glibc keeps what each thread has freed for that thread, and once a large block was freed, others up to
    that size as well. With 10 workers and events of 20 KB the connector held 900 MB instead of 560, with events of
    300 KB 520 MB instead of 340 (`make bench`, rows f and l). Where there is no glibc, nothing is done.
    """
    import ctypes
    from contextlib import suppress

    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1024)  # its usual value, which then stays


def run() -> None:
    """Run the connector on the command line's arguments.

    Exits with status 1 after a sentence that says what is wrong: in an Airbyte trace message, or on standard error
    where nothing can be written, or `catalog` fails. Without a word it exits with status 130 after Ctrl-C, with 143
    after SIGTERM, and with 141 when nobody reads its output any more.
    """
    reader = OutputReader()
    reader.watch()
    from source_posthog.command.output import CannotWrite, standard_output

    try:
        with standard_output(reader.cannot_write):
            from source_posthog.command.entrypoint import main

            share_freed_memory()
            reader.begin()
            status = main(sys.argv[1:] or ["--help"])
        reader.all_written()
        if status:
            sys.exit(status)
        return
    except BrokenPipeError:
        reader.status = NOBODY_READS
    except CannotWrite as error:
        reader.say_why(str(error))
    except KeyboardInterrupt:
        pass
    reader.leave()  # only here: with the exception the sync was let go of, and has closed its queue


if __name__ == "__main__":
    run()
