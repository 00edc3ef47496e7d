"""One sync of a simulated world, and what must hold at each thing that it does: see `simulation.py`."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from source_posthog.exact.errors import Unanswered, UntrueAnswer
from source_posthog.exact.events.late import Emitted
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.port import Batch, Query
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range
from source_posthog.exact.events.windows import SETTLING, Plan, Window, first_event, in_turns, lay_out
from source_posthog.exact.instants import instant, iso
from unit_tests.exact.events.support import DAY, HOUR, SECOND, START, US
from unit_tests.simulated_days import Days, require_read, without_day
from unit_tests.simulated_world import FilterRefused, Happening, Known, Unreachable, World, in_use


class Sync:
    """One sync of `world` from `state`: the engine, and what it emits.

    Attributes:
        beyond: per project, and whether it is of the range before its own, the ids of events that arrived later than
            the horizon; shared by all syncs of a run.
        ahead: per project, the instants of events emitted when there was an older window, which are not covered.
        after_good: the sync before ended well, and read all that any sync has emitted after its state.
    """

    def __init__(
        self,
        world: World,
        state: dict[str, Any],
        start_date: datetime,
        step: timedelta,
        workers: int,
        beyond: dict[tuple[str, bool], set[str]],
        after_good: bool = False,
    ) -> None:
        self.world, self.rng = world, world.rng
        self.start_date, self.step, self.began = start_date, step, world.now
        self.present = world.now - world.rng.choice((0 * US, 0 * US, 0 * US, SECOND, HOUR, 2 * DAY))  # by our clock
        self.end = self.present - world.rng.choice((*9 * (0 * DAY,), 20 * DAY)) * world.rng.random()  # an end_date
        self.horizon = world.rng.choice((0, 5, 30, 30)) * DAY
        self.workers, self.most = workers, world.rng.choice((3, 20, 1000))
        self.first, self.last = deepcopy(state), deepcopy(state)
        self.after_good = after_good
        self.ids: set[str] = set()
        self.newest: dict[str, datetime] = {}  # of what is emitted, also by the syncs that left a day half read
        self.failed: set[str] = set()
        self.looked: set[str] = set()
        self.filter_refused = False
        self.ahead: dict[str, list[datetime]] = {project: [] for project in world.events}
        world.presents.append(self.present)
        self.reaches = {project: Reach() for project in world.events}
        self.ledger = Ledger("timestamp")
        self.ledger.begin(state)
        world.refuses_order = self.rng.random() < 0.1
        self.days = Days(world, self.ledger, self.present, self.reaches) if world.counts else None
        for project, halves in self.days.halves.items() if self.days else ():
            if texts := [half.newest for half in halves if half.newest]:
                self.newest[project] = max(map(instant, texts))
        self.known = {project: self._known(state, project) for project in world.events}
        self.before = {project: set(emitted) for project, emitted in world.emitted.items()}
        self.beyond = beyond
        if self.days and not self.horizon:  # which leaves `arrived` when it ends a day that others have begun
            world.emitted_in.update((one.id, None) for one in self.days.begun())
        for project in world.events:
            self._find_what_is_beyond(project)

    @property
    def leaves_a_gap(self) -> bool:
        """Whether start_date lies after a state, so that what is between is not read."""
        return any(known.reached is not None and self.start_date > known.reached for known in self.known.values())

    def _known(self, state: dict[str, Any], project: str) -> Known:
        """What `state` says of what this sync reads."""
        entry, text, _ = in_use(state, project, self.end)
        if "arrived" in entry and instant(entry["arrived"]) > self.present:
            self.world.forgot.add(project)
            entry = {name: value for name, value in entry.items() if name != "arrived"}
        known = Known.of(entry, text, self.start_date, self.world.lookback)
        return replace(known, forgot=project in self.world.forgot)

    def _beyond(self, project: str) -> set[str]:
        return self.beyond.setdefault((project, in_use(self.first, project, self.end)[2]), set())

    def _find_what_is_beyond(self, project: str) -> None:
        """What this sync could see, and what the state covers, but where it does not look for late events any more."""
        known = self.known[project]
        beyond = self._beyond(project)
        if known.reached is None or self.start_date > known.reached:
            return  # it is covered no more once the entry changes, which may be never
        covered = list(self.world.not_emitted(project, known.since, known.reached))
        beyond &= {one.id for one in covered}
        horizon = known.reached - (self.world.lookback if self.world.refuses else self.horizon or self.world.lookback)
        beyond |= {one.id for one in covered if one.at < horizon and one.visible <= self.began}

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

    def _windows(self, project: str) -> Iterator[tuple[str, Window]]:
        plan = Plan(self.start_date, self.end, self.present, self.step, self.world.lookback, self.horizon)
        return ((project, one) for one in lay_out(self.ledger, project, plan))

    def _work(self, project: str, window: Window) -> Iterator[bool]:
        """Read a window; yields after each thing done, False where it has to wait."""
        if project in self.failed:
            return
        planned = self.ledger.planned(project)
        is_late = window.arrived_from is not None
        if planned and not is_late and project not in self.looked and self.world.skips_history:
            self.looked.add(project)
            first = first_event(*planned, *(partial(self._one_event, project, pick) for pick in (min, max)))
            if self.days:  # counted by days
                first = max(planned[0], first.replace(hour=0, minute=0, second=0, microsecond=0))
            self.ledger.cover(project, planned[0], first, None)
            yield True
        bounds = (window.start, window.end) if is_late else self.ledger.unread(project, window.start, window.end)
        query = Query(project, *bounds, arrived_from=window.arrived_from)
        in_parts = not is_late and planned is not None and window.start >= planned[0]  # not in the backfill
        if is_late:
            batches = self._late(query)
        elif self.days:
            batches = self.days.read(query, window)
        else:
            batches = read_range(query, self.world.ask, self.reaches[project], in_parts=in_parts)
        turn = project, window.start, window.end
        while True:
            while not is_late and not self.ledger.may_read_on(*turn, self.world.cap, self.most):
                yield False
                if project in self.failed:
                    return
            is_ahead = in_parts and not self.ledger.may_read_on(*turn, self.world.cap, 0)
            if not is_late:
                self.ledger.expect(project, window.start, self.world.cap)
                yield True
                if project in self.failed:
                    return
            try:
                batch = next(batches, None)
            except (UntrueAnswer, Unreachable, Unanswered):
                self.failed.add(project)
                return
            if batch is None:
                self.ledger.leave_late(project) if is_late else self.ledger.expect(project, window.start, 0)
                return
            yield True
            for row in batch.rows:
                self._emit(project, row, is_late)
                if is_ahead:
                    self._emit_ahead(project, instant(row["timestamp"]))
                yield True
            if is_late:
                moved = not self.filter_refused and self.ledger.cover_late(project, batch.start, batch.end)
            elif batch.half:
                moved = self.ledger.cover_in_part(project, batch.half, len(batch.rows))
                self.ledger.expect(project, window.start, 0)
            else:
                moved = self.ledger.cover(project, batch.start, batch.end, batch.newest, len(batch.rows))
                self.ledger.expect(project, window.start, 0)
            if moved:
                yield True
                if self.rng.random() < 0.7:
                    self._emit_state()
            yield True
            if project in self.failed:
                return

    def _late(self, query: Query) -> Iterator[Batch]:
        """What arrived late; where the server cannot tell, all of the lookback again."""
        emitted, reach = Emitted(query.end), self.reaches[query.project_id]
        if not self.filter_refused:
            try:
                for batch in read_range(query, self.world.ask, reach, in_parts=False):
                    emitted.add(batch)
                    yield batch
                return
            except FilterRefused:
                self.filter_refused = True
        query = replace(query, start=max(query.start, query.end - self.world.lookback), end=emitted.down_to)
        for batch in read_range(replace(query, arrived_from=None), self.world.ask, reach, in_parts=False):
            emitted.take_from(batch)
            yield batch

    def _one_event(
        self, project: str, pick: Callable[[list[datetime]], datetime], start: datetime, end: datetime
    ) -> datetime | None:
        self.world.step()
        visible = [one for one in self.world.events[project] if one.visible <= self.world.now]
        within = [one.at for one in visible if start <= one.at < end]
        return pick(within) if within else None

    # --- what is emitted, and what must hold

    def _emit(self, project: str, row: dict[str, Any], is_late: bool) -> None:
        self.world.step()
        assert row["id"] not in self.ids, f"{row['id']} is emitted twice"
        self.ids.add(row["id"])
        self.world.emitted[project].add(row["id"])
        at = instant(row["timestamp"])
        assert self.start_date <= at < self.end, f"{row} lies before start_date, or not before end_date"
        if row["id"] in self.before[project]:
            (one,) = (one for one in self.world.events[project] if one.id == row["id"])
            assert self._may_repeat(self.known[project], one), f"project {project}: {one} is emitted again"
        if not is_late:
            self.newest[project] = max(at, self.newest.get(project, at))
        counts = self.horizon and not is_late and not self.world.refuses
        self.world.emitted_in[row["id"]] = len(self.world.presents) - 1 if counts else None

    def _emit_ahead(self, project: str, at: datetime) -> None:
        planned = self.ledger.planned(project)
        assert planned is not None
        read_to, _ = self.ledger.unread(project, *planned)
        ahead = self.ahead[project] = [*(one for one in self.ahead[project] if one >= read_to), at]
        most = self.most + self.world.most_ties(project)
        assert len(ahead) <= most, f"project {project}: {len(ahead)} rows are ahead of the state"

    def _may_repeat(self, known: Known, one: Happening) -> bool:
        if known.reached is None or one.at < known.since:
            return True
        if one.at >= known.reached:
            return one.at == known.reached or not self.after_good or self.start_date > known.reached
        looked_back = min(known.reached, self.end) - self.world.lookback
        if (not self.horizon or self.world.refuses) and one.at >= looked_back:
            return True
        emitted_in = None if known.forgot else self.world.emitted_in.get(one.id)
        if emitted_in is not None and one.arrived < min(self.world.presents[emitted_in:]) - self.world.lookback:
            return False
        return bool(self.horizon) and one.arrived >= known.seen_from

    def _emit_state(self) -> None:
        self.world.step()
        state = self.ledger.state()
        for project in self.world.events:
            entry, before = state.get(project), self.last.get(project)
            if entry != before:
                assert entry is not None, f"project {project} lost its entry"
                require_read(self.world, project, entry)
                if entry == {name: value for name, value in (before or {}).items() if name != "before"}:
                    continue  # a range before its own that is of no use to this sync is dropped
                self._require_true(project, self._known(state, project), self._known(self.last, project))
                self._require_other_kept(entry, before or {}, in_use(self.first, project, self.end)[2])
        assert state.get("timestamp") == self.last.get("timestamp"), "the entry for all projects changed"
        self.last = state

    def _require_true(self, project: str, entry: Known, before: Known) -> None:
        reached = entry.reached
        assert reached is not None, f"project {project} has no timestamp"
        known = before.reached
        assert known is None or reached >= known, f"project {project} moved back from {known} to {reached}"
        newest = max(self.newest.get(project, START - 999 * DAY), min(self.end, self.present - SETTLING))
        assert reached == known or reached <= newest, f"project {project}: {reached} lies past all that is known"
        for one in self.world.not_emitted(project, entry.since, reached):
            # What arrived later than this is looked for by the next sync wherever this one is stopped.
            is_found = one.arrived >= entry.seen_from or one.id in self._beyond(project)
            assert is_found, f"project {project}: {entry} claims {one}, which was not emitted"

    def _require_other_kept(self, entry: dict[str, Any], last: dict[str, Any], is_before: bool) -> None:
        """Of the project's own range and the one before it, what this sync does not read is as it was, or forgotten."""
        if is_before:
            assert {**entry, "before": 0} == {**last, "before": 0}, f"{last} became {entry}"
        else:
            before, last_before = (without_day(one.get("before") or {}) for one in (entry, last))
            assert before in ({}, last_before), f"{last} became {entry}"

    def require_all(self) -> None:
        """What must hold at the end of a sync that went well."""
        for project in self.world.events:
            for one in self.world.not_emitted(project, self.start_date, self.end):
                is_due = one.visible <= self.began and one.id not in self._beyond(project)
                assert not is_due, f"project {project}: {one} was never emitted"
            known, reached = self.known[project].reached, self._known(self.last, project).reached
            covers_some = known is not None and max(self.known[project].since, self.start_date) < known <= self.end
            if self.horizon and not self.filter_refused and (covers_some or known != reached):
                entry, first = (in_use(state, project, self.end)[0] for state in (self.last, self.first))
                arrived, before = entry["arrived"], first.get("arrived")
                began = max(self.present, instant(before)) if before else self.present
                assert arrived in (iso(self.present), iso(began)), (
                    f"project {project}: {arrived} is not when the sync began"
                )
