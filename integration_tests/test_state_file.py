"""The state of the next sync is what this one printed, in whatever form it is given."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteStateMessageSerializer, ConfiguredAirbyteCatalogSerializer

from integration_tests.harness.connector import Output, catalog, config, events_state, project_state, run
from integration_tests.harness.in_process import answers_from, read
from integration_tests.harness.visits import VISITS, instant, posthog_with_visits
from integration_tests.harness.visits import read as read_queries
from posthog_server import DAY, PostHogServer, account_with, event
from posthog_server import microseconds as at
from posthog_server.clickhouse import ClickHouse
from source_posthog import SourcePosthog


def ago(days: int) -> str:
    """A date that lies so many days back, whenever the tests run: a window that ended a day ago moves the state."""
    return (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z")


# One window up to the present.
ONE_WINDOW = {"start_date": ago(80), "events_time_step": 91, "events_lookback_hours": 0}


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: [event("2026-11-01T00:00:00Z")], 8: [event("2026-11-02T00:00:00Z")]})) as one:
        yield one


def warnings(got: Output) -> list[str]:
    return [log["message"] for log in got.of("LOG") if log["level"] == "WARN"]


STATE_FORMS: dict[str, Callable[[Output], Any]] = {
    "the whole output": lambda got: got.text,
    "with half a line at the end": lambda got: got.text + got.text.splitlines()[-1][:40],
    "after a line of something else": lambda got: "warning: something else\n" + got.text,
    "its STATE lines": lambda got: "\n".join(json.dumps(one) for one in got.messages if one["type"] == "STATE"),
    "the last STATE line of events": lambda got: json.dumps(of_events(got)),
    "the same, in a list": lambda got: [of_events(got)],
    "the same, in many lines": lambda got: json.dumps(of_events(got), indent=2),
    "its STATE messages in a list": lambda got: [one for one in got.messages if one["type"] == "STATE"],
    "a list with a message a line": lambda got: (
        "[\n" + ",\n".join(json.dumps(one) for one in got.messages if one["type"] == "STATE") + "\n]"
    ),
    "all messages in a list": lambda got: got.messages,
    "states in lines": lambda got: "\n".join(map(json.dumps, got.state)),
    "Airbyte's own list": lambda got: got.state,
}


def of_events(got: Output) -> dict[str, Any]:
    return [
        one
        for one in got.messages
        if one["type"] == "STATE" and one["state"]["stream"]["stream_descriptor"]["name"] == "events"
    ][-1]


def rows_of(got: Output, project: int) -> list[dict[str, Any]]:
    return [row for row in got.records("events") if row["project_id"] == project]


@pytest.mark.parametrize("form", STATE_FORMS)
def test_the_state_may_be_what_a_sync_printed(form: str, server: PostHogServer) -> None:
    files = {"config": config(server.url, **ONE_WINDOW), "catalog": catalog("cohorts", "events", "insights")}
    server.posthog.account = account_with({7: [event(ago(27))], 8: [event(ago(day)) for day in (57, 56, 26)]})
    first = run("read", **files)
    assert (first.status, len(first.records("events"))) == (0, 4)
    server.posthog.account.projects[8].add_events([new := event(ago(20))])
    second = run("read", **files, state=STATE_FORMS[form](first))
    newest = [max(rows_of(first, project), key=lambda row: row["timestamp"])["id"] for project in (7, 8)]
    assert (second.status, second.ids("events")) == (0, sorted([*newest, new.id]))
    assert warnings(second) == []


def test_the_last_state_of_a_stream_is_the_one_that_counts(server: PostHogServer) -> None:
    states = [{"type": "STATE", "state": one} for one in project_state(p7="2026-01-01T00:00:00Z")]
    states += [{"type": "STATE", "state": one} for one in project_state(p7="2026-12-01T00:00:00Z")]
    got = read(server, "events", state="\n".join(map(json.dumps, states)), project_ids=[7])
    assert (got.status, got.ids("events")) == (0, [])


def test_output_without_a_state_is_a_first_sync_and_says_so(server: PostHogServer) -> None:
    got = read(server, "events", state=json.dumps({"type": "LOG", "log": {"level": "INFO", "message": "x"}}) + "\n")
    assert (got.status, len(got.records("events"))) == (0, 2)
    assert "has no state, so this is a first sync" in " ".join(warnings(got))


@pytest.mark.parametrize("state", [[], {}, "null", {"states": []}, "", "\n"])
def test_an_empty_state_is_a_first_sync_without_a_warning(server: PostHogServer, state: Any) -> None:
    """As the platform hands it to the first one."""
    got = read(server, "events", state=state)
    assert (got.status, len(got.records("events")), warnings(got)) == (0, 2, [])
    assert len([line for line in got.logs if line.endswith("is empty, so this is a first sync.")]) == 1


EMPTY = "The state of stream events is empty, so this sync reads it from the beginning."
MISSING = "The state has no entry for stream events, so this sync reads it from the beginning."


@pytest.mark.parametrize(
    ("state", "level", "said"),
    [
        (events_state({}), "INFO", EMPTY),
        (events_state({"__ab_no_cursor_state_message": True}), "INFO", EMPTY),
        ([{"type": "LEGACY", "data": {}}], "INFO", EMPTY),
        ({"events": {}, "cohorts": {"7": {}}}, "INFO", EMPTY),
        ({"cohorts": {"7": {"at": "x"}}}, "WARN", MISSING),
        ([{"type": "LEGACY", "data": {"cohorts": {}}}], "WARN", MISSING),
        ([{"type": "LEGACY", "data": {"timestamp": "2026-12-01T00:00:00Z"}}], "WARN", MISSING),
    ],
    ids=repr,
)
def test_a_stream_that_begins_anew_although_there_is_a_state_is_said(
    server: PostHogServer, state: Any, level: str, said: str
) -> None:
    """A warning where the state is of other streams; not where it is empty, as after a sync that found nothing."""
    got = read(server, "cohorts", "events", state=state)
    assert (got.status, len(got.records("events"))) == (0, 2)
    assert [log["level"] for log in got.of("LOG") if log["message"] == said] == [level]
    assert len([line for line in got.logs if "from the beginning" in line]) == 1


def test_a_state_of_streams_that_are_not_read_is_no_matter(server: PostHogServer) -> None:
    got = read(server, "cohorts", state=project_state(p7="2026-10-15T00:00:00Z"))
    assert (got.status, warnings(got)) == (0, [])


def test_a_state_that_a_full_refresh_does_not_use_is_said(server: PostHogServer) -> None:
    wanted = catalog("events")
    wanted["streams"][0]["sync_mode"] = "full_refresh"
    state = project_state(p7="2026-12-01T00:00:00Z")
    got = run("read", config=config(server.url), catalog=wanted, state=state)
    assert (got.status, len(got.records("events")), warnings(got)) == (0, 2, [])
    said = "The state of stream events is not used, since the catalog has `sync_mode` full_refresh."
    assert got.logs.count(said) == 1


# --- forms of other versions, and of the CDK

AT = "2026-10-15T00:00:00Z"  # before what both projects have, and after what is added to them
FLAGS = {"__ab_full_refresh_sync_complete": True, "__ab_no_cursor_state_message": True, "__ab_is_sync_complete": True}


def partitions(*projects: int) -> dict[str, Any]:
    return {
        "states": [
            {"partition": {"project_id": one, "parent_slice": {}}, "cursor": {"timestamp": AT}} for one in projects
        ],
        "use_global_cursor": False,
        "state": {"timestamp": "2026-12-01T00:00:00Z"},
        "lookback_window": 3,
        "parent_state": {},
    }


BY_PROJECT = {"7": {"timestamp": AT}, "8": {"timestamp": AT}}
STREAM = events_state(BY_PROJECT)[0]
OTHER_FORMS: dict[str, Any] = {
    "by stream": {"events": BY_PROJECT},
    "by stream, in many lines": json.dumps({"cohorts": {}, "events": BY_PROJECT}, indent=2),
    "LEGACY": {"type": "LEGACY", "data": {"events": BY_PROJECT}},
    "LEGACY in a list": [{"type": "LEGACY", "data": {"events": BY_PROJECT}}],
    "data alone": {"data": {"events": BY_PROJECT}},
    "a message of then": json.dumps({"type": "STATE", "state": {"data": {"events": BY_PROJECT}}}),
    "states": {"states": [STREAM]},
    "without a type": [{"stream": STREAM["stream"]}],
    "GLOBAL": [{"type": "GLOBAL", "global": {"stream_states": [STREAM["stream"]]}}],
    "in a namespace": events_state(BY_PROJECT),
    "as Airbyte shows it": [{"streamDescriptor": {"name": "events"}, "streamState": BY_PROJECT}],
    "as Airbyte's API gives it": {
        "stateType": "stream",
        "streamState": [{"streamDescriptor": {"name": "events", "namespace": None}, "streamState": BY_PROJECT}],
    },
    "as the README prints it": {name: {**entry, "since": "2026-01-01T00:00:00Z"} for name, entry in BY_PROJECT.items()},
    "of partitions": events_state(partitions(7, 8)),
    "by stream, of partitions": {"events": partitions(7, 8)},
    "with flags": events_state({**FLAGS, "7": {**BY_PROJECT["7"], **FLAGS}, "8": BY_PROJECT["8"]}),
}
OTHER_FORMS["in a namespace"][0]["stream"]["stream_descriptor"]["namespace"] = "posthog"


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_a_state_in_the_form_of_another_version_is_taken_without_a_word(form: str, server: PostHogServer) -> None:
    for project in (7, 8):
        server.posthog.account.projects[project].add_events([event("2026-10-01T00:00:00Z", created_at=at(AT) - DAY)])
    got = read(server, "events", state=OTHER_FORMS[form])
    assert (got.status, got.errors, warnings(got)) == (0, [], [])
    assert sorted(row["timestamp"][:10] for row in got.records("events")) == ["2026-11-01", "2026-11-02"]
    assert set(got.states[-1]) == {"7", "8"}


@pytest.mark.parametrize("state", [FLAGS, {"7": FLAGS, "8": FLAGS}, *({name: True} for name in FLAGS)], ids=repr)
def test_a_state_of_nothing_but_flags_is_a_first_sync(server: PostHogServer, state: dict[str, Any]) -> None:
    got = read(server, "events", state=events_state(state))
    assert (got.status, len(got.records("events")), warnings(got)) == (0, 2, [])
    assert set(got.states[-1]) == {"7", "8"}


def test_what_a_sync_ignores_of_its_state_is_said_in_one_warning(server: PostHogServer) -> None:
    of_partitions = {**partitions(7), "use_global_cursor": True}
    of_partitions["states"].append({"partition": {"id": 8}, "cursor": {"timestamp": AT}})
    stream = {"stream_descriptor": {"name": "events"}, "stream_state": of_partitions}
    others = {"stream_descriptor": {"name": "dashboards"}, "stream_state": {"at": AT}}
    flags = {"stream_descriptor": {"name": "surveys"}, "stream_state": FLAGS}
    got = read(
        server,
        "events",
        state=[{"type": "GLOBAL", "global": {"stream_states": [stream, others, flags], "shared_state": {"a": 1}}}],
    )
    assert (got.status, len(got.records("events"))) == (0, 2)
    assert warnings(got) == [
        "Parts of the state mean nothing to this sync and are ignored: the shared state, a partition in `states` of "
        "stream events, the cursor for all partitions of stream events, stream dashboards, which does not exist."
    ]


@pytest.mark.parametrize("state", [{"events": BY_PROJECT}, [STREAM], []], ids=["by stream", "one a stream", "none"])
def test_a_state_may_be_handed_over_in_python_in_each_form(server: PostHogServer, state: Any) -> None:
    server.posthog.account.projects[7].add_events([event("2026-10-01T00:00:00Z", created_at=at(AT) - DAY)])
    handed: Any = state if isinstance(state, dict) else [AirbyteStateMessageSerializer.load(one) for one in state]
    wanted = ConfiguredAirbyteCatalogSerializer.load(catalog("events"))
    got = list(SourcePosthog().read(None, config(server.url), wanted, handed))
    assert len([one for one in got if one.record]) == (2 if state else 3)


@pytest.mark.parametrize(
    ("content", "of_8"),
    [
        (FLAGS, 40),
        ({"7": FLAGS, "8": {"at": instant(78)}}, 1),
        ({"states": [{"partition": {"project_id": 8}, "cursor": {"at": instant(78)}}]}, 1),
    ],
    ids=["flags", "flags of a project", "partitions"],
)
def test_the_state_of_a_query_has_the_same_forms(clickhouse: ClickHouse, content: dict[str, Any], of_8: int) -> None:
    with answers_from(posthog_with_visits(clickhouse)):
        stream = {"stream_descriptor": {"name": "visits"}, "stream_state": content}
        got = read_queries(VISITS, incremental=True, state=[{"type": "STREAM", "stream": stream}])
    assert (got.status, got.errors, warnings(got)) == (0, [], [])
    assert Counter(row["project_id"] for row in got.records("visits")) == {7: 130, 8: of_8}


def test_a_query_that_begins_anew_or_cannot_go_on_is_warned_of(clickhouse: ClickHouse) -> None:
    in_full = {**{name: value for name, value in VISITS.items() if name != "cursor_field"}, "name": "all_visits"}
    with answers_from(posthog_with_visits(clickhouse)):
        got = read_queries(VISITS, in_full, incremental=True, state=events_state(BY_PROJECT))
    assert (got.status, len(got.records("visits")), len(got.records("all_visits"))) == (0, 170, 170)
    assert warnings(got) == [
        "Stream all_visits cannot be read incrementally, since its query has no `cursor_field`: it is read in full.",
        "The state has no entry for stream visits, so this sync reads it from the beginning.",
    ]


# --- odd values


@pytest.mark.matrix
@pytest.mark.parametrize(
    "value", [5, 0, 1e300, True, "", "now", [], ["2026-01-01T00:00:00Z"], {}, {"timestamp": "2026-01-01T00:00:00Z"}]
)
@pytest.mark.parametrize("name", ["timestamp", "since", "arrived"])
def test_a_value_in_the_state_that_is_no_instant_is_refused(server: PostHogServer, name: str, value: Any) -> None:
    got = read(server, "events", state=events_state({"7": {"timestamp": "2026-06-01T00:00:00Z", name: value}}))
    assert (got.status, got.records("events")) == (1, [])
    sentence = "The state of project 7 in stream events has no valid ISO 8601 timestamp. Correct the state, or "
    assert got.errors[0] == f"{sentence}clear the stream."


@pytest.mark.parametrize("last", ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999-05:00"])
@pytest.mark.parametrize(
    ("name", "said"), [("timestamp", "(9999-12-31"), ("arrived", "(`arrived` is 9999-12-31"), ("since", "")]
)
def test_the_last_instant_of_all_in_the_state_is_warned_of(
    server: PostHogServer, last: str, name: str, said: str
) -> None:
    got = read(
        server, "events", state=events_state({"7": {"timestamp": "2026-06-01T00:00:00Z", name: last}}), project_ids=[7]
    )
    assert (got.status, got.errors, len(got.records("events"))) == (0, [], 0 if name == "timestamp" else 1)
    begins = [f"The state of project 7 is in the future {said}"] if said else []
    assert [warning[: len(begins[0])] for warning in warnings(got)] == begins


@pytest.mark.parametrize("name", ["timestamp", "since", "arrived"])
def test_the_first_instant_of_all_in_the_state_means_from_start_date(server: PostHogServer, name: str) -> None:
    entry = {"timestamp": "2026-06-01T00:00:00Z", name: "0001-01-01T00:00:00+05:00"}
    got = read(server, "events", state=events_state({"7": entry}), project_ids=[7])
    assert (got.status, got.errors, len(got.records("events"))) == (0, [], 1)
    assert warnings(got) == []
