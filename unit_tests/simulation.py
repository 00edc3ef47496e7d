"""Whole syncs, simulated: one seed decides all that happens, so that what failed can be seen again.

    python -m unit_tests.simulation SEED

A seed makes an account and lets one sync follow the other, each from the last state of the one before, until one ends
well; then start_date is moved and it goes on. It decides which worker goes on after each batch, row and state, what the
server answers and when it fails, what arrives meanwhile, and where the process is killed. There are no threads: a
worker is a generator. What must hold (the promise):

- A sync that ends well has emitted every event due, and none twice.
- No state claims an event that was not emitted before it. `since` is as true as the timestamp.
- A timestamp never moves back, and is never past the newest event emitted unless that lies a day back.
"""

import random
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from integration_tests.posthog_server import Event
from source_posthog.events.instants import instant
from source_posthog.events.ledger import Ledger
from source_posthog.events.reading import Page, Query, Reach, TooSlow, UntrueAnswer, read
from source_posthog.events.windows import SETTLING, Plan, first_event, in_turns, lay_out
from unit_tests.events.support import DAY, HOUR, MINUTE, SECOND, START, US, EventsList, text

# Below, two transports: the embedded server's events list, and one of tiny pages, whose proof is always right.
LIST_CAPS, TINY_CAPS = (100, 117), (2, 3, 5, 8)


class Killed(Exception):
    """The process is stopped here."""


class Unreachable(Exception):
    """A question that failed in whatever other way."""


@dataclass
class Happening:
    """An event of the account."""

    id: str
    at: datetime
    arrived: int  # the sync during which it became visible; 0 for what was there before


