"""Runs a Dockerfile step by step without a container engine: each stage in a folder that stands for its /."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """What the steps of one stage have made so far.

    Attributes:
        base: the image that it begins with.
        root: the folder that stands for / in it.
        work: the current folder, as seen from within.
        variables: those of ENV and of ARG.
    """

    base: str
    root: Path
    work: str = "/"
    user: str = "root"
    variables: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        """Where the path `inside` the stage is on this machine."""
        return self.root / os.path.join(self.work, inside).lstrip("/")


class Build:
    """Builds the Dockerfile of `checkout` below `folder`, with the programs of `python`, an environment, as its base's.

    What is not known here fails: a new kind of step has to be added before it can be used.
    """

    def __init__(self, checkout: Path, folder: Path, python: Path, arguments: Mapping[str, str]) -> None:
        self._checkout = checkout
        self._folder = folder
        self._python = python
        self._given = arguments
        self._global: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}

    def run(self) -> Stage:
        """The last stage, after all steps."""
        stage: Stage | None = None
        text = (self._checkout / "Dockerfile").read_text().replace("\\\n", " ")
        for line in (one for one in text.splitlines() if one and not one.startswith("#")):
            step, _, rest = line.partition(" ")
            if step == "FROM":
                stage = self._stage(rest)
            elif stage is None:
                assert step == "ARG", line
                name, _, value = rest.partition("=")
                self._global[name] = self._given.get(name, value)
            else:
                self._step(stage, step, rest)
        assert stage is not None
        return stage

    def _stage(self, rest: str) -> Stage:
        image, _, name = rest.partition(" AS ")
        for known, value in self._global.items():
            image = image.replace(f"${{{known}}}", value)
        stage = Stage(image, self._folder / f"stage-{len(self._stages)}")
        stage.root.mkdir(parents=True)
        self._stages[name or str(len(self._stages))] = stage
        return stage

    def _step(self, stage: Stage, step: str, rest: str) -> None:
        match step:
            case "ARG":
                name, _, value = rest.partition("=")
                stage.variables[name] = self._given.get(name, value)
            case "ENV":
                name, _, value = rest.partition("=")
                stage.variables[name] = " ".join(shlex.split(value))
            case "USER":
                stage.user = rest
            case "WORKDIR":
                stage.work = rest
                stage.path(".").mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(stage, rest.split())
            case "RUN":
                assert stage.user == "root", "the base image's Python belongs to root"
                self._shell(stage, rest)
            case "ENTRYPOINT":
                stage.entrypoint = json.loads(rest)
            case _:
                raise NotImplementedError(f"{step} {rest}")

    def _copy(self, stage: Stage, words: list[str]) -> None:
        source = self._checkout
        if words[0].startswith("--from="):
            source = self._stages[words.pop(0).removeprefix("--from=")].root
        *names, target = words
        for name in names:
            path, to = source / name.lstrip("/"), stage.path(target)
            if path.is_dir():
                shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copy(path, to / path.name if target.endswith("/") else to)

    def _shell(self, stage: Stage, line: str) -> None:
        path = f"{self._python / 'bin'}{os.pathsep}{os.environ['PATH']}"
        variables = {**os.environ, **stage.variables, "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            ["sh", "-c", line], cwd=stage.path("."), env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
