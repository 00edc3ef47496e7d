"""The two ways to ask for events: the same events with the same values, and a connection may change at any sync."""

import random
import time
from functools import partial
from typing import Any

import pytest

from integration_tests.harness.connection import LATER, NOW, START, connection, late
from integration_tests.harness.connector import LIST, QUERY, Way, catalog, config, expected_keys, run
from integration_tests.harness.in_process import answers_from, now_is, sync, sync_at
from posthog_server import (
    DAY,
    SECOND,
    Account,
    Fault,
    Key,
    PostHog,
    PostHogServer,
    Project,
    account,
    account_with,
    event,
    make_events,
    make_persons,
    microseconds,
    missing_scope,
    not_found,
    rewrite,
    too_many_queries,
    too_slow,
)
from posthog_server.data import EventTable
from source_posthog.api.sync import Sync
from source_posthog.exact.instants import instant

HOUR = 3600 * SECOND
START_DATE = "2026-01-01T00:00:00Z"


def varied(number: int = 700) -> Account:
    """Events and persons of every odd kind, bursts, ties, and rows that are not merged yet."""
    rng = random.Random(11)
    events = {
        project: [
            *make_events(number, rng, start=START, span=50 * DAY, project=project),
            *make_events(230, rng, start=START + 30 * DAY, span=1, project=project),
            *(event(START + 40 * DAY + place, unmerged=True) for place in range(150)),
        ]
        for project in (7, 8)
    }
    return account_with(events, persons={project: make_persons(100, rng, project) for project in events})


read = partial(sync_at, NOW, start_date=START_DATE)


# --- the record


def test_both_ways_give_the_same_ids_and_the_same_values() -> None:
    made = varied()
    (listed, _), (queried, _) = read(made, way=LIST), read(made, way=QUERY)
    assert listed.keys("events") == queried.keys("events") == expected_keys(made)["events"]
    rows = {row["id"]: row for row in queried.records("events")}
    for row in listed.records("events"):
        other = rows[row["id"]]
        created_at, person_id = other.pop("created_at"), other.pop("person_id", None)
        assert instant(created_at) == instant(row["timestamp"])
        mine, theirs = row.pop("person", None), other.pop("person", None)
        assert other == row
        assert (theirs is None) == (mine is None) == (person_id is None)
        if mine and theirs:
            assert theirs["properties"] == mine["properties"]
            assert (theirs["distinct_ids"], theirs["uuid"]) == ([row["distinct_id"]], person_id)
            assert theirs.keys() <= {"distinct_ids", "properties", "uuid", "created_at"}


def test_numbers_and_characters_of_properties_are_exact() -> None:
    odd = {
        "huge": 2**70,
        "near": 2**63,
        "half": "\ud83d",
        "float": 1e300,
        "tiny": 5e-324,
        "quoted": 'a"\\{[',
        "ü": "🦔",
    }
    output, _ = read(account_with({7: [event(START + DAY, properties=odd)]}), way=QUERY)
    assert [row["properties"] for row in output.records("events")] == [odd]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: {**body, "hasMore": None},
        lambda body: {**body, "results": None},
        lambda body: {**body, "results": [row[:-1] for row in body["results"]]},
        lambda body: {**body, "results": [[*row[:4], "2026-01-03T00:00:00", *row[5:]] for row in body["results"]]},
        lambda body: {**body, "results": [*body["results"][:6], "person", *body["results"][7:]]},
    ],
    ids=["no hasMore", "no results", "a column too few", "an instant without a zone", "a row that is a string"],
)
def test_an_answer_that_is_not_what_was_asked_for_is_not_believed(change: Any) -> None:
    posthog = PostHog(account_with({7: [event(START + place * DAY) for place in range(8)]}))
    posthog.faults.add(Fault(stream="query", times=None, **rewrite(change)))
    output, _ = read(posthog, way=QUERY, events_time_step=91)
    assert (output.status, output.records("events")) == (1, [])
    assert "PostHog's answer cannot be used" in output.errors[0]


# --- the question


