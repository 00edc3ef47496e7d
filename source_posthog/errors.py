"""Which answers are tried again, how long to wait before that, and what the user is told: what the manifest cannot say.

The sentences for each kind of refusal stand in `manifest.yaml`, as response filters.
"""

import logging
import random
import re
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.error_handlers import DefaultErrorHandler
from airbyte_cdk.sources.streams.http.error_handlers import BackoffStrategy, ErrorResolution, ResponseAction
from airbyte_cdk.sources.streams.http.error_handlers.response_models import SUCCESS_RESOLUTION
from airbyte_cdk.sources.types import Config
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.answers import instant, page
from source_posthog.sync import Sync

logger = logging.getLogger("airbyte")

# A throttled key waits up to an hour for its bucket to refill, and other users of the key can empty it again.
LONGEST_THROTTLING = 6 * 60 * 60  # seconds
SHORTEST_RANGE = timedelta(seconds=1, microseconds=1)  # of events; a range that is too slow is halved down to this
LONGEST_WAIT = 300  # seconds, between two tries where the server does not say how long to wait


@dataclass
class PostHogErrorHandler(DefaultErrorHandler):
    """The stock handler, and three things it cannot do.

    It takes any answer with status 200 for good; this one decodes the body first (once, the records are taken from the
    same object) and retries where that fails: proxies answer with HTML and 200, and connections break in mid-body.
    It retries a read that timed out as it is; this one resolves it to `too_slow`. And it does not say which stream and
    project an error is about.

    Attributes:
        too_slow: the ResponseAction for an answer that means "ask for less": SPLIT_REQUEST_WINDOW or REDUCE_PAGE_SIZE.
        too_slow_codes: the statuses of such an answer. A read that times out is one too.
    """

    # Bounds the waiting for throttles. Other faults are given up much earlier, by PostHogBackoff.
    max_retries: int | str | None = 10_000
    max_time: int = LONGEST_THROTTLING
    too_slow: str = "RETRY"
    too_slow_codes: list[int] = field(default_factory=list)
    sync: Sync = field(default_factory=Sync)

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        self.sync.log.request(stream_of(response_or_exception))
        if isinstance(response_or_exception, requests.Response) and response_or_exception.ok:
            self.sync.answered(response_or_exception)
            return self._interpret_success(response_or_exception)
        if self._is_too_slow(response_or_exception):
            action = ResponseAction[self.too_slow]
            if _asks_for_the_least(response_or_exception):
                code = getattr(response_or_exception, "status_code", 500)
                action = ResponseAction.RETRY if code >= 500 else ResponseAction.FAIL
            message = f"{asked_for(response_or_exception)}: {_fault(response_or_exception)}"
            return ErrorResolution(action, FailureType.transient_error, message)
        resolution = super().interpret_response(response_or_exception)
        message = f"{asked_for(response_or_exception)}: {resolution.error_message or 'the request failed'}"
        if resolution.response_action == ResponseAction.IGNORE:
            logger.warning(message)
        return ErrorResolution(resolution.response_action, resolution.failure_type, message)

    def _is_too_slow(self, response_or_exception: requests.Response | Exception | None) -> bool:
        if isinstance(response_or_exception, requests.Response):
            return response_or_exception.status_code in self.too_slow_codes
        return isinstance(response_or_exception, requests.ReadTimeout)

    @staticmethod
    def _interpret_success(response: requests.Response) -> ErrorResolution:
        try:
            page(response)
        except AirbyteTracedException as error:
            return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, str(error))
        return SUCCESS_RESOLUTION


@dataclass
class PostHogBackoff(BackoffStrategy):
    """How long to wait before a request is tried again.

    As long as the server says: in `Retry-After`, else in the sentence of its answer ("Expected available in 2202
    seconds"). Else 1, 2, 4, ... seconds. A random part on top spreads the workers, which all wait for the same instant.
    A throttled request waits for as long as it takes; any other is given up after `max_attempts`.

    Attributes:
        max_attempts: how often a request that is not throttled is sent at the most.
    """

    config: Config
    parameters: InitVar[Mapping[str, Any] | None] = None
    max_attempts: int = 6
    sync: Sync = field(default_factory=Sync)

    def backoff_time(
        self, response_or_exception: requests.Response | requests.RequestException | None, attempt_count: int
    ) -> float | None:
        """Seconds to wait. Raises AirbyteTracedException (transient) when it is time to give up."""
        response = response_or_exception if isinstance(response_or_exception, requests.Response) else None
        throttled = response is not None and response.status_code == requests.codes.too_many_requests
        if not throttled and attempt_count >= self.max_attempts:
            raise AirbyteTracedException(
                message=f"{asked_for(response_or_exception)}: no usable answer in {attempt_count} tries, the last one: "
                f"{_fault(response_or_exception)}. Run the sync again later; if it stays so, check that PostHog is up "
                "and that `base_url` is right.",
                failure_type=FailureType.transient_error,
            )
        told = _told(response) if response is not None else None
        wait = told if told is not None else min(2.0 ** (attempt_count - 1), LONGEST_WAIT)
        wait += random.uniform(0, max(1.0, wait / 10))
        self.sync.log.retry(stream_of(response_or_exception), wait)
        return wait


def _told(response: requests.Response) -> float | None:
    """The seconds that the server says to wait; None if it does not say."""
    for text in (response.headers.get("Retry-After", ""), _detail(response)):
        if seconds := re.search(r"^\s*(\d+)\s*$|available in (\d+) second", text):
            return float(seconds[1] or seconds[2])
    return None


def _detail(response: requests.Response) -> str:
    """PostHog's own sentence in an error; "" if there is none."""
    try:
        return str(page(response).get("detail") or "")
    except AirbyteTracedException:
        return ""


def _fault(response_or_exception: requests.Response | Exception | None) -> str:
    if isinstance(response_or_exception, requests.Response):
        detail = _detail(response_or_exception)
        if response_or_exception.ok:
            return "an answer that is not JSON"
        return f"HTTP {response_or_exception.status_code}" + (f", {detail.rstrip('.')}" if detail else "")
    return {
        requests.ReadTimeout: "it did not answer in time",
        requests.ConnectTimeout: "it could not be reached in time",
        requests.ConnectionError: "the connection failed",
    }.get(type(response_or_exception), type(response_or_exception).__name__)  # type: ignore[arg-type]


def asked_for(response_or_exception: requests.Response | Exception | None) -> str:
    """What a request was about, by its path: "Stream cohorts, project 7"."""
    project, stream = _project_and_stream(response_or_exception)
    return f"Stream {stream}" + (f", project {project}" if project else "")


def stream_of(response_or_exception: requests.Response | Exception | None) -> str:
    return _project_and_stream(response_or_exception)[1]


def _project_and_stream(response_or_exception: requests.Response | Exception | None) -> tuple[str, str]:
    request = getattr(response_or_exception, "request", None)
    path = re.search(r"/api/projects(?:/(\d+))?(?:/(\w+))?/?$", urlsplit(getattr(request, "url", None) or "").path)
    project, stream = path.groups() if path else ("", "")
    return project or "", stream or "projects"


def _asks_for_the_least(response_or_exception: requests.Response | Exception | None) -> bool:
    """Whether a request asks for one row, or for a second of events: less cannot be asked for."""
    request = getattr(response_or_exception, "request", None)
    query = dict(parse_qsl(urlsplit(getattr(request, "url", None) or "").query))
    if "before" in query and "after" in query:
        return instant(query["before"]) - instant(query["after"]) <= SHORTEST_RANGE
    return query.get("limit") == "1"
