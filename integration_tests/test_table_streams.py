"""The extra streams that are read by HogQL: each row once, whatever changes meanwhile, sync after sync."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from integration_tests.harness.connector import Output, config, expected_keys, run
from integration_tests.harness.in_process import URL, answers_from, now_is
from integration_tests.harness.visits import configured, messages
from posthog_server import DAY, Age, Event, Fault, Key, PostHog, account_with, event, microseconds, rewrite
from posthog_server.clickhouse import ClickHouse
from posthog_server.extra import EXTRA
from posthog_server.grammar import nodes_of, parse_select

TABLES = ["sessions", "groups", "cohort_members", "error_tracking_issues"]
NOW = microseconds("2026-03-01T00:00:00Z")
HOUR = DAY // 24


def uuid(number: int) -> str:
    """Unlike its number, its order is ClickHouse's own."""
    return f"{number * 7919 % 1009:08x}-0000-4000-8000-{number:012x}"


def visit(session: int, at: int, late: int = 0, project: int = 7) -> Event:
    """An event of a session (microseconds), so much later with PostHog."""
    return event(at, properties={"$session_id": f"s-{project}-{session}"}, created_at=at + late)


def sessions(*numbers: int, project: int = 7) -> list[Event]:
    """Two events in each, a session every hour before NOW; always three that end at the same instant."""
    return [
        visit(number, NOW - (number // 3 + 1) * HOUR + seconds * 1_000_000, project=project)
        for number in numbers
        for seconds in (0, 90)
    ]


def group(number: int, updated: int = 0, **properties: Any) -> dict[str, Any]:
    """Three share an instant."""
    at = f"2026-02-{1 + number // 3 % 20:02d}T00:00:{updated:02d}Z"
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": at}
    return {"index": number % 2, "key": f"Firma ü {number}", "properties": {"n": number, **properties}, **times}


def member(number: int, **fields: Any) -> dict[str, Any]:
    return {"cohort_id": number // 12, "person_id": uuid(number), **fields}


def issue(number: int, **fields: Any) -> dict[str, Any]:
    given = {"status": "active", "name": None, "description": "x is undefined", "created_at": "2026-02-01T00:00:00Z"}
    return {"id": uuid(number), **given, **fields}


def posthog_with_tables(clickhouse: ClickHouse, **options: Any) -> PostHog:
    """Two projects, answers of 20 rows at the most."""
    made = account_with({7: sessions(*range(90)), 8: sessions(*range(5), project=8)})
    made.projects[7].extra = {
        "groups": [group(number) for number in range(50)],
        # One was put in twice, and one is in a cohort in both ways.
        "cohort_members": [*map(member, range(50)), *(member(number, is_static=True) for number in (60, 60, 61, 45))],
        "error_tracking_issues": [issue(number) for number in range(50)],
    }
    made.projects[8].extra = {
        "groups": [group(number) for number in range(3)],
        "cohort_members": [member(1, is_static=True)],
        "error_tracking_issues": [issue(900)],
    }
    return PostHog(made, clickhouse=clickhouse, **{"query_cap": 20, **options})


@pytest.fixture
def posthog(clickhouse: ClickHouse) -> Iterator[PostHog]:
    one = posthog_with_tables(clickhouse)
    with answers_from(one), now_is(NOW):
        yield one


def read(*streams: str, full: bool = False, state: Any = None, **options: Any) -> Output:
    """A sync, incremental where that is possible."""
    wanted = configured(*streams, incremental=not full)
    return run("read", config=given(*streams, **options), catalog=wanted, state=state)


def given(*streams: str, **options: Any) -> dict[str, Any]:
    return config(URL, extra_streams=[stream for stream in streams if stream in TABLES], **options)


def keys(output: Output, stream: str) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[name] for name in ("project_id", *EXTRA[stream].key)) for row in output.records(stream))


def due(posthog: PostHog, stream: str) -> Counter[tuple[Any, ...]]:
    """Each key that there is, once."""
    found = set(expected_keys(posthog.account)[stream])
    return Counter({(project, *(key if isinstance(key, tuple) else (key,))) for project, key in found})


def state_of(output: Output, stream: str) -> dict[str, Any]:
    (found,) = [one["stream"] for one in output.state if one["stream"]["stream_descriptor"]["name"] == stream]
    return dict(found["stream_state"])


def require_all(output: Output, posthog: PostHog, *streams: str) -> None:
    assert (output.status, output.errors) == (0, [])
    for stream in streams:
        assert keys(output, stream) == due(posthog, stream), stream


# --- every row once


def test_every_row_comes_once_and_a_full_refresh_reads_all_again_with_what_changed(posthog: PostHog) -> None:
    require_all(read(*TABLES, full=True), posthog, *TABLES)
    one = posthog.account.projects[7]
    one.add_events([visit(99, NOW - DAY)])
    one.extra["groups"].append(group(90))
    one.extra["cohort_members"] = [member(number) for number in range(10, 70)]
    one.extra["error_tracking_issues"][0] = issue(0, status="resolved")
    one.extra["error_tracking_issues"].append(issue(77))
    again = read(*TABLES, full=True)
    require_all(again, posthog, *TABLES)
    assert [row["status"] for row in again.records("error_tracking_issues") if row["id"] == uuid(0)] == ["resolved"]


def test_an_incremental_sync_reads_what_is_new_and_what_has_changed(posthog: PostHog) -> None:
    first = read("sessions", "groups")
    require_all(first, posthog, "sessions", "groups")
    assert state_of(first, "groups")["7"] == {"updated_at": "2026-02-17T00:00:00Z"}
    one = posthog.account.projects[7]
    one.add_events([visit(99, NOW + HOUR), visit(50, NOW - 16 * HOUR, late=17 * HOUR)])
    one.extra["groups"][4] = group(4, n="changed") | {"updated_at": "2026-02-18T00:00:00Z"}
    one.extra["groups"].append(group(90) | {"updated_at": "2026-02-17T00:00:00Z"})
    with now_is(NOW + 2 * HOUR):
        second = read("sessions", "groups", state=first.state)
    assert second.errors == []
    # Those of the last hour before the state, and what has changed.
    last = {(7, number % 2, f"Firma ü {number}") for number in (48, 49, 4, 90)}
    assert keys(second, "groups") == Counter({*last, *((8, number % 2, f"Firma ü {number}") for number in range(3))})
    assert [row["properties"]["n"] for row in second.records("groups") if row["key"] == "Firma ü 4"] == ["changed"]
    # Those of the day before the state, of which 50 has changed since; 99 is new.
    days = [*((7, f"s-7-{number}") for number in (*range(75), 99)), *((8, f"s-8-{number}") for number in range(5))]
    assert keys(second, "sessions") == Counter(days)


# --- sessions


def old_sessions(posthog: PostHog, days: float, *numbers: int, late: int = 0) -> None:
    posthog.account.projects[7].add_events(visit(number, NOW - int(days * DAY), late) for number in numbers)


def test_a_late_event_brings_its_session_again_and_a_session_whose_events_are_all_late_is_found(
    posthog: PostHog,
) -> None:
    old_sessions(posthog, 20, 500)
    first = read("sessions")
    require_all(first, posthog, "sessions")
    one = posthog.account.projects[7]
    arrived = NOW + HOUR
    late = [visit(number, at, arrived - at) for number, at in ((500, NOW - 20 * DAY - HOUR), (501, NOW - 25 * DAY))]
    too_late = visit(502, NOW - 40 * DAY, arrived - (NOW - 40 * DAY))
    one.add_events([*late, too_late])
    with now_is(NOW + 2 * HOUR):
        second = read("sessions", state=first.state)
        found = {row["session_id"]: row for row in second.records("sessions")}
        assert (found["s-7-500"]["start_timestamp"], found["s-7-500"]["session_duration"]) == (
            "2026-02-08T23:00:00Z",
            3600,
        )
        assert "s-7-501" in found
        assert "s-7-502" not in found, "later than `events_late_days`"
        assert "s-7-502" in {row["session_id"] for row in read("sessions", full=True).records("sessions")}


def test_sessions_are_those_that_began_from_start_date_on_and_before_end_date(posthog: PostHog) -> None:
    bounds = {"start_date": "2026-02-28T20:00:00Z", "end_date": "2026-02-28T22:00:00Z"}
    expected = Counter(
        {
            (project, f"s-{project}-{n}")
            for project, last in ((7, 90), (8, 5))
            for n in range(last)
            if n // 3 + 1 in (3, 4)
        }
    )
    for full in (False, True):
        assert keys(read("sessions", full=full, **bounds), "sessions") == expected


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ({"start_date": "2026-02-20T00:00:00Z"}, {}, True),
        ({"end_date": "2026-02-28T12:00:00Z"}, {}, True),
        ({"end_date": "2026-02-28T12:00:00Z"}, {"end_date": "2026-02-28T13:00:00Z"}, True),
        ({}, {"start_date": "2026-02-20T00:00:00Z"}, False),
        ({}, {"end_date": "2026-02-28T12:00:00Z"}, False),
    ],
    ids=["earlier start", "no end", "later end", "later start", "an end"],
)
def test_a_range_that_the_state_does_not_cover_is_read_whole(
    posthog: PostHog, before: dict[str, Any], after: dict[str, Any], whole: bool
) -> None:
    """One session arrived long after it began, another one began long ago."""
    old_sessions(posthog, 0.3, 700)
    old_sessions(posthog, 20, 701)
    posthog.account.projects[7].add_events([visit(702, NOW - 30 * HOUR, 29 * HOUR), visit(703, NOW - 40 * HOUR)])
    state = read("sessions", **before).state
    second, full = read("sessions", state=state, **after), read("sessions", full=True, **after)
    assert second.errors == []
    assert (keys(second, "sessions") == keys(full, "sessions")) is whole
    assert (
        state_of(second, "sessions")["7"]["since"] == after.get("start_date", "2026-01-01T00:00:00Z")[:-1] + ".000000Z"
    )


