"""The streams that `extra_streams` names: each whole, whatever the server does, and nothing asked for the others."""

import json
import random
from typing import Any

import pytest

from integration_tests.harness.connector import Output, config, expected_keys, run
from integration_tests.harness.in_process import URL, answers_from, now_is, read
from posthog_server import (
    SECOND,
    Age,
    Fault,
    Key,
    PostHog,
    Project,
    Seen,
    account,
    microseconds,
    rewrite,
    throttled,
    too_slow,
)
from posthog_server.api import STREAMS
from posthog_server.extra import EXTRA, definitions, extra_rows, make_extra
from posthog_server.extra.objects import unordered
from posthog_server.rows import drf_time

OWNERS = {7: "0190a000-0000-7000-8000-000000000007", 8: "0190a000-0000-7000-8000-000000000008"}
LISTS = [name for name, one in EXTRA.items() if one.path]  # the others are read by query


def some(*streams: str, rows: int = 12, **options: Any) -> PostHog:
    """Two projects of two organizations, with rows of `streams`, of all extra streams where none is named."""
    rng = random.Random(23)
    made = account(Project(7, organization=OWNERS[7]), Project(8, organization=OWNERS[8]))
    for stream in streams or EXTRA:
        if EXTRA[stream].owner:
            owned = extra_rows(made, stream).values()
            for project, number, kept in zip((7, 8), (rows, 3), owned, strict=True):
                kept += make_extra(stream, number, rng, project)
    return PostHog(made, **options)


def require_whole(output: Output, posthog: PostHog, stream: str) -> None:
    assert (output.status, output.errors) == (0, [])
    assert output.keys(stream) == expected_keys(posthog.account)[stream]


def asked(posthog: PostHog, stream: str) -> list[int]:
    """The offset of each request of a list."""
    return [int(seen.query.get("offset", 0)) for seen in posthog.requests if seen.stream == stream]


def queries(posthog: PostHog, stream: str) -> list[dict[str, str]]:
    """The parameters of each request of a list for project 7."""
    return [seen.query for seen in posthog.requests if (seen.stream, seen.project_id) == (stream, 7)]


def offsets(posthog: PostHog, stream: str) -> list[int]:
    """The offset of each of them."""
    return [int(query.get("offset", 0)) for query in queries(posthog, stream)]


def rows_asked_for(seen: Seen) -> int:
    return int(seen.query.get("limit") or seen.query["page_size"])


def owner_in_words(stream: str) -> str:
    """How an error about the list of project 7 begins."""
    owner = EXTRA[stream].owner
    return f"Stream {stream}" + (f", {owner} {7 if owner == 'project' else OWNERS[7]}" if owner else "")


# --- which there are


def test_what_is_not_named_is_not_shown_and_not_asked_for() -> None:
    posthog = some()
    with answers_from(posthog):
        found = run("discover", config=config(URL))
        run("check", config=config(URL))
    assert [one["name"] for one in next(found.of("CATALOG"))["streams"]] == list(STREAMS)
    assert {seen.stream for seen in posthog.requests} <= set(STREAMS)


def test_what_is_named_is_shown_with_its_key_and_discover_asks_for_nothing() -> None:
    posthog = some()
    with answers_from(posthog):
        found = run("discover", config=config(URL, extra_streams=list(EXTRA)))
    streams = {one["name"]: one for one in next(found.of("CATALOG"))["streams"]}
    assert sorted(streams) == sorted([*STREAMS, *EXTRA])
    assert posthog.requests == []
    for name, one in EXTRA.items():
        assert streams[name]["source_defined_primary_key"] == one.primary_key()
        assert streams[name].get("default_cursor_field", []) == ([one.cursor] if one.cursor else [])


def test_check_asks_each_that_is_named_for_a_single_row_and_names_the_scopes_that_are_missing() -> None:
    posthog = some()
    allowed = {"project:read", "cohort:read"}
    posthog.account.add_key(Key("phx_limited", frozenset(allowed)))
    with answers_from(posthog):
        whole = run("check", config=config(URL, extra_streams=list(EXTRA)))
        limits = {seen.stream: rows_asked_for(seen) for seen in posthog.requests if seen.stream in LISTS}
        limited = run("check", config=config(URL, api_key="phx_limited", extra_streams=list(EXTRA)))
    assert whole.connection == limited.connection == ("SUCCEEDED", "")
    assert not [line for line in whole.logs if "cannot be read" in line]
    assert limits == dict.fromkeys(LISTS, 1)
    for name, one in EXTRA.items():  # of what is an organization's, these are listed first
        scope = "organization:read" if one.owner == "organization" else one.scope
        assert any(f"Stream {name} cannot be read" in line and f"'{scope}'" in line for line in limited.logs)


