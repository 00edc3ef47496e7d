"""`events_include` and `events_exclude`: only the events with certain names, and what the state says of it."""

import json
from typing import Any

import pytest

from integration_tests.harness.connection import LATER, NOW, START, Connection, connection, late
from integration_tests.harness.connector import LIST, Way, config, run
from integration_tests.harness.in_process import answers_from, now_is, sync
from posthog_server import DAY, SECOND, Event, EventTable, Fault, PostHog, PostHogServer, Project, account, event, html
from posthog_server.traffic import Seen

pytestmark = pytest.mark.usefixtures("way")

NAMES = ["paid", "it's {{ 'odd' }}\\"]
HOUR = 3600 * SECOND


def asks_for(seen: Seen, names: list[str]) -> bool:
    """Whether a question for events, or for their number, is about these names only."""
    text = json.dumps(seen.body) if seen.stream == "query" else seen.query.get("properties", "")
    return text.count("event in (") == 1 and all(name.split("'")[0] in text for name in names)


def questions(posthog: PostHog) -> list[Seen]:
    return [seen for seen in posthog.requests if seen.stream in ("events", "query")]


def test_no_question_of_whatever_kind_is_about_other_events() -> None:
    """A first sync of a long history, with ties and a dense day; what arrived late; instants that are looked at again
    where the zone of a project is not UTC."""
    ties = [event(START + 20 * DAY, event=name) for name in (*NAMES, "$autocapture") for _ in range(70)]
    dense = [event(START + 30 * DAY + place * SECOND, event=[*NAMES, "other"][place % 3]) for place in range(700)]
    projects = [
        Project(7, events=EventTable([event(START - 900 * DAY), *ties, *dense])),
        Project(8, events=EventTable([event(START, event=NAMES[0])]), settings={"timezone": "Asia/Tokyo"}),
    ]
    connected = Connection(account(*projects), events_include=NAMES, start_date="2022-01-01T00:00:00Z")
    output = connected.sync(NOW)
    assert output.status == 0, output.errors
    assert output.keys("events") == sorted(
        (project.id, one.id) for project in projects for one in project.events if one.event in NAMES
    )
    assert len(questions(connected.posthog)) > 12
    assert all(asks_for(seen, NAMES) for seen in questions(connected.posthog))
    new = connected.add(event(LATER - HOUR, event=NAMES[1]), *(_named(late(9 * DAY), name) for name in NAMES))
    connected.add(event(LATER - HOUR), late(9 * DAY))
    assert {*new} <= {*connected.sync(LATER).keys("events")}
    assert all(asks_for(seen, NAMES) for seen in questions(connected.posthog))
    assert {row["event"] for row in connected.sync(LATER + DAY).records("events")} <= {*NAMES}


def _named(one: Event, name: str) -> Event:
    one.event = name
    return one


# --- the state, when the names change

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a name more": ({"events_include": ["a"]}, {"events_include": ["a", "it's"]}, """("it's")"""),
    "a name less": ({"events_include": ["a", "b"]}, {"events_include": ["a"]}, ""),
    "no names any more": ({"events_include": ["a"]}, {}, "(all but 'a')"),
    "names": ({}, {"events_include": ["a"]}, ""),
    "the same": ({"events_exclude": ["a", "b"]}, {"events_exclude": ["b", "a"]}, ""),
    "fewer left out": ({"events_exclude": ["a", "b"]}, {"events_exclude": ["b"]}, "('a')"),
    "the other way around": ({"events_exclude": ["a", "b"]}, {"events_include": ["b", "c"]}, "('b')"),
    "all but these": ({"events_include": ["a"]}, {"events_exclude": ["b"]}, "(all but 'a', 'b')"),
}


