"""How the tests are spread over workers."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# The tests of these share what takes seconds to make, or an environment into which each run installs the connector.
TOGETHER = ("ecosystem_tests/test_image.py", "ecosystem_tests/test_earlier_versions.py")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With `--dist loadscope`: a test at a time goes to whichever worker is free, but for the files of TOGETHER."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith(TOGETHER) else nodeid
