"""Virtual environments beside the connector's own, for packages that must not be mixed with it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The libraries of an environment with the connector's own CDK are those that all other tests use.
LOCK = ROOT / "requirements.lock"


def environment(name: str, *requirements: str) -> Path:
    """The folder of `.venv-<name>` with `requirements`, which are arguments of `pip install`.

    Made on its first use, which takes up to a minute, and again when the requirements or the version of Python change.
    """
    folder = ROOT / f".venv-{name}"
    wanted = "\n".join([sys.version, *requirements, *map(_content, requirements)])
    folder.mkdir(exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs of one checkout must not make it at the same time
    try:
        stamp = folder / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
            install(folder, "--no-compile", *requirements)
            stamp.write_text(wanted)
    finally:
        os.close(lock)
    return folder


def install(folder: Path, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    done = subprocess.run([*pip, "install", "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _content(requirement: str) -> str:
    return Path(requirement).read_text() if requirement.endswith((".lock", ".txt")) else ""
