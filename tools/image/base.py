"""The image that the connector's begins with, and what pip needs to know on this machine."""

import ast
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from posthog_server.environments import ROOT
from tools.image.engines import Engine, Unavailable, call, succeed

SUITE = "bookworm"  # the Debian with Python 3.11, as Airbyte's base has it
DEBIAN = f"source-posthog-base:{SUITE}"

# Debian's own Python is not called python, and refuses what pip would install.
DEBIAN_DOCKERFILE = """\
FROM scratch
ADD root.tar /
RUN python3 -m venv /opt/python
ENV PATH=/opt/python/bin:/usr/local/bin:/usr/bin:/bin
"""

# Of pip's settings, those by which it reaches its index.
REACHING = ("cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")


def base_for(engine: Engine) -> str:
    """Airbyte's base where the engine has it or can pull it, and one made of Debian's packages where not."""
    (airbyte,) = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    if engine.has(airbyte) or engine.pull(airbyte):
        return str(airbyte)
    if not engine.has(DEBIAN):
        _make_debian(engine)
    return DEBIAN


def _make_debian(engine: Engine) -> None:
    """Make the image DEBIAN, which takes minutes. Raises Unavailable where this machine cannot."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise Unavailable(
            f"{engine.name} cannot pull Airbyte's base image, and to make another, this must be run as root, with "
            "Debian's package debootstrap installed. Or name a base that you have: BASE=..."
        )
    print(f"Making a base of Debian's packages (once): {DEBIAN} ...", flush=True)
    with tempfile.TemporaryDirectory() as name:
        root, context = Path(name, "root"), Path(name, "context")
        context.mkdir()
        packages = "--include=python3,python3-venv,ca-certificates"
        done = call("debootstrap", "--variant=minbase", packages, SUITE, str(root))
        if done.returncode:
            raise Unavailable(f"debootstrap cannot make a base: {(done.stdout + done.stderr).strip().splitlines()[-1]}")
        excluded = [f"--exclude=./{one}" for one in ("dev/*", "proc/*", "sys/*", "var/cache/apt", "etc/resolv.conf")]
        succeed("tar", "-C", str(root), *excluded, "-cf", str(context / "root.tar"), ".")
        (context / "Dockerfile").write_text(DEBIAN_DOCKERFILE)
        engine.build(DEBIAN, context)


def pip_settings(folder: Path) -> Path:
    """Write into `folder` how pip reaches its index on this machine, so that the steps of a Dockerfile reach it too."""
    listed = call(sys.executable, "-m", "pip", "config", "list").stdout
    # A variable of the environment (":env:") is stronger than a file, and comes first in the list.
    settings: dict[str, str] = {}
    for name, value in re.findall(r"^\S+\.([\w-]+)=(.*)$", listed, re.MULTILINE):
        settings.setdefault(name, ast.literal_eval(value))
    lines = ["[global]"]
    for name in REACHING:
        # What lies on this machine's disk is not seen by the steps.
        words = [word for word in settings.get(name, "").split() if not word.startswith("file:")]
        if name == "cert" and words:
            shutil.copy(settings["cert"], folder / "cert.pem")
            words = ["/etc/xdg/pip/cert.pem"]
        lines += [f"{name} = {' '.join(words)}"] * bool(words)
    (folder / "pip.conf").write_text("\n".join([*lines, ""]))
    return folder
