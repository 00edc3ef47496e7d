"""What is read of each project in this sync, and the state that follows from it.

    ledger = Ledger("timestamp")
    ledger.begin({"7": {"timestamp": "2026-01-05T00:00:00Z", "since": "2026-01-01T00:00:00Z"}})
    ledger.plan("7", start, end, settled)
    ledger.cover("7", batch.start, batch.end, batch.newest, len(batch.rows))
    ledger.state()  # {"7": {"timestamp": ..., "since": ...}}

A project's timestamp is a low watermark: it moves when all that lies before is emitted, in whatever order that happens,
to the newest event there; where there is none, to the end of what was found empty, if that lies a day back. It never
moves back. `since` is where the covered range begins: [since, timestamp) is emitted. A range before it that was read
and does not reach it has an entry of its own inside of the project's, `before`; so has a day before it that is read in
part.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from source_posthog.exact.events.half_days import DAY, half_day, written
from source_posthog.exact.events.port import HalfDay
from source_posthog.exact.events.tracks import Backfill, Track
from source_posthog.exact.instants import instant, iso


class Ledger:
    """The tracks of all projects, and the state. Not safe for threads by itself: its owner has a lock.

    `key`: the cursor field, under which a project's timestamp stands in the state.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._state: dict[str, Any] = {}
        self._tracks: dict[str, Track] = {}
        self._backfills: dict[str, Backfill] = {}
        self._late: dict[str, Track] = {}
        self._before: set[str] = set()  # the projects whose entry in this sync is `before`
        self._others = 0

    def begin(self, state: Mapping[str, Any]) -> None:
        """Take up `state`; what was planned and covered before is forgotten.

        An entry stands for its project; `{"timestamp": ...}`, from before 0.1.8, for every project without an entry.
        Raises ValueError of whose entry is wrong and what in it: an instant that is not ISO 8601, or `day`.
        """
        for project, entry in state.items():
            whose = "for all projects" if project == self._key else f"of project {project}"
            try:
                for text in instants_in({project: entry}, self._key).values():
                    instant(text)
            except ValueError:
                raise ValueError(whose, self._key) from None
            try:
                for one in (entry, entry.get("before") or {}) if project != self._key else ():
                    half_day(one)
            except ValueError:
                raise ValueError(whose, DAY) from None
        self._state = {key: dict(entry) if isinstance(entry, Mapping) else entry for key, entry in state.items()}
        self._tracks, self._backfills, self._late = {}, {}, {}
        self._before, self._others = set(), 0

    def state(self) -> dict[str, Any]:
        """The state as of now; a copy."""
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in self._state.items()}

    @property
    def projects(self) -> list[str]:
        """The projects that have an entry of their own in the state."""
        return [key for key in self._state if key != self._key]

    def read_only(self, projects: Collection[str]) -> None:
        """No others than `projects` are read in this sync, so that the entries of others do not count."""
        self._others = sum(project not in projects for project in self.projects)

    @property
    def entries(self) -> int:
        """How many entries the state has of projects that are read, and one for the message around it."""
        return len(self._state) - self._others + 1

    def rows_to_emit(self, project: str) -> int:
        """How many rows of `project` the state covers that it did not when it was last emitted."""
        return sum(one.rows for one in (self._tracks.get(project), self._backfills.get(project)) if one)

    def emitted(self) -> None:
        """The state as of now is emitted."""
        for track in self._tracks.values():
            track.rows = 0
        for backfill in self._backfills.values():
            backfill.rows = 0

    @property
    def has_entry_without_since(self) -> bool:
        """Whether a project has a timestamp that does not say since when it covers: an earlier version wrote it."""
        return any(isinstance(entry, Mapping) and entry and "since" not in entry for entry in self._state.values())

    def timestamp(self, project: str) -> str | None:
        """How far the state covers `project`; None where it does not."""
        own = self._entry(project).get(self._key)
        text = own if own is not None or project in self._before else self._state.get(self._key)
        return text if isinstance(text, str) else None

    def since(self, project: str) -> datetime | None:
        """Where the range that the state covers of `project` begins, as far as its entry says."""
        text = self._entry(project).get("since")
        return instant(text) if text else None

    def arrived(self, project: str) -> datetime | None:
        """When the last sync began that looked for late events of `project`, as far as its entry says."""
        text = self._entry(project).get("arrived")
        return instant(text) if text else None

    def turn_to(self, project: str, end: datetime) -> None:
        """Have `before` as the entry of `project` in this sync if nothing is read from `end` on and what the project's
        own entry covers begins later than that.

        There is one such range: a new one that does not reach it takes its place. Once `since` has reached it, it is
        part of what the project's own entry covers.
        """
        since, entry = self.since(project), self._entry(project)
        if since is None or self.timestamp(project) is None:
            return
        reached = (entry.get("before") or {}).get(self._key)
        if end < since:
            self._before.add(project)
            begins = self.since(project)
            is_of_use = begins is None or begins <= end
        else:
            is_of_use = reached is not None and instant(reached) < since
        if not is_of_use:
            day = {name: value for name, value in (entry.get("before") or {}).items() if name == DAY}
            self._state[project] = _with_before(entry, day)

    def _entry(self, project: str) -> Mapping[str, Any]:
        """The entry of `project` in this sync, as far as there is one."""
        entry: Mapping[str, Any] = self._state.get(project) or {}
        return entry.get("before") or {} if project in self._before else entry

    def _write(self, project: str, entry: Mapping[str, Any]) -> None:
        self._state[project] = {**self._state[project], "before": entry} if project in self._before else entry

    def _earlier(self, project: str) -> Mapping[str, Any]:
        """What the entry of `project` in this sync says of the time before all that it covers."""
        return self._entry(project).get("before") or {}

    def _write_earlier(self, project: str, before: Mapping[str, Any]) -> None:
        self._write(project, _with_before(self._entry(project), before))

    def forget_arrived(self, project: str) -> None:
        """The entry of `project` does not say when the last sync began."""
        self._write(project, {key: value for key, value in self._entry(project).items() if key != "arrived"})

    def plan(
        self,
        project: str,
        start: datetime,
        end: datetime,
        settled: datetime,
        since: datetime | None = None,
        arrived: datetime | None = None,
    ) -> None:
        """[start, end) of `project` is going to be read; the state moves as it is covered. The rest as in `Track`."""
        self._tracks[project] = Track(start, end, settled, since, arrived)

    def plan_late(
        self, project: str, start: datetime, end: datetime, present: datetime, since: datetime | None = None
    ) -> None:
        """What arrived late in [start, end) is going to be read; `arrived` becomes `present` when that is whole.

        `since` as in `Track`: what is not looked at is not covered any more as of then.
        """
        self._late[project] = Track(start, end, settled=start, since=since, arrived=present)

    def plan_backfill(self, project: str, start: datetime, end: datetime) -> None:
        """[start, end), before what the state covers, is going to be read from its end downwards; `since` follows."""
        self._backfills[project] = Backfill(start, end)

    def cover(self, project: str, start: datetime, end: datetime, newest: str | None, rows: int = 0) -> bool:
        """All events of [start, end) are emitted, `rows` of them just now; the newest of the range is at `newest`.

        Returns whether the state moved.
        """
        track, backfill = self._tracks.get(project), self._backfills.get(project)
        if start >= end:
            if track and start >= track.start:
                track.ties[start] += rows
            return False
        if backfill and end <= backfill.end:
            before = backfill.read_from
            backfill.cover(start, end, rows)
            if backfill.read_from == before:
                return False
            self._write(project, {**self._entry(project), "since": iso(backfill.read_from)})
            if (half := half_day(self._earlier(project))) and backfill.read_from <= half.start:
                self._write_earlier(project, _without_day(self._earlier(project)))
            return True
        if track is None:  # a window that was not planned here stands for itself
            track = Track(start, end, settled=end)
        track.cover(start, end, newest, rows)
        entry = self._moved(project, track)
        if (half := half_day(entry)) and track.read_to >= half.end:
            entry = _without_day(entry)
        if entry == self._entry(project):
            return False
        self._write(project, entry)
        return True

    def _moved(self, project: str, track: Track) -> dict[str, Any]:
        """The entry of `project`, as far as `track` moves it."""
        known, entry = self.timestamp(project), dict(self._entry(project))
        moves = track.mark is not None and (known is None or track.mark[0] > instant(known))
        if track.mark and moves:
            entry[self._key] = track.mark[1]
            if track.arrived:
                entry["arrived"] = iso(max(track.arrived, self.arrived(project) or track.arrived))
        if track.since and (moves or (known is not None and track.since <= instant(known) and entry)):
            entry["since"] = iso(track.since)
        return entry

    def cover_in_part(self, project: str, half: HalfDay, rows: int) -> bool:
        """`half` of a day is emitted, `rows` of it just now.

        Returns whether the state moved: it does not where something before that day, or of the backfill after it, is
        still to be read, nor for what it covers already.
        """
        track, backfill = self._tracks.get(project), self._backfills.get(project)
        if backfill and half.end <= backfill.end:
            return self._cover_backfill_in_part(project, backfill, half, rows)
        if track is None or not track.start <= half.start <= track.read_to:
            if track and half.start >= track.start:
                track.ties[half.start] += rows
            return False
        track.rows += rows
        known = self.timestamp(project)
        is_covered = known is not None and half.end <= instant(known)  # and read again
        is_empty = half.newest is None and half.start > track.settled  # as in `Track`
        if is_covered or is_empty:
            return False
        track.mark = max(track.mark or (half.start, iso(half.start)), (half.start, iso(half.start)))
        # An entry stands for its project: it needs a timestamp also where a state from before 0.1.8 has the same one.
        self._write(project, {self._key: known, **self._moved(project, track), DAY: written(half)})
        return True

    def _cover_backfill_in_part(self, project: str, backfill: Backfill, half: HalfDay, rows: int) -> bool:
        backfill.rows += rows
        if half.end < backfill.read_from or project in self._before:
            return False
        self._write_earlier(project, {**self._earlier(project), DAY: written(half)})
        return True

    def half_days(self, project: str, present: datetime) -> list[HalfDay]:
        """The days of `project` that are read in part: one of what is new, and one of a backfill. Not one that began
        after `present`: the state was edited, or written when a clock was ahead."""
        halves = [half_day(entry) for entry in (self._entry(project), self._earlier(project))]
        return [half for half in halves if half and half.began <= present]

    def cover_late(self, project: str, start: datetime, end: datetime) -> bool:
        """What arrived late in [start, end) is emitted. Returns whether the state moved."""
        track = self._late.get(project)
        if track is None or track.arrived is None or start >= end:
            return False
        track.cover(start, end, None, 0)
        if track.read_to < track.end:
            return False
        since = {"since": iso(track.since)} if track.since else {}
        entry = self._entry(project) or {self._key: self.timestamp(project)}
        self._write(project, {**entry, **since, "arrived": iso(track.arrived)})
        self.leave_late(project)
        return True

    def leave_late(self, project: str) -> None:
        """Nothing more that arrived late is read; `arrived` stays where it is, if that was not all."""
        self._late.pop(project, None)

    def planned(self, project: str) -> tuple[datetime, datetime] | None:
        """The range that was planned for `project`, without its backfill; None where there is none."""
        track = self._tracks.get(project)
        return (track.start, track.end) if track else None

    def backfill(self, project: str) -> tuple[datetime, datetime] | None:
        """The range before what the state covers that was planned for `project` too; None where there is none."""
        backfill = self._backfills.get(project)
        return (backfill.start, backfill.end) if backfill else None

    def unread(self, project: str, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """What is left of [start, end) once what is already emitted at its beginning and at its end is taken off."""
        track = self._tracks.get(project)
        if track is None or start < track.start:
            return start, end
        start = max(start, min(track.read_to, end))
        for begin, span in track.spans.items():
            if begin <= start < span.end:
                start = min(span.end, end)
            if begin < end <= span.end:
                end = max(begin, start)
        return start, end

    def expect(self, project: str, start: datetime, rows: int) -> None:
        """The window that begins at `start` has a page of up to `rows` under way; 0 once that is covered."""
        if track := self._tracks.get(project):
            track.under_way[start] = rows

    def may_read_on(self, project: str, start: datetime, end: datetime, rows: int, most: int) -> bool:
        """Whether the window [start, end) may emit up to `rows` more now, since a stop loses what no state covers.

        None may before what arrived late is read: if the timestamp moved before `arrived` does, all that is new would
        count as late in the next sync. Then the next one always may (`is_next`); a later one of what is new while no
        more than `most` rows are ahead of the state with these; another one of the backfill may not.
        """
        if self.is_next(project, start, end):
            return True
        track, backfill = self._tracks.get(project), self._backfills.get(project)
        is_new = track and project not in self._late and not (backfill and end <= backfill.end)
        return bool(track and is_new and track.rows_ahead(start) + rows <= most)

    def is_next(self, project: str, start: datetime, end: datetime) -> bool:
        """Whether [start, end) is the oldest that is left of what is new, or the newest of the backfill."""
        track, backfill = self._tracks.get(project), self._backfills.get(project)
        if project in self._late:
            return False
        if backfill and end <= backfill.end:
            return end >= backfill.read_from
        return track is None or start <= track.read_to


def _with_before(entry: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """`entry` with another `before`; without one if that is empty."""
    rest = {name: value for name, value in entry.items() if name != "before"}
    return {**rest, "before": before} if before else rest


def _without_day(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != DAY}


def instants_in(state: Mapping[str, Any], key: str) -> dict[tuple[str, ...], Any]:
    """The instants that `state` names, by the names under which they stand there: ("7", "timestamp"), ("timestamp",).

    Raises ValueError where an entry has not the form of one.
    """
    found: dict[tuple[str, ...], Any] = {}
    for project, entry in state.items():
        if project == key:
            found |= {(key,): entry} if entry is not None else {}
            continue
        if not isinstance(entry, Mapping) or not isinstance(before := entry.get("before") or {}, Mapping):
            raise ValueError(f"the entry of {project} is none")
        for path, values in (((project,), entry), ((project, "before"), before)):
            found |= {(*path, name): values[name] for name in (key, "since", "arrived") if values.get(name) is not None}
    return found
