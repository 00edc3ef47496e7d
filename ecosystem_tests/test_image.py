"""The image of the Dockerfile, built step by step without a container engine, runs the connector.

The root of the image is a temporary folder, with a virtual environment as its Python. The connector runs as a user
without rights, with the configuration and the catalog mounted from elsewhere. `make image` tries the same in an engine.
What could not be tried: the base image itself (its Python, its libraries), and other processors.
"""

import os
import subprocess
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml

from ecosystem_tests.dockerfile import Build, Stage
from ecosystem_tests.nobody import as_nobody
from integration_tests.harness.connector import catalog
from posthog_server.environments import LOCK, ROOT, environment
from tools.image.steps import run, tried

COMMIT = "0a1b2c3"


@dataclass
class Image:
    """An image with its environment.

    Attributes:
        work: the only folder that the connector's user may write to.
    """

    stage: Stage
    python: Path
    work: Path

    def execute(self, mounted: Path, *line: str) -> subprocess.CompletedProcess[str]:
        """What `docker run IMAGE *line` would do. The folder `mounted` is there without a mount."""
        assert mounted.is_dir()
        variables = {"PATH": f"{self.python / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.work)}
        entry = [str(self.stage.path(one)) if one.startswith("/") else one for one in self.stage.entrypoint]
        command = [*as_nobody(), *entry, *line]
        return subprocess.run(command, cwd=self.work, env=variables, capture_output=True, text=True, check=False)

    def files(self) -> set[Path]:
        return {path for path in self.stage.root.rglob("*") if path.is_file()}


def libraries() -> Path:
    """An environment with what the connector needs: as in an image, a layer of its own that is made once."""
    declared = [one for one in requires("source-posthog") or [] if "extra" not in one]
    return environment("image", "-c", str(LOCK), "pip", *declared)


ENVIRONMENTS = (libraries,)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    python, work = libraries(), folder / "work"
    # The base image has no connector.
    uninstall = [str(python / "bin" / "pip"), "uninstall", "--quiet", "--yes", "source-posthog"]
    subprocess.run(uninstall, capture_output=True, check=False)
    stage = Build(ROOT, folder, python, {"COMMIT": COMMIT}).run()
    for path in (*stage.root.rglob("*"), stage.root):
        path.chmod(0o555 if path.is_dir() else 0o444)
    work.mkdir()
    work.chmod(0o777)
    return Image(stage, python, work)


def test_the_image_is_built_on_the_base_that_the_metadata_names(image: Image) -> None:
    metadata = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
    assert image.stage.base == metadata["connectorBuildOptions"]["baseImage"]


def test_the_image_runs_without_rights_and_tells_airbyte_how(image: Image) -> None:
    assert image.stage.user == "1000:1000"
    assert image.stage.variables["AIRBYTE_ENTRYPOINT"].split() == image.stage.entrypoint


def test_the_installed_wheel_finds_all_that_it_needs(image: Image) -> None:
    (wheel,) = image.stage.path("wheels").glob("*.whl")
    assert wheel.name == f"source_posthog-{version('source-posthog')}-py3-none-any.whl"
    python = str(image.python / "bin" / "python")
    done = subprocess.run([python, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    typed = (
        "import source_posthog; from pathlib import Path; print(Path(source_posthog.__file__).with_name('py.typed'))"
    )
    done = subprocess.run([python, "-c", typed], capture_output=True, text=True, check=True, cwd=image.work)
    assert Path(done.stdout.strip()).is_relative_to(image.python)
    assert Path(done.stdout.strip()).is_file()


def test_the_image_runs_every_command_from_a_folder_that_it_cannot_write_to(image: Image) -> None:
    files = image.files()
    lines = list(tried(image.execute, f"{version('source-posthog')} (commit {COMMIT})"))
    assert [line.split()[0] for line in lines] == ["--version", "spec", "check", "check", "discover", "read", "read"]
    assert image.files() == files


def test_the_image_says_what_is_wrong_and_exits_with_1(image: Image) -> None:
    assert run(image.execute, "read", config={}, catalog=catalog()).status == 1
