"""What is read of each project in this sync, and the state that follows from it.

    ledger = Ledger("timestamp")
    ledger.begin({"7": {"timestamp": "2026-01-05T00:00:00Z", "since": "2026-01-01T00:00:00Z"}})
    ledger.plan("7", start, end, settled)
    ledger.cover("7", batch.start, batch.end, batch.newest, len(batch.rows))
    ledger.state()  # {"7": {"timestamp": ..., "since": ...}}

A project's timestamp is a low watermark: it moves when all that lies before is emitted, in whatever order that happens,
to the newest event there; where there is none, to the end of what was found empty, if that lies a day back. It never
moves back. `since` is where the covered range begins: [since, timestamp) is emitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from source_posthog.events.instants import instant, iso

# An instant with the string that stands for it in a state: the server's own where it is that of an event.
Mark = tuple[datetime, str]


@dataclass
class Span:
    """A range that is emitted, above one that is not yet: where it ends, how far it moves the state, and its rows."""

    end: datetime
    mark: Mark | None
    rows: int


@dataclass
class Track:
    """What is emitted of [start, end) of one project.

    Attributes:
        settled: an empty range moves the state only up to here, since events may still be on their way after it.
        since: where the range that the state covers begins once this track has moved it; None leaves it as it is.
        arrived: at least so late, once this track has moved the state, began the last sync that looked for late events.
        read_to: all of [start, read_to) is emitted.
        mark: how far that moves the state.
        spans: by their starts, what is emitted above `read_to`.
    """

    start: datetime
    end: datetime
    settled: datetime
    since: datetime | None = None
    arrived: datetime | None = None
    read_to: datetime = field(init=False)
    mark: Mark | None = None
    spans: dict[datetime, Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.read_to = self.start

    def cover(self, start: datetime, end: datetime, newest: str | None, rows: int) -> None:
        mark = (instant(newest), newest) if newest else (end, iso(end)) if end <= self.settled else None
        span = Span(end, mark, rows)
        for neighbour in (self.spans.pop(end, None), self.spans.get(start)):
            if neighbour:
                span = Span(max(span.end, neighbour.end), _later(span.mark, neighbour.mark), span.rows + neighbour.rows)
        self.spans[start] = span
        for start in sorted(self.spans):
            if start > self.read_to:
                break
            reached = self.spans.pop(start)
            self.read_to = max(self.read_to, reached.end)
            self.mark = _later(self.mark, reached.mark)

    @property
    def rows_ahead(self) -> int:
        """Rows emitted that the state cannot cover yet."""
        return sum(span.rows for span in self.spans.values())


@dataclass
class Backfill:
    """What is emitted of [start, end), the time between an earlier start_date and the one that the state began from.

    Read from its end downwards, so that `since` can follow. `read_from`: all of [read_from, end) is emitted.
    """

    start: datetime
    end: datetime
    read_from: datetime = field(init=False)
    spans: dict[datetime, datetime] = field(default_factory=dict)  # start by end

    def __post_init__(self) -> None:
        self.read_from = self.end

    def cover(self, start: datetime, end: datetime) -> None:
        self.spans[end] = min(start, self.spans.get(end, start))
        for end in sorted(self.spans, reverse=True):
            if end < self.read_from:
                break
            self.read_from = min(self.read_from, self.spans.pop(end))


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

    def begin(self, state: Mapping[str, Any]) -> None:
        """Take up `state`; what was planned and covered before is forgotten.

        An entry stands for its project; `{"timestamp": ...}`, from before 0.1.8, for every project without an entry.
        Raises ValueError, saying which entry, where a timestamp or `since` is not ISO 8601.
        """
        for project, entry in state.items():
            whose = "for all projects" if project == self._key else f"of project {project}"
            values = {self._key: entry} if project == self._key else entry
            if not isinstance(values, Mapping):
                raise ValueError(whose)
            for name in (self._key, "since", "arrived"):
                try:
                    if values.get(name) is not None:
                        instant(values[name])
                except ValueError:
                    raise ValueError(whose) from None
        self._state = {key: dict(entry) if isinstance(entry, Mapping) else entry for key, entry in state.items()}
        self._tracks, self._backfills, self._late = {}, {}, {}

    def state(self) -> dict[str, Any]:
        """The state as of now; a copy."""
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in self._state.items()}

    @property
    def projects(self) -> list[str]:
        """The projects that have an entry of their own in the state."""
        return [key for key in self._state if key != self._key]

    @property
    def entries(self) -> int:
        """How many entries the state has, and one for the message around it."""
        return len(self._state) + 1

    @property
    def has_entry_without_since(self) -> bool:
        """Whether a project has a timestamp that does not say since when it covers: an earlier version wrote it."""
        return any(isinstance(entry, Mapping) and entry and "since" not in entry for entry in self._state.values())

    def timestamp(self, project: str) -> str | None:
        """How far the state covers `project`; None where it does not."""
        entry = self._state.get(project)
        own = entry.get(self._key) if isinstance(entry, Mapping) else None
        text = own if own is not None else self._state.get(self._key)
        return text if isinstance(text, str) else None

    def since(self, project: str) -> datetime | None:
        """Where the range that the state covers of `project` begins, as far as its entry says."""
        text = self._state.get(project, {}).get("since")
        return instant(text) if text else None

    def arrived(self, project: str) -> datetime | None:
        """When the last sync began that looked for late events of `project`, as far as its entry says."""
        text = self._state.get(project, {}).get("arrived")
        return instant(text) if text else None

    def forget_arrived(self, project: str) -> None:
        """The entry of `project` does not say when the last sync began."""
        del self._state[project]["arrived"]

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
        if start >= end:
            return False
        backfill = self._backfills.get(project)
        if backfill and end <= backfill.end:
            before = backfill.read_from
            backfill.cover(start, end)
            if backfill.read_from == before:
                return False
            self._state[project] = {**self._state[project], "since": iso(backfill.read_from)}
            return True
        track = self._tracks.get(project)
        if track is None:  # a window that was not planned here stands for itself
            track = Track(start, end, settled=end)
        track.cover(start, end, newest, rows)
        known, entry = self.timestamp(project), self._state.get(project, {})
        moves = track.mark is not None and (known is None or track.mark[0] > instant(known))
        if track.mark and moves:
            entry = {**entry, self._key: track.mark[1]}
            if track.arrived:
                entry["arrived"] = iso(max(track.arrived, self.arrived(project) or track.arrived))
        if track.since and (moves or (known is not None and track.since <= instant(known) and entry)):
            entry = {**entry, "since": iso(track.since)}
        if entry == self._state.get(project, {}):
            return False
        self._state[project] = entry
        return True

    def cover_late(self, project: str, start: datetime, end: datetime) -> bool:
        """What arrived late in [start, end) is emitted. Returns whether the state moved."""
        track = self._late.get(project)
        if track is None or track.arrived is None or start >= end:
            return False
        track.cover(start, end, None, 0)
        if track.read_to < track.end:
            return False
        since = {"since": iso(track.since)} if track.since else {}
        entry = self._state.get(project) or {self._key: self.timestamp(project)}
        self._state[project] = {**entry, **since, "arrived": iso(track.arrived)}
        return True

    def planned(self, project: str) -> tuple[datetime, datetime] | None:
        """The range that was planned for `project`, without its backfill; None where there is none."""
        track = self._tracks.get(project)
        return (track.start, track.end) if track else None

    def has_backfill(self, project: str) -> bool:
        """Whether a range before what the state covers was planned for `project` too."""
        return project in self._backfills

    def unread(self, project: str, start: datetime, end: datetime) -> tuple[datetime, datetime]:
        """What is left of [start, end) once what is already emitted at its beginning is taken off."""
        track = self._tracks.get(project)
        if track is None or start < track.start:
            return start, end
        return max(start, min(track.read_to, end)), end

    def may_read_on(self, project: str, start: datetime, end: datetime, most: int) -> bool:
        """Whether the window [start, end) may emit more now, since a stop loses what no state covers.

        The oldest window of a project always may, and the newest of its backfill; a later one may while fewer than
        `most` rows are emitted that no state covers, a further one of the backfill may not.
        """
        backfill = self._backfills.get(project)
        if backfill and end <= backfill.end:
            return end >= backfill.read_from
        track = self._tracks.get(project)
        return track is None or start <= track.read_to or track.rows_ahead < most


def _later(one: Mark | None, other: Mark | None) -> Mark | None:
    return max((mark for mark in (one, other) if mark), key=lambda mark: mark[0], default=None)
