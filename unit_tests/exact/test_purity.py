"""The cores, of events and of queries, import neither airbyte_cdk nor requests, and the linter keeps it so."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "source_posthog"
CORES = [PACKAGE / "exact", PACKAGE / "exact" / "events", PACKAGE / "exact" / "queries"]
BOTH = pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)


def lint(file: Path, code: str) -> str:
    """What ruff says about `code`, were it in `file`."""
    line = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format=concise",
        "--stdin-filename",
        str(file),
        "-",
    ]
    return subprocess.run(line, input=code, capture_output=True, text=True, check=False, timeout=30).stdout


@BOTH
@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        "import requests\n\nrequests.get\n",
        "from requests import Response\n\nResponse\n",
        "import airbyte_cdk\n\nairbyte_cdk.models\n",
        "from airbyte_cdk.sources.types import StreamSlice\n\nStreamSlice\n",
        "def late():\n    import airbyte_cdk.utils\n\n    return airbyte_cdk.utils\n",
    ],
)
def test_the_linter_refuses_airbyte_and_http_in_the_core_and_only_there(core: Path, code: str) -> None:
    assert "TID251" in lint(core / "reading.py", code)
    assert "TID251" not in lint(PACKAGE / "streams" / "lists.py", code)


@BOTH
def test_the_rules_of_the_rest_hold_in_the_core(core: Path) -> None:
    assert "RET504" in lint(core / "reading.py", "def one():\n    x = 1\n    return x\n")
    assert "E501" in lint(core / "reading.py", f"X = '{'x' * 120}'\n")


@BOTH
def test_the_core_is_imported_without_airbyte_and_http(core: Path) -> None:
    """In a process of its own, without the `__init__` of the package, which imports the source."""
    room = ".".join(core.relative_to(PACKAGE.parent).parts)
    modules = sorted(f"{room}.{file.stem}" for file in core.glob("[a-z]*.py"))
    code = f"""
import importlib, sys, types
sys.modules["source_posthog"] = package = types.ModuleType("source_posthog")
package.__path__ = [{str(PACKAGE)!r}]
for module in {modules}:
    importlib.import_module(module)
print(sorted({{"airbyte_cdk", "requests", "urllib3"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert len(modules) >= 3
    assert done.stdout.strip() == "[]"
