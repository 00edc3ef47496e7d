"""Which answers are good, which are asked for again, and which end a stream.

The sentences for each kind of refusal stand in `manifest.yaml`, as response filters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.error_handlers import DefaultErrorHandler
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from airbyte_cdk.sources.streams.http.error_handlers.response_models import SUCCESS_RESOLUTION

from source_posthog import modifiers
from source_posthog.errors import NestedTooDeeply, PostHogError
from source_posthog.sync import Sync
from source_posthog.transport import RedirectRefused
from source_posthog.troubles import Trouble, certificate_fault, trouble_of

A_WEEK = 7 * 24 * 3600  # seconds; longer than PostHogBackoff ever waits for a request


@dataclass
class PostHogErrorHandler(DefaultErrorHandler):
    """The stock handler, and three things it cannot do.

    It takes any answer with status 200 for good; this one decodes the body first and retries where that fails: proxies
    answer with HTML and 200. It retries a read that timed out as it is; this one resolves it to "ask for less" where
    the stream can. And it does not know a certificate that is not trusted, or a redirect that was refused, from a
    connection that failed.

    Attributes:
        too_slow_codes: the statuses of an answer that means "ask for less"; a read that times out is one too. Without
            any, the stream cannot ask for less.
    """

    # PostHogBackoff gives up, much earlier.
    max_retries: int | str | None = 10_000
    max_time: int = A_WEEK
    too_slow_codes: list[int] = field(default_factory=list)
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._stream = str(parameters.get("name", ""))

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        self.sync.log.request(self._stream)
        if isinstance(response_or_exception, requests.Response) and response_or_exception.ok:
            return self._interpret_success(response_or_exception)
        if modifiers.are_refused(response_or_exception, self.sync.answers):
            raise modifiers.UnknownModifiers  # to the requester, which asks without them
        if self._is_too_slow(response_or_exception):
            words = trouble_of(response_or_exception, self.sync.answers).words
            self.sync.health.troubled(self._stream, Trouble(words, too_slow=True))
            # No waiting changes what the server refuses as wrong.
            is_refused = getattr(response_or_exception, "status_code", None) == requests.codes.bad_request
            failure_type = FailureType.system_error if is_refused else FailureType.transient_error
            return ErrorResolution(ResponseAction.SPLIT_REQUEST_WINDOW, failure_type, words)
        if isinstance(response_or_exception, RedirectRefused):
            return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, str(response_or_exception))
        if isinstance(response_or_exception, Exception):
            return _interpret_exception(response_or_exception)
        try:
            return super().interpret_response(response_or_exception)
        except RecursionError:  # the body of a refusal is nested without end, which says nothing but its status
            return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error)

    def _is_too_slow(self, response_or_exception: requests.Response | Exception | None) -> bool:
        if isinstance(response_or_exception, requests.Response):
            return response_or_exception.status_code in self.too_slow_codes
        return isinstance(response_or_exception, requests.ReadTimeout) and bool(self.too_slow_codes)

    def _interpret_success(self, response: requests.Response) -> ErrorResolution:
        try:
            self.sync.answers.body(response)
        except NestedTooDeeply:
            pass  # whoever reads its rows will say so: asking again would change nothing
        except PostHogError as error:
            return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, str(error))
        self.sync.answered(self._stream, response)
        return SUCCESS_RESOLUTION


def _interpret_exception(error: Exception) -> ErrorResolution:
    """Whatever kind of exception it is: requests and those who build on it have many, and all may pass."""
    if fault := certificate_fault(error):
        return ErrorResolution(
            ResponseAction.FAIL,
            FailureType.config_error,
            f"the certificate of the server is not trusted: {fault.verify_message.rstrip('.')}. If it is your own, "
            "set the environment variable REQUESTS_CA_BUNDLE to a file with its certificate or that of the authority "
            "that signed it. Otherwise check `base_url`.",
        )
    return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, type(error).__name__)