NOT_ONE = "of `extra_streams` is not the name of an extra stream."
WRONG_NAMES: dict[str, tuple[dict[str, Any], str]] = {
    "near": ({"extra_streams": ["survey"]}, f"Entry 1 {NOT_ONE} Did you mean `surveys`?"),
    "unknown": ({"extra_streams": ["surveys", "Z"]}, f"Entry 2 {NOT_ONE} They are "),
    "no name": ({"extra_streams": [7]}, f"Entry 1 {NOT_ONE}"),
    "one of the seven": (
        {"extra_streams": ["events"]},
        "Entry 1 of `extra_streams` is one of the seven streams, which",
    ),
    "twice": ({"extra_streams": ["surveys", "surveys"]}, "The option `extra_streams` has duplicates: list each value"),
    "no list": ({"extra_streams": "surveys"}, "The option `extra_streams` must be a list of names."),
    "of a query": (
        {"queries": [{"name": "surveys", "query": "SELECT 1 AS a", "primary_key": ["a"]}]},
        "The query `surveys` has the name of a built-in stream: choose another `name`.",
    ),
}


@pytest.mark.parametrize(("options", "sentence"), WRONG_NAMES.values(), ids=WRONG_NAMES)
@pytest.mark.parametrize("command", ["check", "discover"])
def test_a_wrong_name_gets_one_sentence(options: dict[str, Any], sentence: str, command: str) -> None:
    output = run(command, config=config("http://nowhere.invalid", **options))
    said = output.errors[0] if output.errors else output.connection[1]
    assert said.startswith(sentence)
    assert "Traceback" not in said


# --- each of them whole


@pytest.mark.parametrize("stream", EXTRA)
def test_every_row_is_read_once_in_one_page_or_in_many(stream: str) -> None:
    posthog = some(stream)
    require_whole(read(posthog, stream), posthog, stream)
    posthog.extra_cap = 5
    require_whole(read(posthog, stream), posthog, stream)


@pytest.mark.parametrize("stream", EXTRA)
def test_a_missing_scope_fails_that_stream_alone(stream: str) -> None:
    posthog = some()
    other = (
        next(name for name, one in EXTRA.items() if one.scope != EXTRA[stream].scope) if len(EXTRA) > 1 else "cohorts"
    )
    scopes = {"project:read", "cohort:read", *(one.scope for one in EXTRA.values())} - {EXTRA[stream].scope}
    posthog.account.add_key(Key("phx_limited", frozenset(scopes)))
    output = read(posthog, stream, other, api_key="phx_limited")
    assert output.status == 1
    assert f"'{EXTRA[stream].scope}'" in output.errors[0]
    assert output.keys(other) == expected_keys(posthog.account)[other]


@pytest.mark.parametrize("stream", LISTS)
def test_an_object_that_the_server_does_not_know_fails_that_stream_alone_and_says_what_it_needs(stream: str) -> None:
    posthog = some(without=[stream])
    output = read(posthog, stream, "cohorts", project_ids=[7])
    assert output.status == 1
    assert output.errors[0].startswith(f"{owner_in_words(stream)}: This PostHog server does not have ")
    assert '("Endpoint not found."), which needs PostHog' in output.errors[0]
    assert output.stream_status("cohorts") == "COMPLETE"


def test_what_the_server_does_not_know_is_told_once_and_named_by_check() -> None:
    posthog = some("surveys", without=["surveys"])
    output = read(posthog, "surveys")
    assert len([error for error in output.errors if error.startswith("Stream surveys, project")]) == 1
    with answers_from(posthog):
        check = run("check", config=config(URL, extra_streams=["surveys"]))
    assert any(line.startswith("Stream surveys cannot be read: ") and "PostHog of 2024" in line for line in check.logs)


@pytest.mark.parametrize("stream", LISTS)
def test_throttles_are_waited_for_and_pages_that_are_too_slow_get_shorter(stream: str, waits: list[float]) -> None:
    posthog = some(stream, rows=70)
    posthog.faults.add(Fault(stream=stream, times=2, **throttled(30)))
    posthog.faults.add(Fault(stream=stream, times=None, when=lambda seen: rows_asked_for(seen) > 70, **too_slow()))
    require_whole(read(posthog, stream), posthog, stream)
    assert len(waits) == 2


# --- an order that the server leaves open