@pytest.mark.matrix
@pytest.mark.parametrize(("before", "after", "said"), CHANGES.values(), ids=CHANGES)
def test_the_state_stays_valid_and_the_log_says_once_which_earlier_events_are_not_read(
    before: dict[str, Any], after: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    connected = connection()
    connected.add(*(event(START + DAY, event=name) for name in "abc"))
    connected.sync(NOW, **before)
    assert "earlier events are not read" not in caplog.text, "nothing is left out by a state that is not there"
    new = connected.add(*(event(LATER - HOUR, event=name) for name in "abc"))
    output = connected.sync(LATER, **after)
    assert output.status == 0, output.errors
    lines = [one.message for one in caplog.records if "earlier events are not read" in one.message]
    assert len(lines) == bool(said)
    assert all(said in line for line in lines)
    wanted = after.get("events_include") or {*"abc", "it's"} - {*after.get("events_exclude", [])}
    expected = {id for id, name in zip((one.id for one in _newest(connected)), "abc", strict=True) if name in wanted}
    assert {id for _, id in output.keys("events")} & {id for _, id in new} == expected
    caplog.clear()
    connected.sync(LATER + HOUR, **after)
    assert "earlier events are not read" not in caplog.text


def _newest(connected: Connection) -> list[Event]:
    """The three newest events, by their names."""
    return sorted([*connected.account.projects[7].events][-3:], key=lambda one: one.event)


def test_without_names_nothing_is_added_to_the_state() -> None:
    connected = connection()
    assert all(state.keys() <= {"7"} for state in connected.sync(NOW).states)
    named = connected.sync(LATER, events_exclude=["b", "a"])
    assert named.states[-1].keys() == {"7", "filter"}
    assert named.states[-1]["filter"] == {"exclude": ["a", "b"]}
    assert all(state.keys() <= {"7"} for state in connected.sync(LATER + HOUR).states)


@pytest.mark.matrix
@pytest.mark.parametrize("stated", ["x", [], {"include": 5}, {"timestamp": "2026-01-01"}, None])
def test_a_filter_in_the_state_that_was_edited_is_no_reason_to_fail(stated: Any) -> None:
    connected = connection()
    connected.sync(NOW, events_include=["$pageview"])
    assert connected.state
    connected.state[0]["stream"]["stream_state"]["filter"] = stated
    output = connected.sync(LATER, events_include=["$pageview"])
    assert output.status == 0, output.errors


# --- check, and names of any kind


def test_check_asks_for_the_events_that_are_wanted(way: Way) -> None:
    with PostHogServer(account(Project(7))) as server:
        output = run("check", config=config(server.url, events_include=NAMES))
        assert output.connection == ("SUCCEEDED", "")
        asked = questions(server.posthog)
    assert {seen.stream for seen in asked} == {way.stream}
    assert all(asks_for(seen, NAMES) for seen in asked)


ODD = [" paid ", "nul\0", "a\nb", "'", "\\", "{x}", "{{ 1 + 1 }}", "é😀", "\u2028", "%_"]


@pytest.mark.matrix
@pytest.mark.parametrize("name", ODD)
def test_names_are_taken_as_they_are(name: str) -> None:
    posthog = PostHog(account(Project(7, events=EventTable([event(NOW - DAY, event=one) for one in ("paid", name)]))))
    options: list[dict[str, Any]] = [{"events_include": [name]}, {"events_exclude": ["paid"]}]
    for named in options:
        with answers_from(posthog), now_is(NOW):
            assert [row["event"] for row in sync(**named).records("events")] == [name]


# --- servers that cannot


@pytest.mark.parametrize("way", [LIST], ids=["list"], indirect=True)
def test_an_events_list_that_has_no_filters_is_no_reason_to_read_all(way: Way) -> None:
    posthog = PostHog(account(Project(7, events=EventTable([event(NOW - DAY)]))), without_hogql_filter=True)
    with answers_from(posthog), now_is(NOW):
        output = sync(events_include=NAMES)
    assert (output.status, output.records("events")) == (1, [])
    assert "Unable to resolve the filter" in output.errors[0]
    assert "too old to filter events by name: remove `events_include` and `events_exclude`." in output.errors[0]


@pytest.mark.parametrize("status", [414, 431])
def test_an_address_that_is_too_long_for_a_server_is_said_to_be_so(way: Way, status: int) -> None:
    posthog = PostHog(account(Project(7, events=EventTable([event(NOW - DAY)]))))
    posthog.faults.add(Fault(stream=way.stream, times=None, **html(status)))
    with answers_from(posthog), now_is(NOW):
        output = sync(events_include=NAMES)
    assert (output.status, output.records("events")) == (1, [])
    assert "does not accept so long an address. Name fewer events" in output.errors[0]