def test_a_question_has_both_bounds_a_limit_and_columns_and_wants_a_fresh_answer_in_utc() -> None:
    _, posthog = read(account_with({7: [event(START + DAY)]}), way=QUERY, events_time_step=30)
    asked = [seen.body for seen in posthog.requests if seen.stream == "query"]
    assert {
        "query": {
            "kind": "EventsQuery",
            "select": [
                *("uuid", "event", "distinct_id", "properties", "timestamp"),
                *("elements_chain", "person", "created_at"),
            ],
            "after": "2025-12-31T23:59:59.999999Z",
            "before": "2026-01-31T00:00:00.000000Z",
            "orderBy": ["timestamp DESC"],
            "limit": 2000,
            "modifiers": {"convertToProjectTimezone": False},
        },
        "refresh": "force_blocking",
    } in asked
    assert posthog.count("events") == 0


def limits(posthog: PostHog) -> list[int]:
    asked = (seen.body["query"] for seen in posthog.requests if seen.stream == "query")
    return [query["limit"] for query in asked if query["kind"] == "EventsQuery"]


def test_a_limit_that_is_echoed_smaller_is_the_size_of_the_next_pages() -> None:
    made = account_with({7: [event(START + place * SECOND) for place in range(700)]})
    output, posthog = read(PostHog(made, query_cap=300), way=QUERY, num_workers=2, events_time_step=91)
    assert output.keys("events") == expected_keys(made)["events"]
    assert limits(posthog) == [2000, 300, 300]


def test_after_a_small_first_page_pages_are_as_large_as_the_events_allow() -> None:
    for size, least, most in ((10, 10_000, 40_000), (5000, 2900, 3600)):
        fillers = [{"filler": "x" * size}] * 5_000
        made = account_with({7: [event(START + i * SECOND, properties=one) for i, one in enumerate(fillers)]})
        output, posthog = read(PostHog(made), way=QUERY, num_workers=2, events_time_step=91)
        assert output.keys("events") == expected_keys(made)["events"]
        first, *others = limits(posthog)
        assert first == 2000
        assert all(least <= limit <= most for limit in others if limit != first)


@pytest.mark.parametrize("status", [504, 512, 513])
def test_where_a_page_is_too_much_smaller_ones_are_asked_for_before_the_range_is_halved(status: int) -> None:
    made = account_with({7: [event(START + place * 60 * SECOND) for place in range(3000)]})
    posthog = PostHog(made)
    slow = {**too_slow(), "status": status}
    posthog.faults.add(Fault(stream="query", times=None, when=lambda seen: seen.body["query"]["limit"] > 1000, **slow))
    output, _ = read(posthog, way=QUERY, events_time_step=91, num_workers=2)
    assert output.keys("events") == expected_keys(made)["events"]
    assert limits(posthog)[:4] == [2000, 1000, 1000, 1000]
    assert {seen.after for seen in posthog.requests if seen.stream == "query"} == {START - 1}


def test_a_range_that_is_too_slow_for_the_smallest_page_is_halved() -> None:
    made = account_with({7: [event(START + place * HOUR) for place in range(900)]})
    output, posthog = read(PostHog(made, longest_range=5 * 86_400), way=QUERY)
    assert output.keys("events") == expected_keys(made)["events"]
    assert min(limits(posthog)) == 1000


def test_at_most_three_queries_of_a_project_are_asked_at_once() -> None:
    made = account_with({7: [event(START + place * DAY) for place in range(50)]})
    with PostHogServer(made, page_delay=0.05) as server:
        options = config(server.url, start_date=START_DATE, events_time_step=2, **QUERY.options)
        output = run("read", config=options, catalog=catalog("events"))
        assert output.keys("events") == expected_keys(made)["events"]
        assert server.posthog.max_queries_at_once == {7: 3}


# --- places and times


