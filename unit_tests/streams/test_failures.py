"""What could not be read is told once: a sentence for each stream and reason, and one summary."""

import logging
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteStreamStatus, FailureType, StreamDescriptor
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message

from source_posthog.api import clock
from source_posthog.api.errors import Outage, PostHogError, Where, located
from source_posthog.streams.failures import MOST_PLACES, MOST_SENTENCES, Failures

FIRST, SECOND = "2026-01-01T00:00:00Z to 2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z to 2026-03-02T00:00:00Z"


def error(
    reason: str = "no access.", project: int = 7, window: str = "", then: str = "", **options: Any
) -> PostHogError:
    return PostHogError(reason, where=Where("events", project, window), then=then, **options)


def caused() -> PostHogError:
    """As the requester raises it where something happens that nobody expects."""
    made = error(cause=ValueError("odd"))
    made.__cause__ = made.cause
    return made


def told(failures: Failures, stream: str = "events") -> list[Any]:
    """The errors that come with the end of `stream`."""
    end = as_airbyte_message(StreamDescriptor(name=stream), AirbyteStreamStatus.INCOMPLETE)
    *errors, last = failures.around(end)
    assert last is end
    return [one.trace.error for one in errors if one.trace]


def sentences(*errors: Exception) -> list[str]:
    failures = Failures()
    for one in errors:
        failures.add("events", one)
    return [one.message for one in told(failures)]


def test_projects_and_windows_with_one_reason_are_one_sentence() -> None:
    then = "The next sync resumes from there."
    places = [(8, SECOND), (7, FIRST), (10, FIRST), (7, SECOND)]
    assert sentences(*(error(project=project, window=window, then=then) for project, window in places)) == [
        "Stream events, projects 7, 8 and 10, windows 2026-01-01T00:00:00Z to 2026-03-02T00:00:00Z: no access. "
        "The next sync resumes from there."
    ]


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ([error()], ["Stream events, project 7: no access."]),
        ([error(), error()], ["Stream events, project 7: no access."]),
        ([error(window=FIRST), error(window=FIRST)], [f"Stream events, project 7, window {FIRST}: no access."]),
        ([error(), error(project=8)], ["Stream events, projects 7 and 8: no access."]),
        ([error(), error("gone.")], ["Stream events, project 7: no access.", "Stream events, project 7: gone."]),
        ([Outage("It is down."), Outage("It is down.")], ["It is down."]),
        (
            [PostHogError("no.", where=Where("events", organization=one)) for one in ("b", "a")],
            ["Stream events, organizations a and b: no."],
        ),
        (
            [error(f"nothing at /api/projects/{project}/cohorts.", project) for project in (7, 8)],
            ["Stream events, projects 7 and 8: nothing at /api/projects/.../cohorts."],
        ),
        (
            [error("nothing at /api/projects/7/cohorts."), error("nothing at /api/projects/7/cohorts.")],
            ["Stream events, project 7: nothing at /api/projects/7/cohorts."],
        ),
    ],
    ids=[
        "one",
        "twice",
        "a window",
        "projects",
        "reasons",
        "an outage",
        "organizations",
        "a path in the reason",
        "one with a path",
    ],
)
def test_one_reason_is_one_sentence(errors: list[Exception], told: list[str]) -> None:
    assert sentences(*errors) == told


def test_a_sentence_names_only_so_many_projects() -> None:
    (sentence,) = sentences(*(error(project=project) for project in range(1, 1001)))
    assert sentence.endswith(f", {MOST_PLACES} and {1000 - MOST_PLACES} more: no access.")


def test_a_stream_has_only_so_many_sentences() -> None:
    *first, last = sentences(*(error(f"reason {project}.", project) for project in range(1, 11)))
    assert len(first) == MOST_SENTENCES
    assert last.startswith(
        "Stream events, projects 6, 7, 8, 9 and 10: 5 more errors, each for a reason of its own; the f"
    )
    assert "reason 6." in last


def test_the_cdks_own_traces_of_parts_are_left_out() -> None:
    failures = Failures()
    assert list(failures.around(error().as_airbyte_message(StreamDescriptor(name="events")))) == []
    status: AirbyteMessage = as_airbyte_message(StreamDescriptor(name="events"), AirbyteStreamStatus.COMPLETE)
    assert list(failures.around(status)) == [status]


@pytest.mark.parametrize(
    ("made", "is_foreseen"),
    [
        (error(), True),
        (located(error(), Where("events", 7)), True),
        (located(caused(), Where("events", 7)), False),
        (ValueError("odd"), False),
    ],
    ids=["a sentence", "with its place", "an exception behind it", "an exception"],
)
def test_a_traceback_is_there_only_for_what_nobody_foresaw(made: Exception, is_foreseen: bool) -> None:
    failures = Failures()
    failures.add("events", made)
    (trace,) = told(failures)
    assert (trace.stack_trace is None) == is_foreseen
    assert is_foreseen or "ValueError: odd" in trace.stack_trace
    assert trace.message.startswith("Stream events")


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        ([FailureType.config_error], FailureType.config_error),
        ([FailureType.system_error, FailureType.config_error], FailureType.system_error),
        ([FailureType.config_error, FailureType.transient_error], FailureType.transient_error),
    ],
)
def test_the_summary_names_the_streams_and_is_worth_another_try_if_one_of_them_is(
    kinds: list[FailureType], kind: FailureType
) -> None:
    failures = Failures()
    failures.require_none(7)
    for stream, one in zip(("persons", "events"), kinds, strict=False):
        failures.add(stream, error(failure_type=one))
    with pytest.raises(PostHogError) as raised:
        failures.require_none(7)
    names = "persons" if len(kinds) == 1 else "events and persons"
    assert str(raised.value) == f"{len(kinds)} of 7 streams failed: {names}."
    assert raised.value.failure_type == kind
    assert raised.value.internal_message == "Stream events, project 7: no access."


def test_the_first_error_of_a_stream_that_goes_on_is_a_warning_after_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = 0.0
    monkeypatch.setattr(clock, "seconds", lambda: seconds)
    failures = Failures()
    for stream in ("events", "persons"):
        failures.add(stream, error())
        failures.add(stream, error("gone."))
    assert len(told(failures, "persons")) == 2
    with caplog.at_level(logging.WARNING, "airbyte"):
        for seconds in (59.0, 60.0, 200.0):
            failures.warn()
            assert len(caplog.messages) == (seconds >= 60)
    assert caplog.messages == ["Stream events, project 7: no access. The rest of the stream is read."]
    assert len(told(failures)) == 2
