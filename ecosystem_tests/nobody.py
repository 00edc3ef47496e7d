"""Runs programs without rights, as they run in an image."""

import os
import shutil
import subprocess
import sys
from functools import cache

NOBODY_ID = 65534

# Nobody, who may read everything, since Python can be in root's own folder, but write only where everybody may.
READ_ONLY = "-all,+dac_read_search"
NOBODY: tuple[str, ...] = (
    "setpriv",
    f"--reuid={NOBODY_ID}",
    f"--regid={NOBODY_ID}",
    "--clear-groups",
    "--no-new-privs",
    *(f"--{kind}={READ_ONLY}" for kind in ("bounding-set", "inh-caps", "ambient-caps")),
)


@cache
def as_nobody() -> tuple[str, ...]:
    """The start of a command line that runs the rest of it without rights.

    Empty where this process may not give them up, since it is not root: then it has few itself.
    """
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return ()
    tried = subprocess.run([*NOBODY, sys.executable, "-c", ""], check=False).returncode == 0
    return NOBODY if tried else ()
