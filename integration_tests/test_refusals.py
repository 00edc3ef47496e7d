"""What PostHog says when it does not answer: what a sync does about it, and how it is told."""

import json
import logging
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from integration_tests.harness import in_process
from integration_tests.harness.connector import Output, expected_keys
from integration_tests.harness.in_process import URL, answers_from, now_is
from posthog_server import (
    DAY,
    Account,
    Fault,
    PostHog,
    account_with,
    database_unavailable,
    make_events,
    make_persons,
    make_rows,
    microseconds,
    no_personal_keys,
    queries_budget_exceeded,
    queries_quota_exceeded,
    rewrite,
    too_many_bytes,
    under_heavy_load,
)

START = microseconds("2026-10-01T00:00:00Z")
LONG = "The modifier is not known.\n\n" + "  - extra inputs are not permitted\n" * 600
SQL = {"name": "q", "query": "SELECT event FROM events", "primary_key": ["event"]}


def some() -> Account:
    rng = random.Random(6)
    return account_with(
        {project: make_events(150, rng, start=START, span=50 * DAY, project=project) for project in (7, 8)},
        persons={project: make_persons(30, rng, project) for project in (7, 8)},
        cohorts={project: make_rows("cohorts", 5, rng, project) for project in (7, 8)},
        insights={project: make_rows("insights", 5, rng, project) for project in (7, 8)},
    )


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    made = PostHog(some(), cap=100, query_cap=100)
    with answers_from(made), now_is(START + 60 * DAY):
        yield made


read = partial(in_process.read, URL, start_date="2026-10-01T00:00:00Z")


def assert_whole(output: Output, posthog: PostHog, asked: str) -> None:
    stream = "events" if asked == "query" else asked
    assert (output.status, output.errors) == (0, [])
    assert output.keys(stream) == expected_keys(posthog.account)[stream]


# --- how long it is (26.6)

REFUSALS = {
    "a wrong request": (400, "invalid_input", "cohorts"),
    "no access": (403, "permission_denied", "cohorts"),
    "not found": (404, "not_found", "cohorts"),
    "a fault": (503, "busy", "cohorts"),
    "of events": (400, "invalid_input", "events"),
    "of events by query": (400, "parse_error", "query"),
    "too slow": (504, "clickhouse_timeout", "query"),
    "of insights": (400, "invalid_input", "insights"),
    "no quota": (402, "api_queries_quota_exceeded", "query"),
}


@pytest.mark.parametrize(("status", "code", "stream"), REFUSALS.values(), ids=REFUSALS)
def test_what_posthog_says_is_one_short_line_wherever_it_is_told(
    posthog: PostHog, status: int, code: str, stream: str
) -> None:
    body = {"type": "validation_error", "code": code, "detail": LONG, "attr": None}
    posthog.faults.add(Fault(stream=stream, times=None, status=status, body=body))
    output = read(stream, events_time_step=91, project_ids=[7])
    assert output.status == 1
    assert any("The modifier is not known. - extra inputs are not permitted" in error for error in output.errors)
    told = [*output.errors, *(trace["error"]["internal_message"] for trace in errors_of(output)), *lines(output)]
    assert max(line.count("extra inputs") for line in told) <= 9, "some 300 characters"
    assert all("\n" not in error for error in output.errors)
    # In the connector's own words, and not as the CDK repeats it with URL and headers.
    assert not any("Response (body)" in line or "'GET' request" in line for line in told)


@pytest.mark.parametrize("stream", ["cohorts", "query"])
def test_all_that_posthog_says_is_logged_once_for_debugging(
    posthog: PostHog, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"type": "server_error", "code": "busy", "detail": LONG, "attr": None}
    posthog.faults.add(Fault(stream=stream, times=None, status=503, body=body))
    with caplog.at_level(logging.DEBUG, "airbyte"):
        read(stream, events_time_step=91)
    whole = [one for one in caplog.records if one.getMessage().startswith("PostHog's whole answer")]
    assert [(one.levelno, one.getMessage().count("extra inputs")) for one in whole] == [(logging.DEBUG, 600)]


def test_an_insight_that_is_read_without_its_result_says_why_in_one_line(posthog: PostHog) -> None:
    body = {"type": "validation_error", "code": "invalid_input", "detail": LONG, "attr": None}
    posthog.faults.add(
        Fault(stream="insights", times=None, status=400, when=lambda seen: "basic" not in seen.query, body=body)
    )
    output = read("insights")
    assert_whole(output, posthog, "insights")
    (line, *_) = [line for line in lines(output) if "was read without its result" in line]
    assert (line.count("\n"), line.count("extra inputs") <= 9) == (0, True)


def errors_of(output: Output) -> list[dict[str, Any]]:
    return [trace for trace in output.of("TRACE") if trace["type"] == "ERROR"]


def lines(output: Output) -> list[str]:
    """The log, without the tracebacks that the CDK prints of errors."""
    return [line.partition("\nTraceback")[0] for line in output.logs]