def test_projects_in_three_time_zones_are_read_whole_across_changes_of_summer_time() -> None:
    """Clocks change on 8 and 29 March, 25 October and 1 November 2026."""
    zones = {1: "Asia/Tokyo", 2: "Europe/Berlin", 3: "America/New_York"}
    changes = ["2026-03-08T07:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", "2026-11-01T06:00:00Z"]
    instants = [microseconds(change) + step * 600 * SECOND + 1 for change in changes for step in range(-30, 31)]
    made = account(
        *(
            Project(project, events=EventTable([event(at) for at in instants]), settings={"timezone": zone})
            for project, zone in zones.items()
        )
    )
    outputs = {}
    for way in (LIST, QUERY):
        with answers_from(PostHog(made, cap=100, query_cap=100)), now_is(microseconds("2026-11-20T00:00:00Z")):
            outputs[way.stream] = sync(start_date=START_DATE, events_time_step=7, **way.options)
    listed, queried = outputs.values()
    assert listed.keys("events") == queried.keys("events") == expected_keys(made)["events"]
    assert sorted(row["timestamp"] for row in queried.records("events")) == sorted(
        row["timestamp"] for row in listed.records("events")
    )
    assert queried.states[-1] == listed.states[-1]


def test_a_server_that_answers_in_the_time_zone_of_the_project_is_understood() -> None:
    def in_tokyo(body: Any) -> Any:
        for row in body["results"]:
            row[4] = row[4].replace("T00:30:00Z", "T09:30:00+09:00")
        return body

    posthog = PostHog(account_with({7: [event("2026-01-03T00:30:00Z")]}))
    posthog.faults.add(Fault(stream="query", times=None, **rewrite(in_tokyo)))
    output, _ = read(posthog, way=QUERY)
    assert [row["timestamp"] for row in output.records("events")] == ["2026-01-03T00:30:00+00:00"]


@pytest.mark.parametrize("first", [LIST, QUERY], ids=["list first", "query first"])
def test_a_connection_that_changes_the_way_at_each_sync_loses_and_repeats_nothing(first: Way) -> None:
    connected = connection(events_lookback_hours=0)
    ways = [first, QUERY if first is LIST else LIST] * 3
    seen = list(connected.sync(NOW, **(ways[0].options or {"events_api": "list"})).keys("events"))
    for round_, way in enumerate(ways[1:]):
        at = LATER + round_ * 6 * HOUR
        new = connected.add(late(3 * DAY, arrives=at - HOUR), event(at - 2 * HOUR), event(at - 2 * HOUR + 1))
        newest = max(one.at for one in connected.account.projects[7].events if one.at < at - 2 * HOUR)
        output = connected.sync(at, events_api="query" if way is QUERY else "list")
        again = set(output.keys("events")) - set(new)
        assert set(new) <= set(output.keys("events"))
        assert again <= {(7, one.id) for one in connected.account.projects[7].events if one.at >= newest}
        seen += output.keys("events")
    assert set(seen) == set(expected_keys(connected.account)["events"])


# --- trouble


def test_too_many_queries_at_once_are_waited_for(waits: list[float]) -> None:
    made = varied(50)
    posthog = PostHog(made)
    posthog.faults.add(Fault(stream="query", project_id=7, times=5, **too_many_queries()))
    output, _ = read(posthog, way=QUERY)
    assert (output.status, output.keys("events")) == (0, expected_keys(made)["events"])
    assert len(waits) == 5


