"""The streams that `extra_streams` names: each whole, whatever the server does, and nothing asked for the others."""

import json
from typing import Any

import pytest

from integration_tests.harness.connector import config, expected_keys, run
from integration_tests.harness.extra import OWNERS, asked, offsets, owner_in_words, require_whole, rows_asked_for, some
from integration_tests.harness.in_process import URL, answers_from, read
from posthog_server import Fault, Key, rewrite, throttled, too_slow
from posthog_server.api import STREAMS
from posthog_server.clickhouse import ClickHouse
from posthog_server.extra import EXTRA
from posthog_server.extra.objects import unordered

LISTS = [name for name, one in EXTRA.items() if one.path]  # the others are read by query


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


def test_check_asks_each_that_is_named_for_a_single_row_and_names_the_scopes_that_are_missing(
    clickhouse: ClickHouse,
) -> None:
    posthog = some(clickhouse=clickhouse)
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
def test_every_row_is_read_once_in_one_page_or_in_many(stream: str, clickhouse: ClickHouse) -> None:
    posthog = some(stream, clickhouse=clickhouse)
    require_whole(read(posthog, stream), posthog, stream)
    posthog.extra_cap = posthog.query_cap = 5
    require_whole(read(posthog, stream), posthog, stream)


@pytest.mark.parametrize("stream", EXTRA)
def test_a_missing_scope_fails_that_stream_alone(stream: str, clickhouse: ClickHouse) -> None:
    posthog = some(clickhouse=clickhouse)
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
    assert any(
        line.startswith("Stream surveys cannot be read in project 7: ") and "PostHog of 2024" in line
        for line in check.logs
    )


def test_where_the_server_does_not_know_organizations_each_stream_of_theirs_fails() -> None:
    of_organizations = [name for name in LISTS if EXTRA[name].owner != "project"]
    output = read(some(without=["organizations"]), *of_organizations)
    assert [output.stream_status(name) for name in of_organizations] == ["INCOMPLETE"] * len(of_organizations)


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