# --- kinds of refusal (20.10, 20.14)


def test_a_budget_of_bytes_that_is_used_up_is_waited_for_as_long_as_it_says(
    posthog: PostHog, waits: list[float]
) -> None:
    posthog.faults.add(Fault(stream="query", project_id=7, times=2, **queries_budget_exceeded(1800)))
    output = read("query", events_time_step=91)
    assert_whole(output, posthog, "query")
    assert len(waits) == 2
    assert all(1800 <= wait <= 1800 * 1.1 + 3 for wait in waits)
    assert any(
        "asking again in 3" in line and "The project has used up the bytes that PostHog lets API queries read" in line
        for line in output.logs
    )


def test_a_budget_of_bytes_that_stays_used_up_ends_with_its_own_advice(posthog: PostHog, waits: list[float]) -> None:
    posthog.faults.add(Fault(stream="query", times=None, **queries_budget_exceeded(3600)))
    output = read("query", events_time_step=91)
    assert output.status == 1
    assert "HTTP 429, This project has used its hourly budget of data read by API queries" in output.errors[0]
    assert "The project has used up the bytes that PostHog lets API queries read in an hour" in output.errors[0]
    assert "slots" not in output.errors[0]
    assert sum(waits) > 5 * 3600


@pytest.mark.parametrize("stream", ["query", "q"])
def test_a_quota_of_bytes_that_is_used_up_fails_at_once_with_its_own_sentence(
    posthog: PostHog, waits: list[float], stream: str
) -> None:
    fault = posthog.faults.add(Fault(stream="query", times=None, **queries_quota_exceeded()))
    output = read(stream, events_time_step=91, queries=[SQL])
    assert output.status == 1
    error = output.errors[0]
    assert error.startswith(f"Stream {'events' if stream == 'query' else stream}, projects 7 and 8")
    assert 'used up the bytes that PostHog lets API queries read in a month ("API query quota exceeded.' in error
    assert "Set `events_api` to list" in error
    assert waits == []
    assert fault.used <= 6


@pytest.mark.parametrize("stream", ["events", "query"])
def test_a_range_of_too_many_bytes_is_halved(posthog: PostHog, waits: list[float], stream: str) -> None:
    posthog.faults.add(
        Fault(stream=stream, times=None, when=lambda seen: seen.range_seconds > 86_400 * 3, **too_many_bytes())
    )
    output = read(stream, events_time_step=30)
    assert_whole(output, posthog, stream)
    assert waits == []


@pytest.mark.parametrize("stream", ["events", "query", "persons", "insights"])
def test_a_database_under_heavy_load_is_waited_for_and_not_asked_for_less(
    posthog: PostHog, waits: list[float], stream: str
) -> None:
    posthog.faults.add(Fault(stream=stream, project_id=7, times=4, when=is_of_rows, **under_heavy_load()))
    output = read(stream, events_time_step=91)
    assert_whole(output, posthog, stream)
    assert len(waits) == 4
    asked = [seen for seen in posthog.requests if (seen.stream, seen.project_id) == (stream, 7) and is_of_rows(seen)]
    limits = {seen.query.get("limit") for seen in asked[:5]}  # the four that fail, and the one that is answered
    spans = {round(seen.range_seconds) for seen in posthog.requests if seen.stream == stream and is_of_rows(seen)}
    assert len(limits) == 1
    assert stream in ("persons", "insights") or min(spans) > 86_400 * 5


def test_a_database_that_stays_under_heavy_load_ends_with_its_own_advice(posthog: PostHog, waits: list[float]) -> None:
    posthog.faults.add(Fault(stream="persons", times=None, **under_heavy_load()))
    (error, *_) = read("persons").errors
    assert "no usable answer in 6 tries, the last one: HTTP 513, PostHog is under heavy load right now" in error
    assert "PostHog's database is under heavy load: run the sync when it is less busy." in error


@pytest.mark.parametrize("stream", ["query", "persons", "q"])
def test_what_always_has_too_many_bytes_ends_with_its_own_advice(
    posthog: PostHog, waits: list[float], stream: str
) -> None:
    asked = "persons" if stream == "persons" else "query"
    posthog.faults.add(
        Fault(stream=asked, times=None, when=lambda seen: "GROUP" not in str(seen.body), **too_many_bytes())
    )
    (error, *_) = read(stream, queries=[SQL]).errors
    assert "The query would read too many bytes" in error
    assert "PostHog refuses to read so many bytes, however little is asked for at a time" in error
    assert "busy" not in error


def test_a_database_that_stays_unavailable_ends_with_its_own_advice(posthog: PostHog, waits: list[float]) -> None:
    posthog.faults.add(Fault(stream="cohorts", times=None, **database_unavailable()))
    (error, *_) = read("cohorts").errors
    assert "HTTP 503, The database is temporarily unavailable. PostHog's database is not available: run the" in error


