"""A thousand simulated syncs keep the promise; PROOF=long tries a hundred thousand."""

import pytest

from tools.proof import cases
from unit_tests.simulation import run

SYNCS = cases("SYNCS", 1_000, 100_000)
A_BLOCK = min(SYNCS, 250)


@pytest.mark.parametrize("block", range(SYNCS // A_BLOCK))
def test_every_sync_keeps_the_promise_wherever_it_is_stopped(block: int) -> None:
    seed, syncs = 1000 * block, 0
    while syncs < A_BLOCK:
        try:
            syncs += run(seed)
        except Exception as error:
            raise AssertionError(f"{error}\nSee it again: python -m unit_tests.simulation {seed}") from error
        seed += 1


def test_a_seed_decides_all_that_happens() -> None:
    assert [run(seed) for seed in range(5)] == [run(seed) for seed in range(5)]
