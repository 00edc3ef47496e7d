"""Of a test that is marked as a `matrix`, `make test` runs each value of each axis, and `make prove` all cases."""

from itertools import product
from types import SimpleNamespace
from typing import Any

from tools.proof import covering

AXES: dict[str, list[Any]] = {"way": ["list", "query"], "cap": [100, 250, 1000, 20_000], "days": [1, 30, 91]}


class Item:
    """What `covering` sees of a test."""

    def __init__(self, **params: Any) -> None:
        self.callspec = SimpleNamespace(params=params)


def test_each_value_is_tried_and_as_evenly_as_can_be() -> None:
    items: list[Any] = [Item(**dict(zip(AXES, values, strict=True))) for values in product(*AXES.values())]
    chosen = list(covering(items))
    assert len(chosen) == 4
    for name, values in AXES.items():
        tried = [item.callspec.params[name] for item in chosen]
        assert set(tried) == set(values)
        assert max(map(tried.count, values)) <= -(-4 // len(values))
