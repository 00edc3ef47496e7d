"""The bounds that the events retriever asks for, and the instants in answers."""

from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import Mock

import pytest

from source_posthog.components import EventsSimpleRetriever
from source_posthog.events.instants import instant, iso

SLICE = {"project_id": 7, "start_time": "2026-01-01T00:00:00.000000Z", "end_time": "2026-01-31T00:00:00.000000Z"}


def retriever() -> EventsSimpleRetriever:
    return EventsSimpleRetriever(
        requester=Mock(), record_selector=Mock(), config={}, parameters={}, name="events", primary_key="id"
    )


def test_the_bounds_are_exclusive_so_the_window_is_asked_for_from_a_microsecond_before_its_start() -> None:
    assert retriever().request_params(stream_state=None, stream_slice=SLICE) == {
        "after": "2025-12-31T23:59:59.999999Z",
        "before": "2026-01-31T00:00:00.000000Z",
    }


def test_the_token_overrides_the_bounds_of_the_slice() -> None:
    params = retriever().request_params(stream_state=None, stream_slice=SLICE, next_page_token={"before": "x"})
    assert params == {"after": "2025-12-31T23:59:59.999999Z", "before": "x"}
    params = retriever().request_params(stream_state=None, next_page_token={"before": "x", "after": "y"})
    assert params == {"after": "y", "before": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T02:00:00.5+02:00",
        "2026-01-01T02:00:00.5+0200",
        "2026-01-01T00:00:00.500000Z",
        "2026-01-01T00:00:00.500000+00:00",
        "2026-01-01T00:00:00.5000000009Z",
        "2026-01-01T00:00:00.5",
    ],
)
def test_every_form_of_iso_8601_names_the_same_instant(text: str) -> None:
    assert instant(text) == datetime(2026, 1, 1, microsecond=500_000, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["", "now", "2026-01-01", "12:00", "P1D", "2026-13-01T00:00:00Z", None, 5])
def test_what_is_no_instant_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match=r".*"):
        instant(text)


def test_an_instant_is_written_in_utc_without_a_plus_that_could_go_unencoded() -> None:
    zone = timezone(timedelta(hours=2))
    assert iso(datetime(2026, 1, 1, 2, tzinfo=zone)) == "2026-01-01T00:00:00.000000Z"
