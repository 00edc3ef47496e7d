"""Why something could not be read, in a sentence, and where that was.

    PostHogError              a stream, or a part of it, could not be read; in words for whoever runs the sync
        Outage                PostHog is of no use at the moment, whatever it is asked
        NestedTooDeeply       an answer cannot be emitted
        QueryError            a query of the user's own cannot be read as it is
    requests.RequestException
        RedirectRefused       PostHog sends us to another place
        SlowBody              an answer that may never end
        LargeBody             an answer that is too large, where it can be asked for fewer rows
    UnknownModifiers          the query has to be asked again, without its modifiers
    NoList                    PostHog no longer has its events list
    Skipped                   a window or a project is left out, which is no error of its own
    Abandoned                 nobody reads the sync any more

Those of the pure part are in exact/errors.py.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from airbyte_cdk.models import AirbyteMessage, FailureType, StreamDescriptor
from airbyte_cdk.utils import AirbyteTracedException

THEN_TRY_AGAIN = "Run the sync again later; if this persists, check that PostHog is up and that `base_url` is right."

MOST_CHARACTERS = 300  # of what somebody else says, in a sentence of ours


def one_line(text: str) -> str:
    """`text` in one line, and no more of it than fits into a sentence: PostHog's own can have 20,000 characters."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 4].rstrip() + " ..."


@dataclass(frozen=True)
class Where:
    """What a request is about: "Stream events, project 7, window 2026-01-01T00:00:00Z to 2026-01-31T00:00:00Z".

    Attributes:
        project: its id; "" or None for a request that is about no single project.
        window: the window's start and end; "" for streams without windows.
        organization: the id of that which it is about, where it is about one.
    """

    stream: str
    project: Any = None
    window: str = ""
    organization: Any = None

    @classmethod
    def of(cls, stream: str, stream_slice: Mapping[str, Any] | None) -> "Where":
        named = stream_slice or {}
        return cls(stream, named.get("project_id"), organization=named.get("organization_id"))

    def __str__(self) -> str:
        project = f", project {self.project}" if self.project else ""
        organization = f", organization {self.organization}" if self.organization else ""
        return f"Stream {self.stream}{project}{organization}" + (f", window {self.window}" if self.window else "")


class PostHogError(AirbyteTracedException):
    """Something could not be read.

    Attributes:
        reason: why, and what to do about it; whole sentences.
        where: what could not be read; None where that is not known yet, or makes no difference.
        then: a sentence that says what comes of it, or "".
        cause: the error that this one was made of.
    """

    def __init__(
        self,
        reason: str,
        failure_type: FailureType = FailureType.transient_error,
        where: Where | None = None,
        then: str = "",
        internal_message: str | None = None,
        cause: BaseException | None = None,
    ) -> None:
        self.reason, self.where, self.then, self.cause = reason, where, then, cause
        super().__init__(
            message=(f"{where}: " if where else "") + reason + (f" {then}" if then else ""),
            internal_message=internal_message or reason,
            failure_type=failure_type,
            exception=cause,
        )


class Outage(PostHogError):
    """Nothing more can be read, or nothing more of a stream: the same sentence for every request, wherever it was."""


class NestedTooDeeply(PostHogError):
    """An answer cannot be emitted as records, or not all of it; asking again would not change it."""


def located(error: AirbyteTracedException, where: Where, then: str = "") -> PostHogError:
    """`error` with `where` in front of its reason, and what comes of it behind."""
    if isinstance(error, Outage):
        return error
    reason = error.reason if isinstance(error, PostHogError) else str(error)
    return PostHogError(reason, error.failure_type, where, then, error.internal_message, error)


def error_trace(error: AirbyteTracedException, stream: str = "") -> AirbyteMessage:
    """The TRACE message of `error`, with the traceback only of what nobody foresaw: all else is in its sentence."""
    message = error.as_airbyte_message(StreamDescriptor(name=stream) if stream else None)
    if _is_foreseen(error) and message.trace and message.trace.error:
        message.trace.error.stack_trace = None
    return message


def _is_foreseen(error: BaseException | None) -> bool:
    """Whether it is something that the user or PostHog did."""
    if isinstance(error, PostHogError):
        return error.cause is None or _is_foreseen(error.cause)
    return isinstance(error, AirbyteTracedException) and error.failure_type != FailureType.system_error


class QueryError(PostHogError):
    """A query cannot be read as it is, in whatever project."""


class RedirectRefused(requests.RequestException):
    """A redirect that would not lead to what was asked for, or take the API key to another place."""


class SlowBody(requests.Timeout):
    """The body of an answer comes so slowly that it may never end."""


class LargeBody(requests.RequestException):
    """The body of an answer to a question for several rows is larger than MOST_BYTES_OF_AN_ANSWER."""


class UnknownModifiers(Exception):
    """PostHog may have refused a query for its modifiers alone: asked without them it shows."""


class NoList(Exception):
    """PostHog has no events list (any more): events have to be asked for by queries. Its string is a sentence."""


class Skipped(Exception):
    """The window or the project is not read to its end, and that is no error of its own."""


class Abandoned(Exception):
    """Nobody reads the sync any more; ends a worker's task at its next record, and whatever waits to ask again."""


@contextmanager
def locating(where: Where) -> Iterator[None]:
    """Say `where` it was in the errors that are raised inside."""
    try:
        yield
    except AirbyteTracedException as error:
        raise located(error, where) from error
