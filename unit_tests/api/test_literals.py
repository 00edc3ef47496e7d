"""What the CDK interpolates in several threads at once."""

import ast
import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from airbyte_cdk.sources.declarative.interpolation.jinja import JinjaInterpolation

import source_posthog  # noqa: F401  # whoever imports it interpolates safely

DEEP = "[[[[[[[[[[1, [2]]]]]]]]]], {'a': [[[[1]]]]}]"


@pytest.fixture
def _threads_change_in_mid_literal() -> Iterator[None]:
    """Nearly each object that is made has garbage collected, which takes long enough for another thread's turn."""

    def take_long(*_: object) -> None:
        for _turn in range(1000):
            pass

    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.callbacks.append(take_long)
    gc.set_threshold(1)
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)
    gc.callbacks.remove(take_long)


@pytest.mark.usefixtures("_threads_change_in_mid_literal")
def test_values_are_interpolated_in_many_threads_at_once() -> None:
    interpolation = JinjaInterpolation()
    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(lambda _: interpolation.eval(DEEP, {}), range(1000)))
    assert values == [ast.literal_eval(DEEP)] * 1000