UNORDERED = [*(name for name in LISTS if EXTRA[name].answer is unordered and EXTRA[name].owner), "actions"]


@pytest.mark.parametrize("stream", UNORDERED)
def test_a_list_that_moved_while_it_was_read_is_read_again_and_each_row_is_emitted_once(stream: str) -> None:
    posthog = some(stream, moves=3, extra_cap=5)
    output = read(posthog, stream, project_ids=[7])
    expected = [key for key in expected_keys(posthog.account)[stream] if key[0] in (7, OWNERS[7])]
    assert (output.status, output.keys(stream)) == (0, expected)
    assert asked(posthog, stream) == 2 * [0, 5, 10]
    assert not [line for line in output.logs if "counts" in line]


@pytest.mark.parametrize("stream", UNORDERED)
def test_a_list_that_never_stands_still_ends_with_a_warning(stream: str) -> None:
    posthog = some(stream, rows=40, moves=10**6, extra_cap=5)
    output = read(posthog, stream, project_ids=[7])
    got = output.keys(stream)
    there = [key for key in expected_keys(posthog.account)[stream] if key[0] in (7, OWNERS[7])]
    (said,) = [line for line in output.logs if "counts" in line]
    assert f"{owner_in_words(stream)}: PostHog counts {len(there)} rows, and its list shows {len(got)}, " in said
    assert output.status == 0
    assert len(got) == len(set(got)) < len(there)
    assert len(asked(posthog, stream)) == 16


def test_a_short_page_is_no_end_and_what_it_lacked_is_read_again() -> None:
    posthog = some("surveys", extra_cap=5)
    lacking = rewrite(lambda body: {**body, "results": body["results"][:2]})
    posthog.faults.add(Fault(stream="surveys", project_id=7, times=2, **lacking))
    require_whole(read(posthog, "surveys"), posthog, "surveys")
    assert offsets(posthog, "surveys") == 2 * [0, 5, 10]


def test_a_row_that_cannot_be_emitted_is_named_once_and_not_missed() -> None:
    posthog = some("surveys", extra_cap=5)
    rows = posthog.account.projects[7].extra["surveys"]
    rows[3]["conditions"] = "too deep"
    deep = rewrite(lambda body: json.dumps(body).replace('"too deep"', "[" * 900 + "]" * 900).encode())
    posthog.faults.add(Fault(stream="surveys", times=None, **deep))
    output = read(posthog, "surveys", project_ids=[7])
    assert output.keys("surveys") == sorted((7, row["id"]) for row in rows if row is not rows[3])
    assert len([line for line in output.logs if f"the record {rows[3]['id']} is nested more than" in line]) == 1
    assert "1 records were not emitted" in output.errors[0]
    assert offsets(posthog, "surveys") == [0, 5, 10]


# --- the odd ways of single lists


def test_actions_have_no_next_and_their_count_says_whether_there_are_more() -> None:
    posthog = some("actions")
    require_whole(read(posthog, "actions"), posthog, "actions")
    assert queries(posthog, "actions") == [{"limit": "10000"}]
    posthog.reset()
    posthog.extra_cap = 5
    require_whole(read(posthog, "actions"), posthog, "actions")
    assert offsets(posthog, "actions") == [0, 5, 10]


def test_old_servers_give_all_actions_whatever_the_limit_and_without_a_count() -> None:
    posthog = some("actions", age=Age.JANUARY_2024)
    slow = Fault(stream="actions", times=None, when=lambda seen: int(seen.query["limit"]) > 5, **too_slow())
    posthog.faults.add(slow)
    require_whole(read(posthog, "actions"), posthog, "actions")
    assert offsets(posthog, "actions")[-1] == 0


def test_experiments_are_read_in_two_passes_since_no_list_has_archived_ones_and_others() -> None:
    posthog = some("experiments")
    require_whole(read(posthog, "experiments"), posthog, "experiments")
    asked_for = sorted(queries(posthog, "experiments"), key=len)
    assert asked_for == [{"limit": "1000", "order": "created_at"} | archived for archived in ({}, {"archived": "true"})]


def test_dashboards_are_never_asked_for_one_by_one_which_would_change_them() -> None:
    posthog = some("dashboards", extra_cap=5)
    require_whole(read(posthog, "dashboards"), posthog, "dashboards")
    assert {seen.path for seen in posthog.requests if "dashboards" in seen.path} == {
        f"/api/projects/{project}/dashboards" for project in (7, 8)
    }