def is_of_rows(seen: Any) -> bool:
    """A count of events is not waited for."""
    return not seen.body or seen.body["query"]["kind"] == "EventsQuery"


@pytest.mark.parametrize("stream", ["events", "query", "cohorts"])
def test_a_database_that_asks_for_a_second_each_time_is_not_given_up_after_six(
    posthog: PostHog, waits: list[float], stream: str
) -> None:
    posthog.faults.add(Fault(stream=stream, project_id=7, times=5, when=is_of_rows, **database_unavailable()))
    output = read(stream, events_time_step=91)
    assert_whole(output, posthog, stream)
    assert [wait >= least for wait, least in zip(waits, (1, 2, 4, 8, 16), strict=True)] == [True] * 5


@pytest.mark.parametrize("stream", ["events", "query", "persons", "insights"])
def test_an_endpoint_that_lets_no_personal_key_in_is_told_apart_from_a_missing_access(
    posthog: PostHog, stream: str
) -> None:
    posthog.faults.add(Fault(stream=stream, times=None, **no_personal_keys()))
    output = read(stream, "cohorts", events_time_step=91)
    assert output.status == 1
    (error, *_) = output.errors
    assert 'lets no personal API key read this ("This action does not support Personal API Key access")' in error
    assert "project_ids" not in error
    assert output.keys("cohorts") == expected_keys(posthog.account)["cohorts"]


# --- answers that are none (20.27, 20.28)


@pytest.mark.matrix
@pytest.mark.parametrize("status", [300, 302, 304, 305, 399])
@pytest.mark.parametrize("stream", ["events", "query", "cohorts", "projects"])
def test_a_3xx_with_a_page_in_it_is_no_answer(posthog: PostHog, waits: list[float], stream: str, status: int) -> None:
    empty: dict[str, Any] = {"next": None, "results": [], "hasMore": False, "columns": [], "types": []}
    posthog.faults.add(Fault(stream=stream, times=2, when=is_of_rows, status=status, body=empty))
    output = read(stream, events_time_step=91)
    assert_whole(output, posthog, stream)
    assert len(waits) == 2


@pytest.mark.parametrize("status", [300, 302])
def test_a_3xx_that_stays_is_named(posthog: PostHog, waits: list[float], status: int) -> None:
    posthog.faults.add(Fault(stream="cohorts", times=None, status=status, body={"next": None, "results": []}))
    output = read("cohorts")
    assert f"no usable answer in 6 tries, the last one: HTTP {status}. " in output.errors[0]


Change = Callable[[Any], Any]


def first(column: str | int, value: Any) -> Change:
    """Put `value` into the first row of a page."""

    def spoil(body: Any) -> Any:
        for row in body["results"][:1]:
            row[column] = value
        return body

    return spoil


@pytest.mark.matrix
@pytest.mark.parametrize("id", [{"a": 1}, [7], True, 1.5, None], ids=json.dumps)
@pytest.mark.parametrize("stream", ["projects", "cohorts", "events", "query"])
def test_an_id_of_another_type_ends_in_a_sentence_with_its_place(posthog: PostHog, stream: str, id: Any) -> None:
    column = 0 if stream == "query" else "id"
    posthog.faults.add(Fault(stream=stream, times=None, **rewrite(first(column, id))))
    output = read(stream, events_time_step=91)
    assert output.status == 1
    where = {"projects": "Stream projects: ", "cohorts": "Stream cohorts, projects 7 and 8: "}
    assert output.errors[0].startswith(where.get(stream, "Stream events, projects 7 and 8, window 2026-10-01"))
    assert (", window 2026-10-01" in output.errors[0]) == (stream in ("events", "query"))
    assert "a row ha" in output.errors[0]
    assert "TypeError" not in output.text
    assert output.records("events") == []


@pytest.mark.parametrize("id", [{"a": 1}, [7]], ids=json.dumps)
def test_a_project_that_is_asked_for_by_its_id_has_one(posthog: PostHog, id: Any) -> None:
    posthog.faults.add(Fault(stream="projects", times=None, **rewrite(lambda body: {**body, "id": id})))
    output = read("cohorts", project_ids=[7])
    assert output.status == 1
    assert "a row has no `id` that is a string or a number" in output.errors[0]


@pytest.mark.parametrize("properties", ["email", ["email"], 7])
def test_properties_of_a_person_that_are_no_object_end_in_a_sentence_with_project_and_window(
    posthog: PostHog, properties: Any
) -> None:
    person = {"uuid": "p1", "distinct_id": "d1", "properties": properties, "created_at": None}
    posthog.faults.add(Fault(stream="query", times=None, **rewrite(first(6, person))))
    output = read("query", events_time_step=91)
    assert output.status == 1
    assert output.errors[0].startswith("Stream events, project ")
    assert ", window 2026-10-01" in output.errors[0]
    assert "the properties of the person of event" in output.errors[0]