def test_the_bounds_stand_where_posthog_skips_what_lies_outside(posthog: PostHog) -> None:
    state = read("sessions").state
    asked = [seen.body["query"] for seen in posthog.requests if seen.stream == "query" and seen.project_id == 7]
    posthog.reset()
    read("sessions", state=state)
    later = [seen.body["query"] for seen in posthog.requests if seen.stream == "query" and seen.project_id == 7]
    for query in [*asked, *later]:
        if "sessions" in query["query"]:
            (inner,) = [
                node
                for node in nodes_of(parse_select(query["query"]))
                if node["node"] == "SelectQuery" and node["select_from"]["table"].get("chain") == ["sessions"]
            ]
            compared = [node for node in nodes_of(inner["where"]) if node["node"] == "CompareOperation"]
            assert [one["left"]["chain"] for one in compared] == 2 * [["$start_timestamp"]]
    starts = {query["values"]["start"] for query in asked if "start" in query["values"]}
    nothing = "2200-01-01T00:00:00.000000Z"  # its columns are asked for without reading a row
    assert starts == {nothing, "2026-01-01T00:00:00.000000Z"}
    # A day and 30 before the state, where a later event can still have changed them.
    assert {query["values"].get("start") for query in later} - {None, nothing} == {"2026-01-28T23:01:30.000000Z"}


