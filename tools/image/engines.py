"""The container engines that can build the image and run it: docker, podman, and buildah, which needs no daemon."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Done = subprocess.CompletedProcess[str]


class Unavailable(Exception):
    """What this machine lacks to build the image, in one sentence."""


class Failed(Exception):
    """A program failed: its command line and what it printed."""


def call(*line: str, text: str | None = None) -> Done:
    """Run a program to its end, whatever its status; with `text` as its input. Status 127 where it is not there."""
    try:
        return subprocess.run(line, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(line, 127, "", str(error))


def succeed(*line: str, text: str | None = None) -> str:
    """What a program prints. Raises Failed where its status is not 0."""
    done = call(*line, text=text)
    if done.returncode:
        raise Failed(f"{' '.join(line)}\n{(done.stdout + done.stderr)[-5000:]}")
    return done.stdout


@dataclass(frozen=True)
class Engine:
    """Docker, and what has its command line. The network is the machine's own, where the embedded PostHog is.

    Attributes:
        mounts_while_building: a folder can be seen by the steps of a Dockerfile without becoming part of the image.
    """

    name: str
    mounts_while_building: bool = False

    def works(self) -> bool:
        """Whether the engine answers: the client of docker alone does not."""
        return call(self.name, "info").returncode == 0

    def has(self, image: str) -> bool:
        return call(self.name, "image", "inspect", image).returncode == 0

    def pull(self, image: str) -> bool:
        return call(self.name, "pull", image).returncode == 0

    def build(
        self, tag: str, folder: Path, arguments: Mapping[str, str] | None = None, settings: Path | None = None
    ) -> None:
        """Build the Dockerfile in `folder`, with `settings` as the folder of pip's settings. Raises Failed."""
        line = [self.name, *self._build(), "--tag", tag]
        for name, value in (arguments or {}).items():
            line += ["--build-arg", f"{name}={value}"]
        if settings and self.mounts_while_building:
            line += ["--volume", f"{settings}:/etc/xdg/pip:ro"]
        succeed(*line, str(folder))

    def _build(self) -> list[str]:
        return ["build", "--network", "host"]

    def run(self, image: str, mounted: Path, *line: str) -> Done:
        """Run `image` with the arguments `line`, in a new container that sees `mounted` where it is on this machine."""
        volume = ["--volume", f"{mounted}:{mounted}:ro"]
        return call(self.name, "run", "--rm", "--network", "host", *volume, image, *line)


@dataclass(frozen=True)
class Buildah(Engine):
    """Buildah, which builds, but has no command that runs an image as `docker run` does.

    With the isolation chroot it needs neither a daemon nor namespaces, so that it works within a container too.
    """

    def has(self, image: str) -> bool:
        return call(self.name, "inspect", "--type", "image", image).returncode == 0

    def _build(self) -> list[str]:
        return ["bud", "--isolation", "chroot"]

    def run(self, image: str, mounted: Path, *line: str) -> Done:
        described = json.loads(succeed(self.name, "inspect", "--type", "image", image))
        entry = described["OCIv1"]["config"]["Entrypoint"]
        container = succeed(self.name, "from", "--pull-never", image).strip()
        try:
            volume = ["--volume", f"{mounted}:{mounted}:ro"]
            return call(self.name, "run", "--isolation", "chroot", *volume, container, "--", *entry, *line)
        finally:
            succeed(self.name, "rm", container)


ENGINES: tuple[Engine, ...] = (Engine("docker"), Engine("podman", True), Buildah("buildah", True))


def first_engine(name: str = "", works: Callable[[Engine], bool] = Engine.works) -> Engine:
    """The engine of that name, or the first that works. Raises Unavailable."""
    wanted = [engine for engine in ENGINES if name in ("", engine.name)]
    for engine in wanted:
        if works(engine):
            return engine
    tried = ", ".join(engine.name for engine in wanted) or f"{name} (known are docker, podman and buildah)"
    raise Unavailable(f"No container engine works here; tried: {tried}. Debian's package buildah is one.")
