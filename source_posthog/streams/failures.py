"""What could not be read in a sync, told once: a sentence for each stream and reason, and a summary of them all.

Stream persons, projects 7, 8 and 9: PostHog does not allow the API key to read this ("..."). Add that scope ...
1 of 7 streams failed: persons.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from airbyte_cdk.models import AirbyteMessage, AirbyteStreamStatus, FailureType, TraceType
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api import clock
from source_posthog.api.errors import PostHogError, Where, error_trace

logger = logging.getLogger("airbyte")

MOST_SENTENCES = 5  # of a stream; what else failed in it is told in one more
MOST_PLACES = 20  # projects, or organizations, that a sentence names
SECONDS_UNTIL_A_WARNING = 60  # if the stream goes on for so long


@dataclass
class _Failure:
    """One reason for which a part of a stream could not be read, and all the places where it was met."""

    error: AirbyteTracedException
    places: list[Where] = field(default_factory=list)

    def as_error(self, stream: str) -> AirbyteTracedException:
        """One error for all places."""
        if not isinstance(self.error, PostHogError) or len(self.places) < 2:
            return self.error
        error, where = self.error, _Places(stream, others=tuple(self.places))
        is_one = len({(place.project, place.organization) for place in self.places}) == 1
        reason = error.reason if is_one else _without_place(error)
        return PostHogError(reason, error.failure_type, where, error.then, cause=error.cause)


@dataclass(frozen=True)
class _Places(Where):
    """Several places at once: "Stream events, projects 7 and 8, windows 2026-01-01T00:00:00Z to 2026-03-02T00:00:00Z".

    Attributes:
        others: the places; of their windows the beginning of the first and the end of the last is named.
    """

    others: tuple[Where, ...] = ()

    def __str__(self) -> str:
        where = f"Stream {self.stream}"
        where += _named("project", {str(one.project) for one in self.others if one.project})
        where += _named("organization", {str(one.organization) for one in self.others if one.organization})
        windows = sorted({one.window for one in self.others if one.window})
        if len(windows) < 2:
            return where + (f", window {windows[0]}" if windows else "")
        start, end = windows[0].partition(" to ")[0], max(window.rpartition(" to ")[2] for window in windows)
        return f"{where}, windows {start} to {end}"


class Failures:
    """The errors of one sync by stream, from the engine's thread alone.

    They are held back until their stream ends, to be told together. Where that takes long, the first is a warning in
    the log meanwhile: the process may not live to see the end.
    """

    def __init__(self) -> None:
        self._by_stream: dict[str, dict[tuple[str, ...], _Failure]] = {}
        self._unsaid: dict[str, float] = {}  # by stream that goes on, when its first error came

    def __bool__(self) -> bool:
        return bool(self._by_stream)

    def add(self, stream: str, error: Exception) -> None:
        """`error` ended a part of `stream`."""
        if not isinstance(error, AirbyteTracedException):
            sentence = f"Stream {stream}: an unexpected {type(error).__name__} ({error}). Please report it."
            error = AirbyteTracedException(
                message=sentence, internal_message=str(error), failure_type=FailureType.system_error, exception=error
            )
        kind: tuple[str, ...] = (str(error),)
        where = None
        if isinstance(error, PostHogError):
            kind, where = (_without_place(error), error.then, str(error.failure_type)), error.where
        failures = self._by_stream.setdefault(stream, {})
        if not failures:
            self._unsaid[stream] = clock.seconds()
        failures.setdefault(kind, _Failure(error)).places.extend([where] if where else [])

    def around(self, message: AirbyteMessage) -> Iterator[AirbyteMessage]:
        """`message`, a trace of the CDK's, with the errors of a stream in front of the one that says that it ended."""
        trace = message.trace
        if trace and trace.type == TraceType.ERROR:
            return  # of a single part; it is in `add` too
        if trace and trace.stream_status and trace.stream_status.status == AirbyteStreamStatus.INCOMPLETE:
            yield from self._at_end_of(trace.stream_status.stream_descriptor.name)
        yield message

    def warn(self) -> None:
        """Name the first error of each stream that has gone on for a minute since."""
        for stream, since in list(self._unsaid.items()):
            if clock.seconds() - since >= SECONDS_UNTIL_A_WARNING:
                del self._unsaid[stream]
                logger.warning(f"{next(iter(self._by_stream[stream].values())).error} The rest of the stream is read.")

    def require_none(self, streams: int) -> None:
        """Raise PostHogError, the summary, if one of the `streams` streams of the sync failed."""
        errors = [failure.error for failures in self._by_stream.values() for failure in failures.values()]
        if not errors:
            return
        kinds = [error.failure_type for error in errors]
        # One that may pass is worth another try, whatever the others are.
        kind = FailureType.transient_error if FailureType.transient_error in kinds else kinds[0]
        summary = f"{len(self._by_stream)} of {streams} streams failed: {_enumerated(sorted(self._by_stream))}."
        raise PostHogError(summary, kind, internal_message=str(errors[0])) from errors[0]

    def _at_end_of(self, stream: str) -> Iterator[AirbyteMessage]:
        self._unsaid.pop(stream, None)
        failures = list(self._by_stream.get(stream, {}).values())
        for failure in failures[:MOST_SENTENCES]:
            yield error_trace(failure.as_error(stream), stream)
        if others := failures[MOST_SENTENCES:]:
            for failure in others:
                logger.debug(str(failure.error))
            first, places = others[0].error, tuple(place for failure in others for place in failure.places)
            reason = f"{len(others)} more errors, each for a reason of its own; the first: {first}"
            yield error_trace(PostHogError(reason, first.failure_type, _Places(stream, others=places)), stream)


def _without_place(error: PostHogError) -> str:
    """The reason of `error`, in which the path of a request names no project: it is the same in each of them."""
    where = error.where
    if where is None:
        return error.reason
    reason = error.reason.replace(f"/projects/{where.project}/", "/projects/.../")
    return reason.replace(f"/organizations/{where.organization}/", "/organizations/.../")


def _named(what: str, ids: Collection[str]) -> str:
    """ ", projects 7, 8 and 9"."""
    ordered = sorted(ids, key=lambda id: (len(id), id))
    named, more = ordered[:MOST_PLACES], len(ordered) - MOST_PLACES
    if not named:
        return ""
    return f", {what}{'s'[: len(ordered) - 1]} {_enumerated([*named, f'{more} more'] if more > 0 else named)}"


def _enumerated(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
