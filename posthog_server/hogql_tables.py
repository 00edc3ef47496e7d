"""The tables that HogQL finds in each project, made from what the account holds."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from posthog_server.clickhouse import ClickHouse, Table

from .data import Event, Project
from .extra.tables import CAMPAIGN, PLACES, sessions_of
from .values import Row, encode, isoformat

Rows = list[list[Any]]

COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "uuid": "UUID",
        "event": "String",
        "properties": "String",
        "timestamp": "DateTime64(6, 'UTC')",
        "distinct_id": "String",
        "elements_chain": "String",
        "created_at": "DateTime64(6, 'UTC')",
        "person_id": "UUID",
        "person_mode": "String",
        "$session_id": "Nullable(String)",
        "person.id": "UUID",
        "person.created_at": "DateTime64(3, 'UTC')",
        "person.properties": "String",
        "person.is_identified": "Int8",
        "pdi.person_id": "UUID",
        "pdi.distinct_id": "String",
        "pdi.has_person": "Bool",
    },
    "persons": {
        "id": "UUID",
        "created_at": "DateTime64(3, 'UTC')",
        "properties": "String",
        "is_identified": "Int8",
    },
    "sessions": {
        "session_id": "String",
        "distinct_id": "String",
        "$start_timestamp": "DateTime64(6, 'UTC')",
        "$end_timestamp": "DateTime64(6, 'UTC')",
        "max_inserted_at": "DateTime64(6, 'UTC')",
        "$session_duration": "Int64",
        "$pageview_count": "UInt64",
        "$autocapture_count": "UInt64",
        "$screen_count": "UInt64",
        **dict.fromkeys(
            (
                *(f"${which}_{name}" for which in ("entry", "end") for name in PLACES),
                *(f"$entry_{name}" for name in CAMPAIGN),
                *("$entry_referring_domain", "$channel_type", "$last_external_click_url"),
            ),
            "Nullable(String)",
        ),
    },
    "groups": {
        "index": "UInt8",
        "key": "String",
        "created_at": "DateTime64(3, 'UTC')",
        "updated_at": "DateTime64(3, 'UTC')",
        "properties": "String",
    },
    "cohort_people": {"person_id": "UUID", "cohort_id": "Int64"},
    "static_cohort_people": {"person_id": "UUID", "cohort_id": "Int64"},
    "system.error_tracking_issues": {
        "id": "UUID",
        "team_id": "Int32",
        "status": "String",
        "name": "Nullable(String)",
        "description": "Nullable(String)",
        "created_at": "DateTime64(6, 'UTC')",
    },
}


@dataclass
class ProjectTables:
    """The tables of an account in `clickhouse`; a test's own come before those that are made here."""

    clickhouse: ClickHouse
    _made: dict[tuple[int, str], tuple[Rows, Table]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, project: Project, name: str, now: int) -> Table | None:
        """The table `name` as of `now` (microseconds)."""
        with self._lock:  # else one of two queries at once would take what the other made for a test's own
            there = self.clickhouse.get(project.id, name)
            rows, made = self._made.get((project.id, name), (None, None))
            if name not in _ROWS or there is not made:
                return there
            current = _ROWS[name](project, now)
            if made is None or current != rows:
                made = self.clickhouse.table(project.id, name, COLUMNS[name], current)
                self._made[project.id, name] = current, made
            return made


def _events(project: Project, now: int) -> Rows:
    people = project.people
    return [
        [
            event.id,
            event.event,
            _json(event.properties),
            isoformat(event.at),
            event.distinct_id,
            event.elements_chain,
            isoformat(event.created_at),
            people.id_of(event.distinct_id),
            "full",
            event.properties.get("$session_id"),
            *_person(people.of(event.distinct_id) or {"id": people.id_of(event.distinct_id)}),
            people.id_of(event.distinct_id),
            event.distinct_id,
            people.of(event.distinct_id) is not None,
        ]
        for event in _visible(project, now)
        for _ in range(1 + event.unmerged)
    ]


def _persons(project: Project, now: int) -> Rows:
    return [_person(person) for person in list(project.persons)]


def _person(person: Row) -> list[Any]:
    return [
        person["id"],
        person.get("created_at") or 0,
        _json(person.get("properties") or {}),
        int(bool(person.get("is_identified"))),
    ]


def _sessions(project: Project, now: int) -> Rows:
    rows = [*project.extra.get("sessions", []), *sessions_of(_visible(project, now))]
    return [[row[name.removeprefix("$")] for name in COLUMNS["sessions"]] for row in rows]


def _groups(project: Project, now: int) -> Rows:
    return [
        [row["index"], row["key"], row["created_at"], row["updated_at"], _json(row.get("properties") or {})]
        for row in list(project.extra.get("groups", []))
    ]


def _cohort_people(project: Project, now: int) -> Rows:
    """The members of cohorts that are computed. Each comes once."""
    return _members(project, is_static=False)


def _static_cohort_people(project: Project, now: int) -> Rows:
    """The members of cohorts that were put in by hand. One who was put in twice comes twice."""
    return _members(project, is_static=True)


def _members(project: Project, *, is_static: bool) -> Rows:
    rows = list(project.extra.get("cohort_members", []))
    return [[row["person_id"], row["cohort_id"]] for row in rows if row.get("is_static", False) == is_static]


def _error_tracking_issues(project: Project, now: int) -> Rows:
    return [
        [row["id"], project.id, *(row.get(name) for name in ("status", "name", "description", "created_at"))]
        for row in list(project.extra.get("error_tracking_issues", []))
    ]


def _visible(project: Project, now: int) -> Iterable[Event]:
    kept_after = project.kept_after(now)
    return (event for event in project.events if event.visible_at <= now and event.at > kept_after)


def _json(properties: Row) -> str:
    return encode(properties).decode()


_ROWS: dict[str, Callable[[Project, int], Rows]] = {
    "events": _events,
    "persons": _persons,
    "sessions": _sessions,
    "groups": _groups,
    "cohort_people": _cohort_people,
    "static_cohort_people": _static_cohort_people,
    "system.error_tracking_issues": _error_tracking_issues,
}