@dataclass
class World:
    """An account, its server and its clock.

    Attributes:
        events: per project, oldest first.
        now: the clock.
        syncs: how many were begun.
        kill_in: so many steps until the process is killed; None for never.
    """

    rng: random.Random
    events: dict[str, list[Happening]] = field(default_factory=dict)
    emitted: dict[str, set[str]] = field(default_factory=dict)
    now: datetime = START
    lookback: timedelta = HOUR
    cap: int = 3
    is_list: bool = False
    longest: timedelta | None = None
    skips_history: bool = False
    trouble: float = 0.0
    arrivals: float = 0.0
    syncs: int = 0
    kill_in: int | None = None
    made: int = 0

    def step(self) -> None:
        """Something was sent or emitted."""
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                raise Killed

    def add(self, project: str, at: datetime) -> None:
        self.made += 1
        digits = f"{self.rng.getrandbits(64):016x}{self.made:016x}"
        self.events[project].append(Happening(digits[::-1], at, self.syncs))

    def ask(self, query: Query) -> Page:
        self.step()
        rng = self.rng
        self.now += rng.choice((US, SECOND, MINUTE))
        if rng.random() < self.arrivals:  # late, but not by more than the lookback
            self.add(str(query.project_id), self.now - rng.random() * self.lookback - US)
        if self.longest is not None and query.end - query.start > self.longest and rng.random() < 0.9:
            raise TooSlow
        if rng.random() < self.trouble:
            return self._trouble(query)
        found = [one for one in self.events[str(query.project_id)] if query.start <= one.at < query.end]
        if self.is_list:
            events = [Event(one.id, (one.at - START) // US + 1_767_225_600_000_000) for one in found]
            return EventsList(events, self.cap, rng).ask(query)
        found = [one for one in found if one.id.endswith(query.suffix)]
        rng.shuffle(found)
        found.sort(key=lambda one: one.at, reverse=True)
        rows = [{"id": one.id, "timestamp": text(one.at)} for one in found[: self.cap]]
        if rows and rng.random() < 0.1:
            rows.insert(0, dict(rows[0]))
        return Page(rows, complete=len(found) <= self.cap)

    def _trouble(self, query: Query) -> Page:
        row = {"id": "untrue", "timestamp": text(query.end)}
        untrue = Page([], False), Page([row], True), Page([{"id": "untrue"}], True)
        one = self.rng.randrange(5)
        if one == 3:
            raise Unreachable
        if one == 4:
            raise TooSlow
        return untrue[one]


class Sync:
    """One sync of `world` from `state`: the engine, and what it emits."""

    def __init__(
        self, world: World, state: dict[str, Any], start_date: datetime, step: timedelta, workers: int
    ) -> None:
        self.world, self.rng = world, world.rng
        self.start_date, self.end, self.step = start_date, world.now, step
        self.workers, self.most = workers, world.rng.choice((3, 20, 1000))
        self.last = deepcopy(state)
        self.ids: set[str] = set()
        self.newest: dict[str, datetime] = {}
        self.failed: set[str] = set()
        self.looked: set[str] = set()
        self.reaches = {project: Reach() for project in world.events}
        self.ledger = Ledger("timestamp")
        self.ledger.begin(state)

    def run(self) -> None:
        """Read all projects. Raises Killed."""
        windows = in_turns([self._windows(project) for project in self.world.events])
        running: list[Iterator[bool]] = []
        idle = 0
        while True:
            while len(running) < self.workers and (window := next(windows, None)):
                running.append(self._work(*window))
            if not running:
                break
            worker = self.rng.choice(running)
            moved_on = next(worker, None)
            if moved_on is None:
                running.remove(worker)
            idle = 0 if moved_on is not False else idle + 1
            assert idle < 1000, "every worker waits for another"
        self._emit_state()

    def _windows(self, project: str) -> Iterator[tuple[str, datetime, datetime]]:
        plan = Plan(self.start_date, self.end, self.end, self.step, self.world.lookback)
        return ((project, one.start, one.end) for one in lay_out(self.ledger, project, plan))

    def _work(self, project: str, start: datetime, end: datetime) -> Iterator[bool]:
        """Read a window; yields after each thing done, False where it has to wait."""
        if project in self.failed:
            return
        planned = self.ledger.planned(project)
        if planned and project not in self.looked and self.world.skips_history:
            self.looked.add(project)
            first = first_event(
                *planned, partial(self._one_event, project, min), partial(self._one_event, project, max)
            )
            self.ledger.cover(project, planned[0], first, None)
            yield True
        query = Query(project, *self.ledger.unread(project, start, end))
        in_parts = planned is not None and start >= planned[0]  # not in the backfill
        batches = read(query, self.world.ask, self.reaches[project], in_parts=in_parts)
        while True:
            while not self.ledger.may_read_on(project, start, end, self.most):
                yield False
                if project in self.failed:
                    return
            try:
                batch = next(batches, None)
            except (UntrueAnswer, Unreachable, TooSlow):
                self.failed.add(project)
                return
            if batch is None:
                return
            yield True
            for row in batch.rows:
                self._emit(project, row)
                yield True
            if self.ledger.cover(project, batch.start, batch.end, batch.newest, len(batch.rows)):
                yield True
                if self.rng.random() < 0.7:
                    self._emit_state()
            yield True
            if project in self.failed:
                return

    def _one_event(
        self, project: str, pick: Callable[[list[datetime]], datetime], start: datetime, end: datetime
    ) -> datetime | None:
        self.world.step()
        within = [one.at for one in self.world.events[project] if start <= one.at < end]
        return pick(within) if within else None

    # --- what is emitted, and what must hold

    def _emit(self, project: str, row: dict[str, Any]) -> None:
        self.world.step()
        assert row["id"] not in self.ids, f"{row['id']} is emitted twice"
        self.ids.add(row["id"])
        self.world.emitted[project].add(row["id"])
        at = instant(row["timestamp"])
        self.newest[project] = max(at, self.newest.get(project, at))

    def _emit_state(self) -> None:
        self.world.step()
        state = self.ledger.state()
        for project in self.world.events:
            entry, before = state.get(project), self.last.get(project)
            if entry != before:
                self._require_true(project, entry, before)
        assert state.get("timestamp") == self.last.get("timestamp"), "the entry for all projects changed"
        self.last = state

    def _require_true(self, project: str, entry: dict[str, str] | None, before: dict[str, str] | None) -> None:
        assert entry is not None, f"project {project} lost its entry"
        reached, since = instant(entry["timestamp"]), instant(entry["since"])
        known = (before or {}).get("timestamp") or self.last.get("timestamp")
        if known:
            assert reached >= instant(known), f"project {project} moved back from {known} to {reached}"
        moved = known is None or reached > instant(known)
        newest = max(self.newest.get(project, START - 999 * DAY), self.end - SETTLING)
        assert not moved or reached <= newest, f"project {project}: {reached} lies past all that is known"
        for one in self.missing(project, since, reached):
            # What came late, and not before the lookback, is found by the next sync wherever this one is stopped.
            is_found_later = one.arrived and one.at >= reached - self.world.lookback
            assert is_found_later, f"project {project}: [{since}, {reached}) is claimed, but {one} was not emitted"

    def missing(self, project: str, start: datetime, end: datetime) -> Iterator[Happening]:
        """The events of [start, end) that were there when the sync began, and were never emitted."""
        emitted, syncs = self.world.emitted[project], self.world.syncs
        for one in self.world.events[project]:
            if start <= one.at < end and one.arrived < syncs and one.id not in emitted:
                yield one

    def require_all(self) -> None:
        """What must hold at the end of a sync that went well."""
        for project in self.world.events:
            for one in self.missing(project, self.start_date, self.end):
                raise AssertionError(f"project {project}: {one} was never emitted")


def make_world(rng: random.Random) -> World:
    """An account with events of up to 40 days before now."""
    world = World(rng, now=START + rng.choice((1, 5, 40)) * DAY + rng.choice((0, 1, 7)) * HOUR)
    world.is_list = rng.random() < 0.1
    world.cap = rng.choice(LIST_CAPS if world.is_list else TINY_CAPS)
    world.lookback = rng.choice((0, 1, 1, 24, 100)) * HOUR
    world.longest = rng.choice((None, None, None, 9 * DAY, DAY))
    world.skips_history = rng.random() < 0.3
    world.trouble, world.arrivals = rng.choice((0.0, 0.0, 0.01, 0.1)), rng.choice((0.0, 0.0, 0.1))
    for project in map(str, range(1, rng.choice((1, 1, 2, 3, 5)) + 1)):
        world.events[project], world.emitted[project] = [], set()
        length = world.now - START
        for _ in range(rng.choice((0, 1, 2, 4))):
            anchor = rng.choice((START, world.now - US, START + rng.randrange(41) * DAY, START + rng.random() * length))
            width = rng.choice((0 * US, 2 * US, MINUTE, DAY, 40 * DAY))
            pages = rng.choice((0.3, 1, 1.5, 3, 12, 30 if world.cap < 6 else 1))
            for _ in range(int(pages * world.cap) + rng.randrange(3)):
                at = anchor + rng.random() * width * rng.choice((1, -1))
                world.add(project, min(max(at, START - DAY), world.now - US))
    return world


def old_state(world: World) -> dict[str, Any]:
    """A state of an older connector: for one project or all, without `since`. What it covers counts as emitted."""
    rng, state = world.rng, dict[str, Any]()
    if rng.random() < 0.2:
        state["timestamp"] = text(START + rng.random() * (world.now - START))
    for project in world.events:
        if rng.random() < 0.2:
            state[project] = {"timestamp": text(START + rng.random() * (world.now - START))}
        known = state.get(project, state).get("timestamp")
        if known:
            world.emitted[project] |= {one.id for one in world.events[project] if one.at < instant(known)}
    return state


def run(seed: int) -> int:
    """All that `seed` decides. Raises AssertionError where the promise is broken; returns how many syncs there were."""
    rng = random.Random(seed)
    world = make_world(rng)
    state = old_state(world) if rng.random() < 0.3 else {}
    start_date = START + rng.choice((0, 0, 1, 20)) * DAY
    step = rng.choice((DAY, 7 * DAY, 30 * DAY)) if world.now - START < 9 * DAY else rng.choice((5 * DAY, 30 * DAY))
    for _ in range(rng.choice((1, 2, 3))):
        for attempt in range(12):
            world.syncs += 1
            last = attempt == 11
            world.kill_in = None if last else rng.choice((None, rng.randrange(20), rng.randrange(400)))
            trouble, world.trouble = world.trouble, 0.0 if last else world.trouble
            sync = Sync(world, state, start_date, step, rng.choice((1, 2, 4, 10)))
            try:
                sync.run()
                killed = False
            except Killed:
                killed = True
            world.trouble, state = trouble, sync.last
            world.now += rng.choice((SECOND, HOUR, DAY, 3 * DAY))
            if not killed and not sync.failed:
                sync.require_all()
                break
        if rng.random() < 0.6:
            start_date = START + rng.choice((0, 0, 1, 2, 20, 50)) * DAY
        elif rng.random() < 0.4:  # near the state
            start_date = world.now - rng.random() * 5 * DAY
        for project in world.events:
            for _ in range(rng.choice((0, 0, 2))):
                world.add(project, world.now - rng.random() * world.lookback - US)
    return world.syncs


if __name__ == "__main__":
    print(f"seed {sys.argv[1]}: {run(int(sys.argv[1]))} syncs kept the promise")
