"""The demo shows what it says."""

import pytest

from integration_tests.harness.connector import run
from tools import demo


def test_the_demo_reads_everything_and_then_just_what_has_arrived(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(run) == 0
    lines = {line.split()[0]: line.split()[1:3] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["new"] == ["4", "4"]
    assert lines["late"] == ["3", "3"]
