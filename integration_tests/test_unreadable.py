"""Records that cannot be read, or not be emitted: told, and in the way of no other."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from integration_tests.harness import in_process
from integration_tests.harness.connector import QUERY, Output, Way, expected_keys
from integration_tests.harness.in_process import now_is, unread_states
from posthog_server import (
    DAY,
    SECOND,
    Account,
    Fault,
    PostHog,
    Reply,
    account_with,
    event,
    make_events,
    make_rows,
    microseconds,
    rewrite,
    truncated,
)

START = microseconds("2026-10-01T00:00:00Z")
NOW = START + 60 * DAY
DEEP = '{"a":' * 900 + "1" + "}" * 900
ENDLESS = '{"a":[' * 20_000 + '"}]"' + "]}" * 20_000

# The properties of an event as they are stored, and as they are emitted.
READ = {
    "encoded twice": (json.dumps('{"a": 12345678901234567890123}'), {"a": 12345678901234567890123}),
    "encoded thrice": (json.dumps(json.dumps('{"a": [1]}')), {"a": [1]}),
    "BOM": ('\ufeff{"a": "ü"}', {"a": "ü"}),
}
UNREAD = {
    "empty": "",
    "null": "null",
    "list": "[]",
    "number": "3",
    "cut off": '{"a": 1, "b',
    "no JSON": "NaN, {",
    "900 levels": DEEP,
    "endless": ENDLESS,
}


@dataclass
class Spoiled:
    """An account whose PostHog shows something else than it has in some rows.

    Attributes:
        properties: by the id of an event, its properties as they are stored.
        elements: by the id of an event or of a cohort, JSON in place of what is no text in its row.
    """

    account: Account
    properties: dict[str, str] = field(default_factory=dict)
    elements: dict[Any, str] = field(default_factory=dict)

    def posthog(self, **options: Any) -> PostHog:
        made = PostHog(self.account, **{"cap": 100, "query_cap": 100, **options})
        for stream in ("events", "query", "cohorts"):
            made.faults.add(Fault(stream=stream, times=None, **rewrite(self._spoil)))
        return made

    def _spoil(self, body: Any) -> bytes:
        """The answer `body` with the JSON put in: it may be nested more deeply than could be encoded."""
        put: dict[str, str] = {}
        for row in body["results"]:
            id, columns = (row["id"], row) if isinstance(row, dict) else (row[0], _Columns(row))
            is_query = not isinstance(row, dict)
            if id in self.properties:
                stored = self.properties[id]
                put[f"@properties {id}@"] = json.dumps(stored) if is_query else _listed(stored)
                columns["properties"] = f"@properties {id}@"
            if id in self.elements:
                put[f"@elements {id}@"] = self.elements[id]
                columns["person" if is_query else "elements" if "event" in row else "filters"] = f"@elements {id}@"
        text = json.dumps(body)
        for place, spoiled in put.items():
            text = text.replace(json.dumps(place), spoiled)
        return text.encode()


class _Columns:
    def __init__(self, row: list[Any]) -> None:
        self._row = row

    def __setitem__(self, name: str, value: str) -> None:
        self._row[{"properties": 3, "person": 6}[name]] = value


def _listed(stored: str) -> str:
    """How the events list shows properties that are stored so: as what they are in JSON, else as a string."""
    if stored in (DEEP, ENDLESS):
        return stored
    try:
        return json.dumps(json.loads(stored))
    except ValueError:
        return json.dumps(stored)


def some(projects: tuple[int, ...] = (7, 8)) -> Account:
    rng = random.Random(4)
    return account_with(
        {project: make_events(350, rng, start=START, span=50 * DAY, project=project) for project in projects}
    )


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z")


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with now_is(NOW):
        yield


def warnings(output: Output, level: str = "WARN") -> list[str]:
    told = (log["message"] for log in output.of("LOG") if log["level"] == level)
    return [line for line in told if line.startswith("Stream")]


def timestamps(output: Output) -> dict[str, str]:
    return {project: entry["timestamp"] for project, entry in output.states[-1].items()}


# --- properties that cannot be read


@pytest.mark.matrix
@pytest.mark.parametrize(("stored", "properties"), READ.values(), ids=READ)
def test_properties_that_are_an_object_in_another_form_are_read_exactly(
    way: Way, stored: str, properties: Mapping[str, Any]
) -> None:
    made = some()
    odd = list(made.projects[7].events)[200].id
    output = read(Spoiled(made, {odd: stored}).posthog(), "events")
    assert (output.status, output.keys("events")) == (0, expected_keys(made)["events"])
    (record,) = [row for row in output.records("events") if row["id"] == odd]
    assert (record["properties"], "_unreadable" in record) == (properties, False)
    assert warnings(output) == []


@pytest.mark.matrix
@pytest.mark.parametrize("stored", UNREAD.values(), ids=UNREAD)
def test_an_event_whose_properties_cannot_be_read_is_emitted_with_their_text(way: Way, stored: str) -> None:
    made = some()
    odd = [one.id for one in list(made.projects[7].events)[::70]]
    posthog = Spoiled(made, dict.fromkeys(odd, stored)).posthog()
    output = read(posthog, "events")
    assert (output.status, output.errors) == (0, [])
    assert output.keys("events") == expected_keys(made)["events"]
    for record in output.records("events"):
        if record["id"] in odd:
            assert "properties" not in record, "the CDK drops nulls"
            assert record["_unreadable"] == stored
            assert (record["project_id"], bool(record["distinct_id"])) == (7, True)
        else:
            assert "properties" in record
            assert "_unreadable" not in record
    (warning,) = warnings(output)
    assert warning.startswith(f"Stream events: the properties of {len(odd)} events are not a JSON object.")
    assert any(f"event {one} of project 7" in warning for one in odd)
    again = read(posthog, "events", state=output.state)
    assert (again.status, timestamps(again)) == (0, timestamps(output))


@pytest.mark.parametrize("stored", [None, [], "", {"a": 1}], ids=["null", "a list", "empty", "an object"])
def test_both_ways_emit_the_same_whatever_stands_for_properties(way: Way, stored: Any) -> None:
    made = account_with({7: [event(START + DAY, "e1"), event(START + 2 * DAY, "e2")]})
    posthog = PostHog(made)

    def spoil(body: Any) -> Any:
        for row in body["results"]:
            if isinstance(row, dict):
                row["properties"] = stored
            else:
                row[3] = stored
        return body

    posthog.faults.add(Fault(stream=way.stream, times=None, **rewrite(spoil)))
    output = read(posthog, "events")
    assert (output.status, output.ids("events")) == (0, ["e1", "e2"])
    shown = {(json.dumps(row.get("properties")), row.get("_unreadable")) for row in output.records("events")}
    text = stored if isinstance(stored, str) else json.dumps(stored)
    assert shown == {(text, None) if isinstance(stored, dict) else ("null", text)}


@pytest.mark.parametrize("stored", [UNREAD["cut off"], DEEP], ids=["cut off", "deep"])
def test_a_page_that_is_cut_off_is_no_event_that_cannot_be_read(
    way: Way, stored: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows before the cut could be read, and the one in it would look like an event without an end."""
    made = some()
    odd = [one.id for one in list(made.projects[7].events)[::10]]
    posthog = Spoiled(made, dict.fromkeys(odd, stored)).posthog()
    whole = posthog.handle

    def torn(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        reply = whole(method, path, query, headers, body)
        if "/7/" in path and len(cut) < 3:
            cut.append(path)
            reply.body = reply.body[: len(reply.body) * len(cut) // 4]
        return reply

    cut: list[str] = []
    monkeypatch.setattr(posthog, "handle", torn)
    output = read(posthog, "events", events_time_step=91)
    assert (output.status, output.keys("events")) == (0, expected_keys(made)["events"])
    assert {row["id"] for row in output.records("events") if "_unreadable" in row} == set(odd)
    assert len(waits) == len(cut) == 3


# --- records that cannot be emitted


@pytest.fixture(params=[DEEP, ENDLESS], ids=["900 levels", "endless"])
def deep(request: pytest.FixtureRequest) -> Iterator[str]:
    return request.param  # type: ignore[no-any-return]


def test_an_event_that_cannot_be_emitted_is_named_and_fails_the_stream_when_all_others_are_read(
    way: Way, deep: str
) -> None:
    made = some()
    odd = [one.id for one in list(made.projects[7].events)[::100]]
    person = '{"uuid": "p1", "distinct_id": "d1", "properties": ' + deep + "}"
    spoiled = Spoiled(made, elements=dict.fromkeys(odd, person if way is QUERY else f"[{deep}]"))
    output = read(spoiled.posthog(), "events")
    assert (output.status, output.stream_status("events")) == (1, "INCOMPLETE")
    assert output.keys("events") == [key for key in expected_keys(made)["events"] if key[1] not in odd]
    named = [line for line in warnings(output, "ERROR") if "was not emitted" in line]
    assert sorted(line.split(" record ")[1].split()[0] for line in named) == sorted(odd)
    assert all(line.startswith("Stream events, project 7, window 2026-1") for line in named)
    (closing,) = [line for line in output.logs if line.startswith("Stream events: 696 records")]
    assert closing.endswith(f", {len(odd)} records not emitted")
    assert any(
        "records were not emitted, since they are nested more than 800 levels deep" in one for one in output.errors
    )


def test_no_state_is_held_back_by_what_cannot_be_emitted_and_none_runs_ahead_of_its_name(way: Way) -> None:
    made = some()
    odd = list(made.projects[7].events)[100]
    deep = '{"uuid": "p1", "properties": ' + DEEP + "}" if way is QUERY else DEEP
    spoiled, sound = Spoiled(made, elements={odd.id: deep}), read(PostHog(made, cap=100, query_cap=100), "events")
    posthog = spoiled.posthog()
    output = read(posthog, "events")
    assert timestamps(output) == timestamps(sound)
    covered = False
    for message in output.messages:
        if message["type"] == "STATE":
            entry = message["state"]["stream"]["stream_state"].get("7", {})
            covered = covered or microseconds(entry.get("timestamp", "2026-10-01T00:00:00Z")) > odd.at
        elif message["type"] == "LOG" and f"the record {odd.id} " in message["log"]["message"]:
            assert not covered, "a stop after that state would have hidden it"
    due = {7: [one for one in made.projects[7].events if one is not odd], 8: list(made.projects[8].events)}
    assert unread_states(output.messages, due, {}) == []
    assert read(posthog, "events", state=output.state).status == 0


def test_ties_that_cannot_be_read_or_emitted_hide_no_others(way: Way) -> None:
    """More of them at one instant than a page holds, so that they are split by their ids."""
    tied = [event(START + 5 * DAY) for _ in range(230)]
    made = account_with({7: [*tied, *(event(START + place * SECOND) for place in range(150))]})
    odd, unemitted = [one.id for one in tied[::9]], {one.id for one in tied[1::60]}
    deep = '{"uuid": "p1", "properties": ' + DEEP + "}" if way is QUERY else DEEP
    output = read(Spoiled(made, dict.fromkeys(odd, "["), dict.fromkeys(unemitted, deep)).posthog(), "events")
    assert output.keys("events") == [key for key in expected_keys(made)["events"] if key[1] not in unemitted]
    assert {row["id"] for row in output.records("events") if "_unreadable" in row} == set(odd) - unemitted
    assert output.status == 1


def test_a_row_of_a_list_that_cannot_be_emitted_is_named_and_all_others_are_read(deep: str) -> None:
    rng = random.Random(3)
    made = account_with(
        {7: [], 8: []}, cohorts={project: make_rows("cohorts", 230, rng, project) for project in (7, 8)}
    )
    odd = made.projects[7].cohorts[150]["id"]
    output = read(Spoiled(made, elements={odd: deep}).posthog(), "cohorts", "projects")
    assert (output.status, output.stream_status("cohorts")) == (1, "INCOMPLETE")
    assert output.keys("cohorts") == [key for key in expected_keys(made)["cohorts"] if key[1] != odd]
    (named,) = [line for line in warnings(output, "ERROR") if "was not emitted" in line]
    assert named.startswith(f"Stream cohorts, project 7: the record {odd} is nested more than 800 levels deep")
    assert any(one.startswith("Stream cohorts, project 7: 1 records were not emitted") for one in output.errors)
    assert any(
        line.startswith("Stream cohorts: 459 records") and "1 records not emitted" in line for line in output.logs
    )


def test_a_list_that_is_cut_off_behind_a_row_that_is_too_deep_is_asked_for_again(waits: list[float]) -> None:
    made = account_with({7: []}, cohorts=make_rows("cohorts", 30, random.Random(3)))
    posthog = PostHog(made)
    torn = posthog.faults.add(Fault(stream="cohorts", times=2, **truncated()))
    posthog.faults.add(
        Fault(stream="cohorts", **rewrite(lambda body: json.dumps(body).encode()[:-1].replace(b"null", DEEP.encode())))
    )
    output = read(posthog, "cohorts")
    assert (output.status, output.keys("cohorts")) == (0, expected_keys(made)["cohorts"])
    assert (torn.used, len(waits)) == (2, 3)