def test_after_ten_minutes_of_too_many_queries_the_project_fails(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    def wait(_: Sync, seconds: float) -> None:
        waits.append(seconds)
        time.sleep(0.05)  # in ten minutes the other project gets an answer, which says that PostHog is up

    monkeypatch.setattr(Sync, "wait", wait)
    made = varied(50)
    posthog = PostHog(made)
    posthog.faults.add(Fault(stream="query", project_id=7, times=None, **too_many_queries()))
    output, _ = read(posthog, way=QUERY, events_time_step=91)
    assert output.status == 1
    assert "Too many queries are running right now" in output.errors[0]
    assert "Other queries of the project" in output.errors[0]
    assert "quota" not in output.errors[0]
    assert 600 <= sum(waits) <= 1300
    assert {key for key in output.keys("events") if key[0] == 8} == {
        key for key in expected_keys(made)["events"] if key[0] == 8
    }


def test_too_many_queries_everywhere_take_ten_minutes_and_not_ten_minutes_a_project(
    waits: list[float],
) -> None:
    posthog = PostHog(account_with({project: [event(START)] for project in range(1, 101)}))
    posthog.faults.add(Fault(stream="query", times=None, **too_many_queries()))
    output, _ = read(posthog, way=QUERY, events_time_step=91, num_workers=2)
    assert output.status == 1
    assert "Other queries" in output.errors[0]
    assert sum(waits) <= 1300


@pytest.mark.parametrize(
    ("way", "lacks", "sentence"),
    [
        (QUERY, ["without_query"], "has no query API at "),
        (LIST, ["without_event_list", "without_query"], "has neither an events list nor a query API at "),
    ],
    ids=["query", "list"],
)
def test_where_no_way_is_left_the_sentence_says_so(way: Way, lacks: list[str], sentence: str) -> None:
    options: Any = dict.fromkeys(lacks, True)
    output, _ = read(PostHog(account_with({7: [event(START)]}), **options), way=way)
    assert output.status == 1
    assert sentence in output.errors[0]
    assert "Endpoint not found" in output.errors[0]


def test_a_missing_scope_is_named(way: Way) -> None:
    posthog = PostHog(account_with({7: [event(START)]}))
    posthog.account.add_key(Key("phx_limited", frozenset({"project:read"})))
    output, _ = read(posthog, way=way, api_key="phx_limited")
    assert output.status == 1
    assert "'query:read'" in output.errors[0]
    assert "Add that scope to the key" in output.errors[0]


def test_a_project_that_is_gone_is_skipped_once_its_own_address_says_so_too(way: Way) -> None:
    made = account_with({7: [event(START)], 8: [event(START)]})
    posthog = PostHog(made)
    posthog.faults.add(Fault(stream=way.stream, project_id=7, times=None, **not_found()))
    posthog.faults.add(
        Fault(stream="projects", times=None, when=lambda seen: seen.path.rstrip("/").endswith("/7"), **not_found())
    )
    output, _ = read(posthog, way=way)
    assert (output.status, output.errors) == (0, [])
    assert {key[0] for key in output.keys("events")} == {8}
    posthog.faults.clear()
    posthog.faults.add(Fault(stream=way.stream, project_id=7, times=None, **not_found()))
    output, _ = read(posthog, way=way)
    assert output.status == 1
    assert "although the project exists" in output.errors[0]


# --- check and options


def test_check_asks_the_cheapest_question() -> None:
    with PostHogServer(account(Project(7))) as server:
        output = run("check", config=config(server.url, **QUERY.options))
        assert output.connection == ("SUCCEEDED", "")
        asked = [seen for seen in server.posthog.requests if seen.stream == "query"]
    assert [seen.body["query"]["limit"] for seen in asked] == [1]
    assert asked[0].range_seconds <= 61 * 60
    assert server.posthog.count("events") == 0


def test_check_names_events_where_queries_are_refused() -> None:
    with PostHogServer(account(Project(7))) as server:
        server.posthog.faults.add(Fault(stream="query", times=None, **missing_scope("query:read")))
        output = run("check", config=config(server.url, **QUERY.options))
    assert any("Stream events cannot be read" in line and "'query:read'" in line for line in output.logs)


def test_another_value_of_events_api_is_refused() -> None:
    output = run("check", config=config("http://127.0.0.1:1", events_api="hogql"))
    assert output.connection == ("FAILED", "The option `events_api` must be one of list, query.")


def test_discover_is_the_same_both_ways() -> None:
    with PostHogServer(account(Project(7))) as server:
        shown = [
            run("discover", config=config(server.url, events_api=api)).messages[-1]["catalog"]
            for api in ("list", "query")
        ]
    assert shown[0] == shown[1]
    assert [stream["name"] for stream in shown[0]["streams"]].count("events") == 1
