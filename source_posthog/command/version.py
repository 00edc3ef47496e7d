"""Which version of the connector this is."""

import json
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

NAME = "source-posthog"
PACKAGE = Path(__file__).parents[1]


def version_line() -> str:
    """Name, version and, where it is known, commit: "source-posthog 1.1.25 (commit 8c2f1ab)"."""
    commit = _written() or _installed()
    return f"{NAME} {distribution(NAME).version}" + (f" (commit {commit})" if commit else "")


def _written() -> str:
    """The commit that whoever built an image or a wheel wrote into the package."""
    with suppress(OSError):
        return (PACKAGE / "COMMIT").read_text().strip()
    return ""


def _installed() -> str:
    """The commit that pip noted where it installed from a repository (PEP 610)."""
    noted = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    return str(noted.get("vcs_info", {}).get("commit_id", ""))[:12]
