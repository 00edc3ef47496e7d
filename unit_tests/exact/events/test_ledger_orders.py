"""No order of covers makes the state say more than was emitted."""

import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.instants import instant, iso
from unit_tests.exact.events.support import DAY, HOUR, MONTH, START, US, text

END = START + MONTH
SETTLED = END - DAY


def entry(timestamp: datetime, since: datetime | None = None) -> dict[str, str]:
    return {"timestamp": iso(timestamp), **({"since": iso(since)} if since else {})}


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_no_order_of_covers_makes_the_state_pass_what_is_not_covered_or_move_back(first: int) -> None:
    for seed in range(first, first + 100):
        cover_at_random(random.Random(seed))


def cover_at_random(rng: random.Random) -> None:
    """Several projects with windows of up to 8 pieces; some pieces fail, others come twice or overlap."""
    made, model = Ledger("timestamp"), {}
    state: dict[str, Any] = {}
    for project in "123"[: rng.randrange(1, 4)]:
        start, since = START, rng.choice((None, START))
        if rng.random() < 0.5:
            known = START + rng.randrange(30) * DAY
            state[project] = entry(known, START)
            start, since = max(START, known - rng.choice((0, 3)) * DAY), None
        model[project] = (start, since)
    made.begin(state)
    covers = []
    for project, (start, since) in model.items():
        made.plan(project, start, END, SETTLED, since)
        covers += pieces(rng, project, start, END)
        if project in state and rng.random() < 0.5:
            made.plan_backfill(project, START - 9 * DAY, START)
            covers += pieces(rng, project, START - 9 * DAY, START)
    rng.shuffle(covers)
    done: dict[str, list[tuple[datetime, datetime]]] = {project: [] for project in model}
    last = made.state()
    for project, start, end, newest in covers:
        moved = made.cover(project, start, end, text(newest) if newest else None, rng.randrange(9))
        done[project].append((start, end))
        state = made.state()
        assert moved == (state != last)
        assert made.unread(project, model[project][0], END)[0] == covered_to(done[project], model[project][0])
        for one, known in state.items():
            before = last.get(one)
            reached, since = instant(known["timestamp"]), instant(known.get("since", iso(START)))
            if before:
                assert reached >= instant(before["timestamp"])
                assert since <= instant(before.get("since", iso(since)))
            if before is None or before["timestamp"] != known["timestamp"]:
                assert is_covered(done[one], model[one][0], reached)
            assert since >= START or is_covered(done[one], since, START)
        last = state


def pieces(
    rng: random.Random, project: str, start: datetime, end: datetime
) -> list[tuple[str, datetime, datetime, datetime | None]]:
    """[start, end) in pieces with the newest event of each, some missing, some twice, some too long."""
    cuts = sorted({start, end, *(start + rng.random() * (end - start) for _ in range(rng.randrange(8)))})
    made: list[tuple[str, datetime, datetime, datetime | None]] = []
    for low, high in pairwise(cuts):
        top = min(high + rng.choice((timedelta(0), timedelta(0), HOUR)), end)
        newest = rng.choice((None, low, top - US, low + (top - low) / 2))
        piece = (project, low, top, newest)
        made += [piece] * rng.choices((0, 1, 2), (1, 12, 2))[0]
    return made


def covered_to(done: list[tuple[datetime, datetime]], start: datetime) -> datetime:
    """Up to where the ranges of `done` together cover all from `start` on."""
    for low, high in sorted(done):
        if low <= start:
            start = max(start, high)
    return start


def is_covered(done: list[tuple[datetime, datetime]], start: datetime, end: datetime) -> bool:
    return covered_to(done, start) >= end
