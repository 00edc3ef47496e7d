"""The connector in the image that Airbyte builds: the same steps, without a container engine.

Airbyte's build installs the checkout into the base image's Python and copies main.py to /airbyte/integration_code, and
runs it as a user without rights, with the configuration and the catalog mounted from elsewhere. Here the root of the
image is a temporary folder, with a virtual environment as its Python. What could not be tried: the base image itself
(its Python, its libraries, its user, its entry point), and other processors.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest

from integration_tests.connector import STREAMS, Output, arguments, catalog, config, expected_keys, output
from integration_tests.ecosystem.environments import LOCK, ROOT, environment, install
from integration_tests.posthog_server import PostHogServer, demo_account

# They share one environment, into which each run installs the checkout.
pytestmark = pytest.mark.xdist_group("image")

SOURCES = ("main.py", "pyproject.toml", "README.md", "LICENSE", "metadata.yaml", "source_posthog")

# Nobody, who may read everything, since Python can be in root's own folder, but write only where everybody may.
READ_ONLY = "-all,+dac_read_search"
NOBODY: tuple[str, ...] = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
NOBODY += tuple(f"--{kind}={READ_ONLY}" for kind in ("bounding-set", "inh-caps", "ambient-caps"))


@dataclass
class Image:
    """An installed connector.

    Attributes:
        root: what would be / in the image.
        work: the only folder that the connector's user may write to.
        user: the start of a command line that runs the rest of it as that user.
    """

    root: Path
    python: Path
    work: Path
    user: tuple[str, ...]

    def run(self, command: str, **files: Any) -> Output:
        main = self.root / "airbyte" / "integration_code" / "main.py"
        mounted = Path(tempfile.mkdtemp(dir=self.root.parent))
        mounted.chmod(0o755)
        line = [*self.user, str(self.python), str(main), *arguments(mounted, command, **files)]
        variables = {"PATH": os.environ["PATH"], "TMPDIR": str(self.work), "HOME": str(self.work)}
        done = subprocess.run(line, cwd=self.work, env=variables, capture_output=True, text=True, check=False)
        return output(done.stdout + done.stderr, done.returncode)


def libraries() -> Path:
    """An environment with what the connector needs: as in an image, a layer of its own that is made once."""
    declared = [one for one in requires("source-posthog") or [] if "extra" not in one]
    return environment("image", "-c", str(LOCK), *declared)


ENVIRONMENTS = (libraries,)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    checkout, root, work = (folder / name for name in ("checkout", "root", "work"))
    code = root / "airbyte" / "integration_code"
    for made in (checkout, code, work):
        made.mkdir(parents=True)
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, checkout / name)
    python = libraries()
    install(python, "--force-reinstall", "--no-deps", str(checkout))
    shutil.copy(ROOT / "main.py", code)
    shutil.rmtree(checkout)
    for path in (*root.rglob("*"), root):
        path.chmod(0o555 if path.is_dir() else 0o444)
    work.chmod(0o777)
    return Image(root, python / "bin" / "python", work, _nobody())


def _nobody() -> tuple[str, ...]:
    """Without rights where this process may give them up: as root. Else this process has few itself."""
    tried = shutil.which("setpriv") and subprocess.run([*NOBODY, sys.executable, "-c", ""], check=False).returncode == 0
    return NOBODY if os.geteuid() == 0 and tried else ()


def test_the_installed_package_finds_all_that_it_needs(image: Image) -> None:
    done = subprocess.run([str(image.python), "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_image_runs_every_command_from_a_folder_that_it_cannot_write_to(image: Image) -> None:
    account = demo_account()
    with PostHogServer(account) as server:
        options = config(server.url)
        (spec,) = image.run("spec").of("SPEC")
        assert spec["connectionSpecification"]["required"] == ["api_key", "start_date"]
        assert image.run("check", config=options).connection[0] == "SUCCEEDED"
        (found,) = image.run("discover", config=options).of("CATALOG")
        assert [stream["name"] for stream in found["streams"]] == list(STREAMS)
        read = image.run("read", config=options, catalog=catalog())
        assert read.status == 0, read.text
        expected = expected_keys(account)
        assert {stream: read.keys(stream) for stream in STREAMS} == expected
    assert [path for path in image.root.rglob("*") if path.suffix != ".py" and path.is_file()] == []


def test_the_image_says_what_is_wrong_and_exits_with_1(image: Image) -> None:
    assert image.run("read", config={}, catalog=catalog()).status == 1
