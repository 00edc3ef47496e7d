"""`make image` takes the engine that there is, and says in a sentence that there is none."""

from pathlib import Path

import pytest

from tools.image.base import pip_settings
from tools.image.engines import Unavailable, first_engine


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        pytest.param({"docker", "podman", "buildah"}, "", "docker", id="docker first"),
        pytest.param({"podman", "buildah"}, "", "podman", id="a docker client without its engine"),
        pytest.param({"buildah"}, "", "buildah", id="no daemon at all"),
        pytest.param({"docker", "podman", "buildah"}, "buildah", "buildah", id="by name"),
    ],
)
def test_the_first_engine_that_works_is_taken(there: set[str], wanted: str, chosen: str) -> None:
    assert first_engine(wanted, lambda engine: engine.name in there).name == chosen


@pytest.mark.parametrize(
    ("wanted", "tried"),
    [
        ("", "docker, podman, buildah"),
        ("podman", "podman"),
        ("dokcer", "dokcer (known are docker, podman and buildah)"),
    ],
)
def test_without_an_engine_one_sentence_says_what_was_tried(wanted: str, tried: str) -> None:
    with pytest.raises(Unavailable) as error:
        first_engine(wanted, lambda engine: engine.name == "buildah" and wanted == "buildah")
    assert str(error.value).startswith(f"No container engine works here; tried: {tried}. ")


def test_the_steps_reach_the_index_that_pip_reaches_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its address and certificate, but nothing that lies on this machine's disk, or says what to install."""
    file, certificate, folder = tmp_path / "pip.conf", tmp_path / "own.pem", tmp_path / "given"
    folder.mkdir()
    certificate.write_text("a certificate")
    file.write_text(
        "[global]\nindex-url = https://other.example/simple\nextra-index-url = file:///srv/simple\n"
        "  https://more.example/simple\nconstraint = /srv/constraints.txt\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificate))
    monkeypatch.delenv("PIP_DEFAULT_TIMEOUT", raising=False)
    lines = (pip_settings(folder) / "pip.conf").read_text().splitlines()
    assert "index-url = https://index.example/simple" in lines
    assert "cert = /etc/xdg/pip/cert.pem" in lines
    assert (folder / "cert.pem").read_text() == "a certificate"
    assert [line for line in lines if "file:" in line or "constraint" in line] == []
    assert [line for line in lines if line.startswith("extra-index-url")] == [
        "extra-index-url = https://more.example/simple"
    ]
