"""`make image`: builds the image of the Dockerfile with the engine of this machine, and tries each command in it.

ENGINE (docker, podman, buildah) and BASE (an image) of the environment choose where there is a choice. The exit status
is 1 where the image is not as it should be, and 3 where this machine cannot build it.
"""

import os
import sys
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

from posthog_server.environments import ROOT
from tools.image.base import base_for, pip_settings
from tools.image.engines import Engine, Failed, Unavailable, call, first_engine
from tools.image.steps import tried

VERSION = version("source-posthog")
TAG = f"source-posthog-exact:{VERSION}"  # as in docs/image.md


def make(engine: Engine, base: str) -> None:
    """Raises Failed or AssertionError where the image is not as it should be."""
    commit = call("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD").stdout.strip() or "unknown"
    print(f"Building {TAG} with {engine.name}, on {base} ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        engine.build(TAG, ROOT, {"BASE": base, "COMMIT": commit}, pip_settings(Path(folder)))
    print("ok  build", flush=True)
    for step in tried(partial(engine.run, TAG), f"{VERSION} (commit {commit})"):
        print(f"ok  {step}", flush=True)


def main() -> int:
    try:
        engine = first_engine(os.environ.get("ENGINE", ""))
        make(engine, os.environ.get("BASE") or base_for(engine))
    except Unavailable as error:
        print(f"The image was not built. {error}")
        return 3
    except (Failed, AssertionError) as error:
        print(f"FAILED\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
