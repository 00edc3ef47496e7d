"""The account that the recorded server was loaded with, for the embedded one."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from posthog_server import Account, Event, EventTable, Project, account, event, isoformat
from posthog_server.data import Key
from posthog_server.extra import EXTRA
from posthog_server.values import Row, microseconds

FOLDER = Path(__file__).parent
DATASET = json.loads((FOLDER / "dataset.json").read_text())
ROWS = json.loads((FOLDER / "rows.json").read_text())
LINES = (FOLDER / "exchanges.jsonl").read_text().rstrip("\n").split("\n")  # other ends of lines are in the data
EXCHANGES: list[dict[str, Any]] = [json.loads(line) for line in LINES]

TIMES = {one["id"]: one["timestamp"] for project in DATASET["projects"] for one in project["events"]}

START, END = microseconds("2023-12-01T00:00:00Z"), microseconds("2024-01-10T00:00:00Z")
# Of 22,500 events the recorded server gave these as the last of a page of 1,000 and of one of 10,000.
PLACES: dict[int, int | str] = {
    0: END - 1,
    999: "2024-01-03T11:38:10.736214Z",
    9999: "2023-12-21T18:40:08.162531Z",
    22_499: START,
}


class RecordedProject(Project):
    """A project with the fields that the recorded server shows."""

    def row(self) -> Row:
        return self._shown("projects")

    def full_row(self) -> Row:
        return self._shown("project")

    def _shown(self, kind: str) -> Row:
        own = {"id": self.id, "api_token": f"phc_{self.id}", "name": self.name, **self.settings}
        return {**ROWS[kind], **own}


def recorded_account() -> Account:
    """The account of `dataset.json`."""
    projects = [_project(one) for one in DATASET["projects"]]
    projects[0].extra = {stream: _extra_rows(stream) for stream in EXTRA}
    return account(*projects, keys=[Key(DATASET["token"])])


def with_many_events() -> Account:
    """22,500 events in project 1, so placed that the pages of 1,000 and of 10,000 end where the recorded ones do."""
    places = {place: at if isinstance(at, int) else microseconds(at) for place, at in PLACES.items()}
    events = []
    for (first, newest), (last, oldest) in zip(list(places.items()), list(places.items())[1:], strict=False):
        events += [
            event(newest - (newest - oldest) * (place - first) // (last - first)) for place in range(first, last)
        ]
    made = recorded_account()
    made.projects[1].events = EventTable([*events, event(START)])
    return made


def _project(given: Row) -> Project:
    return RecordedProject(
        given["id"],
        given["name"],
        events=EventTable(map(_event, given["events"])),
        persons=[_person(row) for row in reversed(given["persons"])],
        cohorts=[_object("cohorts", row, name=row["name"]) for row in given["cohorts"]],
        feature_flags=_last_deleted(
            _object("feature_flags", row, name=f"flag {place}", key=f"flag-{place}")
            for place, row in enumerate(given["feature_flags"])
        ),
        annotations=_last_deleted(
            _object("annotations", row, content=f"note {place}", scope="project" if place else "organization")
            for place, row in enumerate(given["annotations"])
        ),
        insights=_last_deleted(_object("insights", row, name=row["name"]) for row in given["insights"]),
        settings={"timezone": given["timezone"]},
    )


def _extra_rows(stream: str) -> list[Row]:
    """The rows of an extra stream, all of which the recorded server showed in one page."""
    if not EXTRA[stream].path:
        return _table_rows(stream)
    path = f"/api/projects/1/{EXTRA[stream].path}/"
    pages = [one["answer"] for one in EXCHANGES if one["path"] == path and one["status"] == 200]
    rows = pages[0]["results"] if pages else []
    return [{**row, "type": "event"} for row in rows] if stream == "property_definitions" else rows


def _table_rows(stream: str) -> list[Row]:
    """Of an extra stream that is read by SQL, where the table is one that the recorded server has."""
    name = {"groups": "further: groups by SQL", "cohort_members": "further: cohort members by SQL"}.get(stream)
    answer: Row = next((one["answer"] for one in EXCHANGES if one["name"] == name), {"columns": [], "results": []})
    rows = [dict(zip(answer["columns"], row, strict=True)) for row in answer["results"]]
    if stream == "groups":
        at = {"created_at": "2023-12-01T00:00:00Z", "updated_at": "2023-12-01T00:00:00Z"}
        return [{**row, **at, "properties": json.loads(row["properties"])} for row in rows]
    return [{**row, "is_static": True} for row in rows]


def _event(given: Row) -> Event:
    fields = {name: given[name] for name in ("event", "distinct_id", "properties", "created_at", "elements_chain")}
    return event(given["timestamp"], given["id"], **fields)


def _person(given: Row) -> Row:
    own = {**given, "uuid": given["id"], "name": given["properties"]["email"]}
    return {**ROWS["persons"], **own}


def _object(kind: str, given: Row, **own: Any) -> Row:
    """One of a list. The recorded server made them in this order, some milliseconds apart."""
    return {**ROWS[kind], "id": given["id"], "created_at": isoformat(END + given["id"]).replace("+00:00", "Z"), **own}


def _last_deleted(rows: Iterable[Row]) -> list[Row]:
    *shown, last = rows
    return [*shown, {**last, "deleted": True}]
