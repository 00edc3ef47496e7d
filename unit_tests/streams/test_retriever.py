"""The bounds that the events retriever asks for."""

from unittest.mock import Mock

from source_posthog.streams.events import EventsSimpleRetriever

SLICE = {"project_id": 7, "start_time": "2026-01-01T00:00:00.000000Z", "end_time": "2026-01-31T00:00:00.000000Z"}


def retriever() -> EventsSimpleRetriever:
    return EventsSimpleRetriever(
        requester=Mock(),
        record_selector=Mock(transformations=[], record_filter=None),
        config={},
        parameters={},
        name="events",
        primary_key="id",
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