def test_dashboards_of_one_name_can_move_between_two_pages() -> None:
    posthog = some("dashboards", moves=3, extra_cap=5)
    for row in posthog.account.projects[7].extra["dashboards"]:
        row |= {"name": "Growth", "pinned": False}
    output = read(posthog, "dashboards", project_ids=[7])
    assert output.keys("dashboards") == [key for key in expected_keys(posthog.account)["dashboards"] if key[0] == 7]
    assert offsets(posthog, "dashboards") == 2 * [0, 5, 10]


def test_the_count_of_event_definitions_stops_and_their_next_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "EXACT_UP_TO", 10)
    monkeypatch.setattr(definitions, "MOST_COUNTED", 4)
    posthog = some("event_definitions", extra_cap=5)
    output = read(posthog, "event_definitions")
    require_whole(output, posthog, "event_definitions")
    assert not [line for line in output.logs if "counts" in line]
    assert [query["ordering"] for query in queries(posthog, "event_definitions")] == 3 * ["name"]


def test_notebooks_go_on_from_the_state_and_lose_none_that_shares_its_instant() -> None:
    at, hour = microseconds("2026-06-01T00:00:00Z"), 3600 * SECOND
    rng, posthog = random.Random(5), some("notebooks", rows=0)
    rows = posthog.account.projects[7].extra["notebooks"]

    def changed(hours: int) -> None:
        rows.append({**EXTRA["notebooks"].make(len(rows), rng), "last_modified_at": drf_time(at + hours * hour)})

    for hours in range(8):
        changed(hours)
    with now_is(at + 10 * hour):
        first = read(posthog, "notebooks", project_ids=[7])
        changed(7)  # at the instant of the state
        changed(9)
        rows[2]["last_modified_at"] = drf_time(at + 9 * hour)
        second = read(posthog, "notebooks", project_ids=[7], state=first.state)
    assert first.ids("notebooks") == sorted(row["id"] for row in rows[:8])
    assert second.ids("notebooks") == sorted(rows[place]["id"] for place in (2, 7, 8, 9))
    before = drf_time(at + 7 * hour - 600 * SECOND).replace("Z", ".000000Z")  # date_from is exclusive
    limit = {"limit": "1000", "order": "created_at"}
    assert queries(posthog, "notebooks") == [limit, {**limit, "date_from": before}]


def test_property_definitions_are_read_type_by_type_and_virtual_ones_once() -> None:
    posthog = some("property_definitions", rows=100, extra_cap=5)
    output = read(posthog, "property_definitions")
    require_whole(output, posthog, "property_definitions")
    wanted = [{"type": "event"}, {"type": "person"}, {"type": "session"}]
    wanted += [{"type": "group", "group_type_index": str(index)} for index in range(5)]
    got = queries(posthog, "property_definitions")
    assert [query for query in wanted if not any(query.items() <= one.items() for one in got)] == []
    virtual = [row["id"] for row in output.records("property_definitions") if row["id"].startswith("$builtin_")]
    assert len(virtual) == len(set(virtual)) > 0
    persons = [int(query.get("offset", 0)) for query in got if query["type"] == "person"]
    assert persons == [0, 5], "none beyond the end, where the virtual ones come again"


def test_a_server_that_knows_no_properties_of_sessions_is_read_without_them() -> None:
    posthog = some("property_definitions", age=Age.JANUARY_2024)
    for project in posthog.account.projects.values():
        rows = project.extra["property_definitions"]
        project.extra["property_definitions"] = [row for row in rows if row["type"] != "session"]
    require_whole(read(posthog, "property_definitions"), posthog, "property_definitions")


@pytest.mark.parametrize("groups", [0, 5])
def test_group_types_are_an_array_by_itself(groups: int) -> None:
    posthog = some("group_types", rows=groups)
    require_whole(read(posthog, "group_types"), posthog, "group_types")


def test_group_types_may_be_paged_some_day() -> None:
    posthog = some("group_types")
    paged = rewrite(lambda rows: {"count": len(rows), "next": None, "previous": None, "results": rows})
    posthog.faults.add(Fault(stream="group_types", times=None, **paged))
    require_whole(read(posthog, "group_types"), posthog, "group_types")


def test_an_array_is_no_list_of_the_other_streams() -> None:
    posthog = some("surveys")
    posthog.faults.add(Fault(stream="surveys", times=None, **rewrite(lambda body: body["results"])))
    output = read(posthog, "surveys")
    assert output.status == 1
    assert "cannot be used: it is not a JSON object" in output.errors[0] or "no usable answer" in output.errors[0]
    assert output.records("surveys") == []
