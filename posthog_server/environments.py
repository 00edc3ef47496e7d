"""Virtual environments beside the connector's own, for packages that must not be mixed with it."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The libraries of an environment with the connector's own CDK are those that all other tests use.
LOCK = ROOT / "requirements.lock"


def environment(name: str, *requirements: str) -> Path:
    """The folder of `.venv-<name>` with `requirements`, which are arguments of `pip install`.

    Made on its first use, which takes up to a minute, and again when the requirements or the version of Python change.
    Standard error says so, and how much it took.
    """
    folder = ROOT / f".venv-{name}"
    wanted = "\n".join([sys.version, *requirements, *map(_content, requirements)])
    folder.mkdir(exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs of one checkout must not make it at the same time
    try:
        stamp = folder / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            shown = " ".join(one for one in requirements if not one.startswith("-")).replace(f"{ROOT}{os.sep}", "")
            _say(f"Installing into {folder.name} (once): {shown} ...")
            begin = time.monotonic()
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
            install(folder, "--no-compile", *requirements)
            stamp.write_text(wanted)
            _say(f"Installed {folder.name}: {_megabytes(folder)} MB in {time.monotonic() - begin:.0f} s.")
    finally:
        os.close(lock)
    return folder


def install(folder: Path, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    done = subprocess.run([*pip, "install", "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _megabytes(folder: Path) -> int:
    """What the files in `folder` hold, rounded up."""
    return -(-sum(path.lstat().st_size for path in folder.rglob("*")) // 10**6)


def _content(requirement: str) -> str:
    return Path(requirement).read_text() if requirement.endswith((".lock", ".txt")) else ""
