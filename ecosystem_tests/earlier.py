"""The releases of `airbyte-source-posthog` that people run today, each in its own virtual environment."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from integration_tests.harness.connector import Output, arguments, output
from posthog_server.environments import environment

# 1.1.25 is bound to a CDK of 2024, whose libraries cannot be installed on Python 3.12 and later.
VERSIONS = ["1.1.28"] + ["1.1.25"] * (sys.version_info < (3, 12))

# That CDK has a default in a dataclass that Python 3.11 refuses, since it cannot be hashed.
HASHABLE_DATACLASSES = """
import dataclasses
original = dataclasses._process_class

def process_class(cls, *arguments, **options):
    made = original(cls, *arguments, **options)
    if made.__dict__.get("__hash__", True) is None:
        made.__hash__ = object.__hash__
    return made

dataclasses._process_class = process_class
"""


def run_earlier(version: str, command: str, **files: Any) -> Output:
    """As `connector.run_command`, with `airbyte-source-posthog` in that `version`."""
    command_file = make(version) / "bin" / "source-posthog"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder:
        line = [str(command_file), *arguments(Path(folder), command, **files)]
        done = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=300)
    return output(done.stdout, done.returncode)


def make(version: str) -> Path:
    """The environment of that version."""
    package = f"airbyte-source-posthog=={version}"
    if version == "1.1.25":
        folder = environment(f"peer-{version}", package)
        _packages(folder).joinpath("sitecustomize.py").write_text(HASHABLE_DATACLASSES)
    else:
        # All that it needs is a CDK of version 7: the one that the tests run with. Its folder is searched last.
        folder = environment(f"peer-{version}", "--no-deps", package)
        _packages(folder).joinpath("libraries.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def _packages(folder: Path) -> Path:
    return Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
