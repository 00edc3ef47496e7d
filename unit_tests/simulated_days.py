"""Days that are read in the order of storage, in simulated syncs: by `streams/mapped.py` itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

from source_posthog.api.once import Switch
from source_posthog.exact.events.half_days import half_day
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.port import Batch, HalfDay, Query
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range
from source_posthog.exact.events.windows import Window
from source_posthog.streams.mapped import MappedReading, MoreThanAPage, one_page
from unit_tests.simulated_world import Happening, Unreachable, World


@dataclass
class Days:
    """What one sync knows of the days of a world, and how it reads them; in place of its slicer, transport and lanes.

    Attributes:
        halves: per project, the days that were read in part when the sync began.
    """

    world: World
    ledger: Ledger
    present: datetime
    reaches: Mapping[str, Reach]
    order_refused: Switch = field(default_factory=Switch)
    counted: dict[tuple[str, bool], Mapping[date, int] | None] = field(default_factory=dict)
    halves: dict[str, list[HalfDay]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lookback = self.world.lookback
        self.rows_in_hand = 60_000
        self.sizes = SimpleNamespace(of=lambda _: SimpleNamespace(usual=self.world.cap, limit=self.world.cap))
        self.halves = {project: self.half_days(project) for project in self.world.events}

    def half_days(self, project: str) -> list[HalfDay]:
        return self.ledger.half_days(project, self.present)

    def begun(self) -> Iterator[Happening]:
        """The events that those days say are emitted."""
        pairs = ((project, half) for project, halves in self.halves.items() for half in halves)
        return (one for project, half in pairs for one in self.world.within(project, half))

    def is_next(self, *_: object) -> bool:
        """Nothing is asked for ahead: there are no threads."""
        return False

    def read(self, query: Query, window: Window) -> Iterator[Batch]:
        """The batches of `query`, as `streams/events.py` has them read where events can be counted."""
        project = str(query.project_id)
        backfill, reach = self.ledger.backfill(project), self.reaches[project]
        planned, is_backfill = self.ledger.planned(project), False
        if backfill and window.end <= backfill[1]:
            planned, is_backfill = backfill, True
        key = project, is_backfill
        if planned and key not in self.counted:
            try:
                if self.world.rng.random() < 0.5:
                    yield from read_range(query, one_page(self.world.ask), reach, in_parts=False)
                    return
            except MoreThanAPage as more:
                query = replace(query, end=more.end)
            try:
                self.counted[key] = self.world.days(Query(project, *planned))
            except Unreachable:
                self.counted[key] = None
        if (days := self.counted.get(key)) is None:
            yield from read_range(query, self.world.ask, reach, in_parts=not is_backfill)
            return
        here: Any = self
        lane: Any = SimpleNamespace(reach=reach, late_reach=Reach())
        reading = MappedReading(
            *("events", project, here, here, lane, self.world.ask, self.world.ask, self.world.count, days),
            order_refused=self.order_refused,
        )
        for batch in reading.read(query, backwards=is_backfill):
            if not self.world.refuses:
                self._require_not_again(project, batch)
            yield batch

    def _require_not_again(self, project: str, batch: Batch) -> None:
        """No row of `batch` is of a part that the sync before has read, but for what may have arrived since."""
        ids = {row["id"] for row in batch.rows}
        for half in self.halves[project]:
            for one in self.world.within(project, half) if not self.order_refused else ():
                again = one.id in ids and one.arrived < half.began - self.lookback
                assert not again, f"project {project}: {one} is emitted again, though {half} says that it was"


def require_read(world: World, project: str, entry: Mapping[str, Any]) -> None:
    """What an entry of the state says of days that are read in part is true, but for what is looked for when it is gone
    on with one."""
    for half in (half_day(entry), half_day(entry.get("before", {}))):
        for one in world.within(project, half) if half else ():
            is_found = half is None or one.id in world.emitted[project] or one.arrived >= half.began - world.lookback
            assert is_found, f"project {project}: {half} claims {one}, which was not emitted"


def without_day(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in entry.items() if name != "day"}
