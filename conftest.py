"""Which cases of a matrix run, and how the tests are spread over workers."""

import gc
from collections import defaultdict

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tools.proof import FAST, LONG, covering

# The tests of these share what takes seconds to make, or an environment into which each run installs the connector.
TOGETHER = (
    "ecosystem_tests/test_image.py",
    "ecosystem_tests/test_earlier_versions.py",
    "ecosystem_tests/test_storage_order_clickhouse.py",
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """With `--dist loadscope`: a test at a time goes to whichever worker is free, but for the files of TOGETHER."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.endswith(TOGETHER) else nodeid


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without PROOF=long, leave out all of a `matrix` but each value once, and else what is marked `only_long`; with
    PROOF=fast, what is marked `slow` as well."""
    if LONG:
        return
    left_out, matrices = set[pytest.Item](), defaultdict(list)
    for item in items:
        if FAST and item.get_closest_marker("slow"):
            left_out.add(item)
            continue
        if isinstance(item, pytest.Function) and item.get_closest_marker("matrix"):
            matrices[item.nodeid.partition("[")[0]].append(item)
        elif item.get_closest_marker("only_long"):
            left_out.add(item)
    for matrix in matrices.values():
        left_out |= set(matrix).difference(covering(matrix))
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """What is imported by now is there for good, and is not looked through again by each collection of garbage."""
    gc.collect()
    gc.freeze()
