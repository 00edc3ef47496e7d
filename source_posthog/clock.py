"""What time it is."""

import time


def seconds() -> float:
    """Seconds of a clock that never jumps. Tests replace it."""
    return time.monotonic()
