"""The objects of the extra streams: what each is, in one table; a file for each kind of them."""

import random
from typing import Any

from ..data import Account
from ..values import Row
from . import activity_log, definitions, lists, organizations, recordings, tables
from .objects import ExtraObject

EXTRA: dict[str, ExtraObject] = {
    **lists.OBJECTS,
    **definitions.OBJECTS,
    **organizations.OBJECTS,
    **recordings.OBJECTS,
    **activity_log.OBJECTS,
    **tables.OBJECTS,
}


def make_extra(stream: str, n: int, rng: random.Random, project: int = 1) -> list[Row]:
    """`n` rows of an extra stream, or the most that a project has, unlike those of other projects."""
    one = EXTRA[stream]
    return [one.make(project * 100_000 + place, rng) for place in range(min(n, one.most or n))]


def extra_rows(account: Account, stream: str) -> dict[Any, list[Row]]:
    """The rows of an extra stream by the id of their owner; those of a project or an organization may be changed."""
    if not EXTRA[stream].owner:
        return {one.id: [one.row()] for one in account.organizations.values()}
    owners = account.projects if EXTRA[stream].owner == "project" else account.organizations
    return {id: one.extra.setdefault(stream, []) for id, one in owners.items()}