def test_a_session_that_changes_while_it_is_read_is_not_lost(posthog: PostHog) -> None:
    """Late events make sessions begin earlier, and arrive later, page after page."""
    rng = random.Random(3)
    del posthog.account.projects[8]
    one, changes = posthog.account.projects[7], iter(range(10**6))

    def change(body: Any) -> Any:
        arrived = NOW - HOUR // 2 + next(changes) * 1_000_000
        for number in rng.sample(range(90), 5):
            start = NOW - (number // 3 + 1) * HOUR
            at = start - rng.randrange(20 * HOUR)
            one.add_events([visit(number, at, arrived - at)])
        return body

    changing = posthog.faults.add(Fault(stream="query", times=None, **rewrite(change)))
    output = read("sessions")
    changing.times = changing.used
    second = read("sessions", state=output.state)
    assert output.errors == second.errors == []
    assert (keys(output, "sessions") | keys(second, "sessions")).keys() == due(posthog, "sessions").keys()
    by_key = {row["session_id"]: row for row in [*output.records("sessions"), *second.records("sessions")]}
    full = {row["session_id"]: row for row in read("sessions", full=True).records("sessions")}
    assert by_key == full


@pytest.mark.parametrize("stop", [1, 25, 61, 90])
def test_a_first_sync_that_is_killed_is_gone_on_with_and_history_that_was_imported_is_not_left_out(
    posthog: PostHog, stop: int
) -> None:
    """Its arrival is late by years, so only a sync that came to its end allows to look at the last days alone."""
    imported = [visit(600 + n, NOW - 50 * DAY, 50 * DAY - (30 - n) * HOUR) for n in range(40)]
    posthog.account.projects[7].add_events(imported)
    got: Counter[tuple[Any, ...]] = Counter()
    state: list[Any] = []
    killed = messages(given("sessions"), configured("sessions", incremental=True))
    for made in killed:
        if made["type"] == "STATE":
            state = [{"type": "STREAM", "stream": made["state"]["stream"]}]
        elif made["type"] == "RECORD":
            got[made["record"]["data"]["project_id"], made["record"]["data"]["session_id"]] += 1
            if sum(got.values()) == stop:
                break
    killed.close()
    rest = read("sessions", state=state)
    assert rest.errors == []
    assert (got | keys(rest, "sessions")).keys() == due(posthog, "sessions").keys()
    assert state_of(rest, "sessions")["7"]["complete"] is True


def test_rows_that_are_read_again_take_no_state_back(posthog: PostHog) -> None:
    first = read("sessions")
    reached = state_of(first, "sessions")
    killed = messages(given("sessions"), configured("sessions", incremental=True), first.state)
    states = [made["state"]["stream"]["stream_state"] for made in killed if made["type"] == "STATE"]
    assert states
    assert all(state == reached for state in states)


@pytest.mark.parametrize("stream", ["sessions", "groups"])
def test_a_state_that_is_no_instant_is_named(posthog: PostHog, stream: str) -> None:
    column = {"sessions": "max_inserted_at", "groups": "updated_at"}[stream]
    entry = {column: "yesterday", "since": "2026-01-01T00:00:00Z", "complete": True}
    state = {"stream_descriptor": {"name": stream}, "stream_state": {"7": entry}}
    output = read(stream, state=[{"type": "STREAM", "stream": state}])
    assert output.status == 1
    assert f"'yesterday' in the state is not a valid value of the column `{column}`" in output.errors[0]


# --- groups


def test_the_properties_of_a_group_are_an_object_and_what_is_none_is_kept_as_text(
    posthog: PostHog, clickhouse: ClickHouse
) -> None:
    texts = ['{"a": 123456789012345678901234567890, "b": 1.0}', "", "[1]", "null", '{"cut']
    columns = {"index": "UInt8", "key": "String", "created_at": "DateTime", "updated_at": "DateTime"}
    rows = [[0, f"g{place}", 1770000000, 1770000000, text] for place, text in enumerate(texts)]
    clickhouse.table(7, "groups", {**columns, "properties": "String"}, rows)
    output = read("groups", project_ids=[7])
    found = [(row.get("properties"), row.get("_unreadable")) for row in output.records("groups")]
    assert found == [({"a": 123456789012345678901234567890, "b": 1.0}, None), *((None, text) for text in texts[1:])]


# --- what a server or a key does not have


def test_an_old_server_fails_the_streams_whose_tables_it_lacks_and_the_others_are_read(clickhouse: ClickHouse) -> None:
    posthog = posthog_with_tables(clickhouse, age=Age.JANUARY_2024)
    with answers_from(posthog), now_is(NOW):
        output = read(*TABLES)
        status, _ = run("check", config=given(*TABLES)).connection
    assert (output.status, status) == (1, "SUCCEEDED")
    for stream in ("groups", "cohort_members"):
        assert keys(output, stream) == due(posthog, stream)
        assert output.stream_status(stream) == "COMPLETE"
    named = {"sessions": ("sessions", "max_inserted_at"), "error_tracking_issues": ("system", "error_tracking_issues")}
    for stream, (table, what) in named.items():
        (sentence,) = [error for error in output.errors if error.startswith(f"Stream {stream}, projects 7 and 8: ")]
        assert f'does not have what the stream is read from ("Unknown table "{table}""), which needs' in sentence
        assert "a PostHog of 2026 or later" in sentence
        assert what in sentence
        assert "Remove the stream from `extra_streams`, or update PostHog." in sentence


def test_a_server_without_a_column_fails_that_stream_alone(posthog: PostHog, clickhouse: ClickHouse) -> None:
    columns = {"session_id": "String", "distinct_id": "String", "$start_timestamp": "DateTime64(6, 'UTC')"}
    for project in (7, 8):
        clickhouse.table(project, "sessions", columns)
    output = read("sessions", "groups")
    assert '("Unable to resolve field: ' in output.errors[0]
    assert "a PostHog of 2026 or later, whose table `sessions` has `max_inserted_at`" in output.errors[0]
    assert keys(output, "groups") == due(posthog, "groups")


def test_a_key_that_may_not_query_fails_these_streams_and_check_names_them(posthog: PostHog) -> None:
    posthog.account.add_key(Key("phx_lists", frozenset({"project:read", "cohort:read"})))
    output = read(*TABLES, "cohorts", api_key="phx_lists")
    assert output.status == 1
    for stream in TABLES:
        assert any(f"Stream {stream}" in error and "'query:read'" in error for error in output.errors), stream
    assert output.stream_status("cohorts") == "COMPLETE"
    checked = run("check", config=given(*TABLES, api_key="phx_lists"))
    assert checked.connection[0] == "SUCCEEDED"
    for stream in TABLES:
        assert any(f"Stream {stream} cannot be read" in line and "'query:read'" in line for line in checked.logs)
