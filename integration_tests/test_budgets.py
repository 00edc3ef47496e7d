"""What queries may cost: PostHog's budget of bytes, and our memory."""

import threading
from typing import Any

import pytest

from integration_tests.harness.connector import LIST, QUERY, Way, expected_keys
from integration_tests.harness.in_process import answers_from, now_is, sync
from posthog_server import DAY, SECOND, PostHog, account_with, event, microseconds

START = microseconds("2026-01-01T00:00:00Z")
NOW = START + 40 * DAY


def server(number: int, size: int, **options: Any) -> PostHog:
    events = [event(START + place * SECOND, properties={"text": "x" * size}) for place in range(number)]
    return PostHog(account_with({7: events}), **{"query_cap": 100, "counts_bytes": True, "granule": 64, **options})


def test_what_posthog_read_and_what_is_left_of_the_hour_is_said_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    posthog = server(300, 20_000, read_budget=20_000_000_000)
    with answers_from(posthog), now_is(NOW):
        output = sync(**QUERY.options)
    assert output.keys("events") == expected_keys(posthog.account)["events"]
    (line,) = [line for line in caplog.messages if line.startswith("Stream events: 300 records")]
    read = sum(posthog.bytes_read.values()) / 1e6
    assert f", read {read:.0f} MB for 6 MB of events; 480 GB of the hour left" in line


def test_a_server_that_does_not_say_what_it_read_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with answers_from(server(30, 100, counts_bytes=False)), now_is(NOW):
        sync(**QUERY.options)
    assert not any(" MB for " in line for line in caplog.messages)


def test_an_hourly_budget_that_is_used_up_is_waited_for_as_long_as_posthog_says(
    caplog: pytest.LogCaptureFixture, waits: list[float]
) -> None:
    caplog.set_level("INFO")
    posthog = server(300, 20_000, read_budget=2_000_000, budget_hours=1)
    posthog.clock = lambda: NOW / SECOND + sum(waits)
    with answers_from(posthog), now_is(NOW):
        output = sync(**QUERY.options)
    assert (output.status, output.keys("events")) == (0, expected_keys(posthog.account)["events"])
    assert waits
    assert max(waits) > 60
    assert any(
        "). The project has used up the bytes that PostHog lets API queries read" in one for one in caplog.messages
    )


def test_a_quota_that_is_used_up_fails_with_its_own_sentence() -> None:
    posthog = server(300, 20_000, read_quota=1_000_000)
    with answers_from(posthog), now_is(NOW):
        output = sync(**QUERY.options)
    assert output.status == 1
    assert "The account has used up the bytes that PostHog lets API queries read in a month" in output.errors[0]


def test_answers_that_are_too_large_are_asked_for_with_fewer_rows(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_posthog.api.client.MOST_BYTES_OF_AN_ANSWER", 400_000)
    monkeypatch.setattr("source_posthog.exact.events.page_size.BYTES_OF_A_PAGE", 200_000)
    posthog = server(120, 20_000, query_cap=1_000)
    with answers_from(posthog), now_is(NOW):
        output = sync()
    assert output.keys("events") == expected_keys(posthog.account)["events"]
    assert posthog.count(way.stream) > 12


def test_an_event_that_is_larger_than_an_answer_should_be_is_read_all_the_same(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_posthog.api.client.MOST_BYTES_OF_AN_ANSWER", 40_000)
    monkeypatch.setattr("source_posthog.exact.events.page_size.BYTES_OF_A_PAGE", 20_000)
    posthog = server(9, 90_000, query_cap=1_000)
    with answers_from(posthog), now_is(NOW):
        output = sync()
    assert output.keys("events") == expected_keys(posthog.account)["events"]


@pytest.mark.parametrize(
    "way", [pytest.param(LIST, id="list", marks=pytest.mark.only_long), pytest.param(QUERY, id="query")], indirect=True
)
def test_fifty_syncs_leave_no_thread_behind(way: Way) -> None:
    posthog = server(3, 10)
    with answers_from(posthog), now_is(NOW):
        sync(base_url="https://us.posthog.com")
        before = {*threading.enumerate()}
        for _ in range(50):
            sync(base_url="https://us.posthog.com")
    left = {*threading.enumerate()} - before
    for thread in left:  # those of the last sync may still be at their end
        thread.join(60)
    assert not any(thread.is_alive() for thread in left)
    assert len(left) < 50
