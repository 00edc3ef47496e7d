"""The objects of the extra streams: what each is, in one table; a file for each kind of them."""

import random

from ..values import Row
from . import lists
from .objects import ExtraObject

EXTRA: dict[str, ExtraObject] = {**lists.OBJECTS}


def make_extra(stream: str, n: int, rng: random.Random, project: int = 1) -> list[Row]:
    """`n` rows of an extra stream, unlike those of other projects."""
    return [EXTRA[stream].make(project * 100_000 + place, rng) for place in range(n)]
