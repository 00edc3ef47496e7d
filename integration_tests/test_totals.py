"""Events by queries: PostHog counts them first, and whoever watches a sync knows the total."""

import random
from functools import partial
from typing import Any

import pytest

from integration_tests.harness.connector import LIST, QUERY, Output, expected_keys
from integration_tests.harness.in_process import answers_from, now_is, sync, sync_at
from posthog_server import (
    DAY,
    Account,
    Fault,
    PostHog,
    account_with,
    event,
    make_events,
    microseconds,
    missing_scope,
    not_found,
    out_of_memory,
    rewrite,
    server_error,
    throttled,
    too_slow,
)

START = microseconds("2026-01-01T00:00:00Z")
NOW = START + 60 * DAY


def made(*numbers: int) -> Account:
    rng = random.Random(1)
    return account_with(
        {place: make_events(number, rng, start=START, span=50 * DAY) for place, number in enumerate(numbers, 1)}
    )


read = partial(sync_at, NOW, start_date="2026-01-01T00:00:00Z")


def estimates(output: Output) -> list[dict[str, Any]]:
    traces = [one["trace"] for one in output.messages if one["type"] == "TRACE"]
    return [trace["estimate"] for trace in traces if trace["type"] == "ESTIMATE"]


def is_count(seen: Any) -> bool:
    return bool(seen.body and "toDate(timestamp)" in seen.body["query"].get("query", ""))


def counts(posthog: PostHog) -> list[Any]:
    return [seen.project_id for seen in posthog.requests if is_count(seen)]


def test_projects_are_counted_once_and_the_stream_is_estimated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    account = made(700, 60, 450)
    output, posthog = read(account)
    assert output.keys("events") == expected_keys(account)["events"]
    assert sorted(counts(posthog)) == [1, 2, 3]
    last = estimates(output)[-1]
    assert (last["name"], last["type"]) == ("events", "STREAM")
    assert last["row_estimate"] == 1210
    lines = [line for line in caplog.messages if "counted by PostHog" in line]
    assert sorted(lines) == [
        f"Stream events, project {project}: {number} events counted by PostHog, {number} emitted"
        for project, number in ((1, 700), (2, 60), (3, 450))
    ]


def test_the_list_is_not_counted_nor_is_what_a_second_sync_has_read_before() -> None:
    output, posthog = read(made(700), way=LIST)
    assert (counts(posthog), estimates(output)) == ([], [])
    account = made(700)
    posthog = PostHog(account, query_cap=100)
    with answers_from(posthog), now_is(NOW):
        first = sync(start_date="2026-01-01T00:00:00Z", **QUERY.options)
        account.projects[1].add_events([event(NOW + place, created_at=NOW + place) for place in range(250)])
    with answers_from(posthog), now_is(NOW + DAY):
        second = sync(first.state, start_date="2026-01-01T00:00:00Z", **QUERY.options)
    assert len(counts(posthog)) == 2
    assert 250 <= estimates(second)[-1]["row_estimate"] <= 260


@pytest.mark.parametrize(
    "fault",
    [too_slow(), out_of_memory(), missing_scope("query:read"), not_found()],
    ids=["504", "513", "403", "404"],
)
def test_where_posthog_cannot_count_the_sync_goes_on_without_and_does_not_wait(
    fault: dict[str, Any], caplog: pytest.LogCaptureFixture, waits: list[float]
) -> None:
    caplog.set_level("INFO")
    account = made(700)
    output, _ = read(account, Fault(stream="query", times=None, when=is_count, **fault))
    assert (output.status, output.keys("events")) == (0, expected_keys(account)["events"])
    assert estimates(output) == []
    (line,) = [line for line in caplog.messages if "could not count the events" in line]
    assert line.startswith("Project 1: could not count the events (HTTP ")
    assert line.endswith("so they are read by time")
    assert waits == []
    assert not any("counted by PostHog" in line for line in caplog.messages)


def test_a_throttle_is_waited_for_since_reading_without_the_counts_costs_more(waits: list[float]) -> None:
    account = made(700)
    output, posthog = read(account, Fault(stream="query", times=2, when=is_count, **throttled(60)))
    assert (output.status, output.keys("events")) == (0, expected_keys(account)["events"])
    assert (len(waits), counts(posthog)) == (2, [1, 1, 1])
    assert estimates(output)


def test_fewer_events_than_counted_are_a_warning_that_names_the_project(caplog: pytest.LogCaptureFixture) -> None:
    more = rewrite(lambda body: {**body, "results": [["2026-01-05", 320]]})
    output, _ = read(made(700, 300), Fault(stream="query", project_id=2, times=None, when=is_count, **more))
    assert output.status == 0
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert warning.message.startswith(
        "Stream events, project 2: 320 events counted by PostHog, 300 emitted, 20 fewer. PostHog counts copies"
    )


def test_events_that_arrive_while_a_sync_runs_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    account = made(700)
    newest = max(one.at for one in account.projects[1].events)
    posthog = PostHog(account, query_cap=100)
    arriving = [event(newest, created_at=NOW)]

    def arrive(body: Any) -> Any:
        if len(body["results"]) == 100 and arriving:  # after the page that would have had it, and before the count
            account.projects[1].add_events([arriving.pop()])
        return body

    posthog.faults.add(Fault(stream="query", times=None, when=lambda seen: not is_count(seen), **rewrite(arrive)))
    with answers_from(posthog), now_is(NOW):
        output = sync(start_date="2026-01-01T00:00:00Z", events_time_step=91, **QUERY.options)
    assert (len(output.keys("events")), len(expected_keys(account)["events"])) == (700, 701)
    assert not any("fewer" in line for line in caplog.messages)


def test_a_project_whose_start_was_moved_back_is_not_counted_since_most_of_it_would_be_missing() -> None:
    account = made(700)
    posthog = PostHog(account, query_cap=100)
    with answers_from(posthog), now_is(NOW):
        first = sync(start_date="2026-02-18T00:00:00Z", **QUERY.options)
        second = sync(first.state, start_date="2026-01-01T00:00:00Z", **QUERY.options)
    assert len({*first.keys("events"), *second.keys("events")}) == 700
    assert estimates(second) == []


def test_a_project_that_fails_is_not_warned_of_too(caplog: pytest.LogCaptureFixture) -> None:
    refused = {**server_error(), "status": 403}
    fault = Fault(stream="query", skip=3, times=None, when=lambda seen: not is_count(seen), **refused)
    output, _ = read(made(700), fault)
    assert output.status == 1
    assert not any("fewer" in line for line in caplog.messages)


def test_progress_has_a_share_and_a_time_left_from_the_first_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    posthog = PostHog(made(3000), query_cap=100)
    monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: 20.0 * posthog.count("query"))
    with answers_from(posthog), now_is(NOW):
        sync(start_date="2026-01-01T00:00:00Z", events_time_step=91, **QUERY.options)
    lines = [line for line in caplog.messages if "windows done" in line]
    shares = [int(line.split(" windows done, ")[1].split(" %")[0]) for line in lines]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= 20
    assert 80 <= shares[-1] <= 100
    assert all("% of the 3000 events that PostHog counts, about " in line and "min left" in line for line in lines)
