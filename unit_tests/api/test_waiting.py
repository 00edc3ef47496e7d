"""How long the connector waits, and when it gives up."""

from unittest.mock import Mock

import pytest
import requests
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog import SourcePosthog
from source_posthog.api.errors import Abandoned
from source_posthog.api.waiting import PostHogBackoff
from source_posthog.engine import Engine


def response(status: int, body: bytes = b"{}", retry_after: str | None = None) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content, made.url = status, body, "http://posthog/api/projects/7/cohorts/"
    if retry_after:
        made.headers["Retry-After"] = retry_after
    made.request = Mock(url=made.url)
    return made


THROTTLED = b'{"detail": "Request was throttled. Expected available in 2202 seconds."}'


@pytest.mark.parametrize(
    ("answer", "least"),
    [
        (response(429, retry_after="7"), 7),
        (response(429, THROTTLED, retry_after="7"), 7),
        (response(429, THROTTLED), 2202),
        (response(503, retry_after="30"), 30),
        (response(429), 1),
        (response(503, b"<html>"), 1),
    ],
    ids=["header", "header before sentence", "sentence", "busy with header", "neither", "no JSON"],
)
def test_it_waits_as_long_as_the_server_says_and_a_little_more_at_random(answer: requests.Response, least: int) -> None:
    lengths = {PostHogBackoff(config={}).backoff_time(answer, 1) for _ in range(50)}
    assert all(least <= length <= least + max(1, least / 10) for length in lengths)
    assert len(lengths) > 40  # so that ten workers do not come back at once


def test_waits_without_a_word_from_the_server_double_up_to_five_minutes() -> None:
    lengths = [int(PostHogBackoff(config={}).backoff_time(response(429), attempt)) for attempt in range(1, 14)]
    assert lengths[:3] == [pytest.approx(1, abs=1), pytest.approx(2, abs=1), pytest.approx(4, abs=1)]
    assert 300 <= lengths[-1] <= 330


def test_throttling_is_outlasted_for_more_than_an_hour_but_other_faults_are_given_up() -> None:
    backoff = PostHogBackoff(config={})
    assert sum(backoff.backoff_time(response(429), attempt) for attempt in range(1, 40)) > 3600
    with pytest.raises(AirbyteTracedException, match=r"no usable answer in 6 tries"):
        backoff.backoff_time(response(503), 6)


def test_a_wait_ends_with_its_sync() -> None:
    engine = Engine(SourcePosthog(), {"api_key": "phx_key", "start_date": "2026-01-01T00:00:00Z"})
    assert list(engine.messages([])) == []
    assert engine.sync.is_over.is_set()
    with pytest.raises(Abandoned):
        engine.sync.wait(2000)
