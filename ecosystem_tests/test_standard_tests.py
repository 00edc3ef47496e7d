"""Airbyte's standard tests, as `airbyte-cdk connector test` runs them, against the embedded PostHog.

Those that build an image are left out: they need a container engine. `test_image.py` follows the steps of the build.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from posthog_server import PostHogServer, demo_account
from posthog_server.environments import ROOT

CONFIG, INVALID_CONFIG = ("'config' Test Scenario", "'invalid_config' Test Scenario")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what the standard tests read, with their reports; the source itself is installed."""
    folder = tmp_path / "source-posthog"
    samples = folder / "integration_tests" / "sample_files"
    shutil.copytree(ROOT / "integration_tests" / "sample_files", samples)
    for name in ("acceptance-test-config.yml", "metadata.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_all_standard_tests_pass_and_warnings_about_the_catalog_are_errors(folder: Path) -> None:
    with PostHogServer(demo_account()) as server:
        for path in folder.glob("integration_tests/sample_files/*config.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), "base_url": server.url}))
        line = [str(Path(sys.executable).with_name("airbyte-cdk")), "connector", "test", "."]
        warning = "airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning"
        for argument in (f"-Werror::{warning}", "-k", "not docker"):
            line += ["--pytest-arg", argument]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    passed: set[str] = set()
    skipped: set[str] = set()
    for case in ElementTree.parse(folder / "build" / "test-results" / "standard-tests-junit.xml").iter("testcase"):
        (skipped if case.find("skipped") is not None else passed).add(case.attrib["name"])
    assert passed == {
        "test_spec",
        f"test_config_matches_spec[{CONFIG}]",
        f"test_check[{CONFIG}]",
        f"test_check[{INVALID_CONFIG}]",
        f"test_discover[{CONFIG}]",
        f"test_basic_read[{CONFIG}]",
        f"test_fail_read_with_bad_catalog[{CONFIG}]",
    }
    # A configuration with a wrong key is there for `check` alone.
    assert all(name.endswith(f"[{INVALID_CONFIG}]") for name in skipped)
