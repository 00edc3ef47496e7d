"""What the documents hold: their code, and the commands in it."""

import re
from pathlib import Path

from posthog_server.environments import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").glob("*.md"))]

# Their commands are those of other programs.
OF_EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))


def code(path: Path, language: str) -> list[str]:
    """The blocks of code of the document at `path` in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def sections(path: Path, title: str) -> list[str]:
    """The blocks of code in the section of the document at `path` with this `title`."""
    (text,) = re.findall(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(path: Path, title: str) -> str:
    """The only one."""
    (block,) = sections(path, title)
    return block
