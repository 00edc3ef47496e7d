"""Throttles, broken answers and slow queries: what a sync does about them."""

import random
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from integration_tests.harness import in_process
from integration_tests.harness.connector import Output, catalog, config, expected_keys, run
from integration_tests.harness.dense import kind_of_query
from posthog_server import (
    DAY,
    Account,
    Event,
    Fault,
    PostHogServer,
    Project,
    Reply,
    Seen,
    account_with,
    busy,
    disconnect,
    empty,
    estimated_too_slow,
    html,
    make_events,
    make_persons,
    make_rows,
    microseconds,
    out_of_memory,
    reset,
    server_error,
    stall,
    throttled,
    too_slow,
    truncated,
)
from posthog_server.api import STREAMS

START = microseconds("2026-10-01T00:00:00Z")


def small(projects: Iterable[int] = (7,), events: int = 480) -> Account:
    """Some events in October and November, two of three in one day, and more than a page of the lists."""
    rng = random.Random(5)

    def made(project: int) -> list[Event]:
        spread = make_events(events // 3, rng, start=START, span=50 * DAY, project=project)
        return spread + make_events(2 * events // 3, rng, start=START + 40 * DAY, span=DAY, project=project)

    return account_with(
        {project: made(project) for project in projects},
        cohorts={project: make_rows("cohorts", 130, rng, project) for project in projects},
        insights={project: make_rows("insights", 130, rng, project) for project in projects},
        persons={project: make_persons(1300, rng, project) for project in projects},
        feature_flags={project: make_rows("feature_flags", 3, rng, project) for project in projects},
        annotations={project: make_rows("annotations", 3, rng, project) for project in projects},
    )


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(small(), cap=100, query_cap=100, third_list_wait=5) as running:
        yield running


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z")


def stream_of(asked: str) -> str:
    return "events" if asked in ("query", "ranges") else asked


def in_the_middle(asked: str, **fault: Any) -> Fault:
    """A fault of what is asked for after the first page, or after the first range of the order of storage."""
    if asked == "ranges":
        return Fault(stream="query", skip=1, when=lambda seen: kind_of_query(seen) == "keys", **fault)
    return Fault(stream=asked, skip=1, when=is_waited_for, **fault)


def assert_complete(output: Output, server: PostHogServer, *streams: str) -> None:
    expected = expected_keys(server.posthog.account)
    chosen = tuple(map(stream_of, streams)) or STREAMS
    assert {stream: output.keys(stream) for stream in chosen} == {stream: expected[stream] for stream in chosen}
    assert (output.status, output.errors) == (0, [])


def is_waited_for(seen: Seen) -> bool:
    """A count of events is not."""
    return not seen.body or seen.body["query"]["kind"] == "EventsQuery"


# --- throttles


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("fault", "least"),
    [
        (throttled(2202), 2202),
        (throttled(2202, header=False), 2202),
        (throttled(2202, header=False, in_body=False), 1),
        (throttled(30), 30),
    ],
    ids=["header", "sentence", "neither", "short"],
)
@pytest.mark.parametrize("stream", ["events", "query", "ranges", "insights", "persons", "cohorts"])
def test_a_throttled_sync_waits_as_told_announces_it_and_goes_on(
    server: PostHogServer, waits: list[float], stream: str, fault: dict[str, Any], least: int
) -> None:
    server.posthog.faults.add(in_the_middle(stream, times=2, **fault))
    output = read(server, stream)
    assert_complete(output, server, stream)
    assert len(waits) == 2
    assert all(least <= wait <= least * 1.1 + 3 for wait in waits)
    reasons = [
        reason["type"]
        for trace in output.of("TRACE")
        if trace["type"] == "STREAM_STATUS"
        for reason in trace["stream_status"].get("reasons") or []
    ]
    assert reasons == ["RATE_LIMITED"] * 2


@pytest.mark.parametrize("asked", ["events", "query"])
def test_a_sync_outlasts_more_than_an_hour_of_throttling(asked: str, server: PostHogServer, waits: list[float]) -> None:
    server.posthog.faults.add(Fault(stream=asked, times=40, **throttled(header=False, in_body=False)))
    assert_complete(read(server, asked), server, asked)
    assert sum(waits) > 3600


def test_workers_that_were_throttled_together_do_not_come_back_together(waits: list[float]) -> None:
    with PostHogServer(small(projects=range(1, 11), events=20)) as server:
        server.posthog.faults.add(Fault(stream="events", times=10, **throttled(600)))
        assert_complete(read(server, "events"), server, "events")
    assert len({round(wait) for wait in waits}) > 5
    assert min(waits) >= 600


# --- faults that pass

PASSING = {
    "500": server_error(),
    "502": html(502),
    "503": busy(),
    "504 from a proxy": html(504),
    "520": html(520),
    "524": html(524),
    "HTML with 200": html(200),
    "empty body": empty(),
    "truncated JSON": truncated(),
    "connection that ends in mid-body": disconnect(),
    "connection reset": reset(),
}


@pytest.mark.matrix
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("stream", ["events", "query", "ranges", "insights", "persons"])
def test_a_fault_in_the_middle_of_a_stream_loses_and_repeats_nothing(
    server: PostHogServer, stream: str, fault: dict[str, Any]
) -> None:
    injected = server.posthog.faults.add(in_the_middle(stream, times=3, **fault))
    assert_complete(read(server, stream), server, stream)
    assert injected.used  # 3 times, or less where the range is asked for in other pieces after one


def test_a_fault_of_the_list_of_projects_is_tried_again(server: PostHogServer, waits: list[float]) -> None:
    server.posthog.faults.add(Fault(stream="projects", times=2, **busy()))
    assert_complete(read(server), server)
    assert waits[0] < waits[1]


@pytest.mark.parametrize("stream", ["events", "query", "persons"])
def test_a_fault_that_stays_ends_in_one_sentence_that_says_what_to_try(
    server: PostHogServer, waits: list[float], stream: str
) -> None:
    server.posthog.faults.add(Fault(stream=stream, times=None, **busy()))
    output = read(server, stream, events_time_step=91)
    assert output.status == 1
    assert output.stream_status(stream_of(stream)) == "INCOMPLETE"
    assert f"Stream {stream_of(stream)}, project 7" in output.errors[0]
    assert "no usable answer in 6 tries" in output.errors[0]
    assert "Run the sync again later" in output.errors[0]
    assert ("window 2026-10-01T00:00:00.000000Z to" in output.errors[0]) == (stream_of(stream) == "events")
    trace = next(trace["error"] for trace in output.of("TRACE") if trace["type"] == "ERROR")
    assert trace["failure_type"] == "transient_error"
    assert 20 < sum(waits[:5]) < 120


def test_a_server_that_is_not_there_is_a_sentence(waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    output = run("read", config=config(f"http://127.0.0.1:{port}"), catalog=catalog())
    assert output.status == 1
    refused = f"127.0.0.1:{port} refused the connection"
    assert f"Stream projects: no usable answer in 6 tries, the last one: {refused}. " in output.errors[0]
    assert len(waits) == 5
    assert [line.endswith(f" ({refused}).") for line in retries(output)] == [True]


def retries(output: Output) -> list[str]:
    assert "Rate limit" not in output.text
    return [line for line in output.logs if "asking again" in line]


def test_a_host_that_does_not_resolve_is_a_sentence(waits: list[float]) -> None:
    output = run("check", config=config("http://no-such-host.invalid"))
    assert output.connection[0] == "FAILED"
    assert "the last one: the name no-such-host.invalid could not be resolved (" in output.connection[1]
    assert len(retries(output)) == 1


def test_a_server_without_encryption_is_named_where_https_was_expected(server: PostHogServer) -> None:
    output = run("check", config=config(server.url.replace("http:", "https:")))
    host = server.url.removeprefix("http://")
    assert f"no encrypted connection to {host} could be made (" in output.connection[1]
    assert len(retries(output)) == 1


def test_the_log_names_what_is_tried_again_at_most_once_a_minute(server: PostHogServer, waits: list[float]) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", project_id=7, times=5, **busy()))
    output = read(server, "cohorts")
    lines = retries(output)
    assert len(lines) == 1 + (sum(waits) >= 60)
    assert lines[0].startswith("Stream cohorts: asking again in ")
    assert "HTTP 503" in lines[0]


def test_every_request_has_a_timeout_to_connect_and_one_to_read(
    server: PostHogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = set()
    original = HTTPAdapter.send

    def spy(self: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        timeouts.add(options["timeout"])
        return original(self, request, **options)

    monkeypatch.setattr(HTTPAdapter, "send", spy)
    read(server)
    assert timeouts == {(30, 120)}


# --- too slow


@pytest.mark.matrix
@pytest.mark.parametrize("asked", ["events", "query"])
@pytest.mark.parametrize(
    "fault", [too_slow(), estimated_too_slow(), out_of_memory(), html(524)], ids=["504", "512", "513", "524"]
)
def test_a_window_that_is_too_slow_is_halved_and_nothing_is_read_twice(
    asked: str, server: PostHogServer, fault: dict[str, Any]
) -> None:
    server.posthog.faults.add(
        Fault(stream=asked, times=None, when=lambda seen: seen.range_seconds > 86_400 * 3, **fault)
    )
    output = read(server, asked)
    assert_complete(output, server, asked)
    spans = [seen.range_seconds for seen in server.posthog.requests if seen.stream == asked]
    assert max(spans) > 86_400 * 29


@pytest.mark.parametrize("asked", ["events", "query"])
def test_a_read_that_times_out_halves_the_window_too(
    asked: str, server: PostHogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = HTTPAdapter.send

    def impatient(self: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        return original(self, request, **{**options, "timeout": (5, 0.3)})

    monkeypatch.setattr(HTTPAdapter, "send", impatient)
    server.posthog.faults.add(
        Fault(stream=asked, times=None, when=lambda seen: seen.range_seconds > 86_400 * 10, **stall(1))
    )
    assert_complete(read(server, asked), server, asked)
    spans = {seen.range_seconds for seen in server.posthog.requests if seen.stream == asked}
    assert len(spans) > 2


@pytest.mark.parametrize("asked", ["events", "query"])
def test_a_server_too_slow_for_a_second_of_events_is_tried_again_and_then_reported(
    asked: str, server: PostHogServer, waits: list[float]
) -> None:
    server.posthog.faults.add(Fault(stream=asked, times=None, **too_slow()))
    output = read(server, asked, events_time_step=91)
    assert output.status == 1
    assert "Stream events, project 7, window 2026-10-01T00:00:00.000000Z to" in output.errors[0]
    assert "HTTP 504" in output.errors[0]
    spans = [seen.range_seconds for seen in server.posthog.requests if seen.stream == asked]
    assert min(spans) <= 1.000001
    assert len(waits) == 5


@pytest.mark.parametrize("asked", ["events", "query"])
def test_events_at_one_instant_are_read_through_a_slow_spell_at_that_instant(asked: str, server: PostHogServer) -> None:
    tied = make_events(450, random.Random(1), start=START + 5 * DAY, span=1)
    server.posthog.account.projects[7].add_events(tied)
    server.posthog.faults.add(Fault(stream=asked, times=3, when=lambda seen: seen.range_seconds < 0.001, **too_slow()))
    assert_complete(read(server, asked), server, asked)


def test_nobody_waits_for_the_first_event_where_that_question_is_too_slow(
    server: PostHogServer, waits: list[float]
) -> None:
    question = Fault(stream="events", times=None, when=lambda seen: "orderBy" in seen.query, **too_slow())
    server.posthog.faults.add(question)
    assert_complete(read(server, "events", start_date="2025-01-01T00:00:00Z"), server, "events")
    assert (question.used, waits) == (1, [])


@pytest.mark.parametrize("fault", [server_error(), too_slow(), out_of_memory()], ids=["500", "504", "513"])
def test_pages_of_insights_shrink_until_the_server_can_answer(server: PostHogServer, fault: dict[str, Any]) -> None:
    server.posthog.faults.add(
        Fault(stream="insights", times=None, when=lambda seen: int(seen.query["limit"]) > 10, **fault)
    )
    assert_complete(read(server, "insights"), server, "insights")


@pytest.mark.parametrize("status", [400, 500])
def test_a_broken_insight_is_read_without_its_result_and_named_in_the_log(
    server: PostHogServer, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = server.posthog.account.projects[7]
    broken = project.insights[40]["id"]
    project.broken_insights[broken] = status
    mend_where_basic(server, project, monkeypatch)
    output = read(server, "insights")
    assert_complete(output, server, "insights")
    assert any(f"Insight {broken} " in line and "without its result" in line for line in output.logs)


def mend_where_basic(server: PostHogServer, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With basic=true the server computes no results, so a broken insight does no harm."""
    answer = server.posthog.handle

    def handle(method: str, path: str, query: str, headers: Mapping[str, str]) -> Reply:
        if "basic=true" not in query:
            return answer(method, path, query, headers)
        broken, project.broken_insights = project.broken_insights, {}
        try:
            return answer(method, path, query, headers)
        finally:
            project.broken_insights = broken

    monkeypatch.setattr(server.posthog, "handle", handle)


def test_an_insight_that_cannot_be_read_at_all_fails_its_stream_and_not_the_others(server: PostHogServer) -> None:
    project = server.posthog.account.projects[7]
    project.broken_insights[project.insights[40]["id"]] = 400
    output = read(server)
    assert output.status == 1
    assert output.stream_status("insights") == "INCOMPLETE"
    assert_complete_but(output, server, "insights")


def assert_complete_but(output: Output, server: PostHogServer, failed: str) -> None:
    expected = expected_keys(server.posthog.account)
    for stream in STREAMS:
        if stream != failed:
            assert output.keys(stream) == expected[stream]
            assert output.stream_status(stream) == "COMPLETE"


# --- the budget


@pytest.mark.parametrize("asked", ["events", "query"])
def test_the_cloud_budget_is_not_spent_on_a_server_of_ones_own(
    asked: str, server: PostHogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "airbyte_cdk.sources.streams.call_rate.MovingWindowCallRatePolicy.try_acquire",
        lambda *_: pytest.fail("a self-hosted server is slowed"),
    )
    assert_complete(read(server, asked), server, asked)


@pytest.mark.parametrize("asked", ["events", "query"])
def test_a_throttled_answer_does_not_close_the_budget(asked: str, server: PostHogServer, waits: list[float]) -> None:
    server.posthog.faults.add(Fault(stream=asked, times=1, **throttled(5)))
    assert_complete(read(server, asked), server, asked)
    assert len(waits) == 1
