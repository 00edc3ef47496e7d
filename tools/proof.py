"""How much a run of the tests proves: enough cases to notice every broken rule, with PROOF=long all of them, with
PROOF=fast a few.

`make mutants` shows that the usual ones are enough; `make prove` tries the many, `make test-fast` the few. What a test
asserts is the same in each.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

LONG, FAST = (os.environ.get("PROOF") == kind for kind in ("long", "fast"))


def cases(name: str, few: int, many: int) -> int:
    """So many random cases: as the variable `name` of the environment says where it is set."""
    return int(os.environ.get(name, many if LONG else few // 5 if FAST else few))


def covering(items: list[pytest.Function]) -> Iterator[pytest.Function]:
    """Of the cases of a matrix some that together have each value of each of its axes, evenly."""
    values = {item: {(name, id(value)) for name, value in item.callspec.params.items()} for item in items}
    left = set[tuple[str, int]]().union(*values.values())
    used = Counter[tuple[str, int]]()
    while left:
        chosen = max(items, key=lambda item: (len(left & values[item]), -sum(used[one] for one in values[item])))
        left -= values[chosen]
        used.update(values[chosen])
        yield chosen
