"""Which answers are good, which are asked for again, and which end a stream.

The sentences for each kind of refusal stand in `manifest.yaml`, as response filters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters.error_handlers import DefaultErrorHandler, HttpResponseFilter
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from airbyte_cdk.sources.streams.http.error_handlers.response_models import SUCCESS_RESOLUTION

from source_posthog.api import modifiers
from source_posthog.api.connections import certificate_fault
from source_posthog.api.errors import (
    LargeBody,
    NestedTooDeeply,
    PostHogError,
    RedirectRefused,
    UnknownModifiers,
)
from source_posthog.api.health import Trouble, is_success, meant_status, trouble_of
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import NotAccepted, TooLarge, TooSlow


@dataclass
class PostHogErrorHandler(DefaultErrorHandler):
    """The stock handler, and what it cannot do.

    It takes any answer with status 200 for good; this one decodes the body first and retries where that fails: proxies
    answer with HTML and 200. A 3xx, which is good for it too, is tried again. It retries a read that timed out as it
    is; this one hands it to whoever asked where that can ask for less. It does not know a certificate that is not
    trusted, or a redirect that was refused, from a connection that failed. And it quotes answers whole, however long.

    Attributes:
        unretried_codes: the statuses of an answer that is not asked for again: whoever asked may ask for less, or do
            without it. With any, a read that times out is such an answer too.
        is_array: a good answer may be an array of rows by itself.
        make_response_filters: None where they are there already.
    """

    unretried_codes: list[int] = field(default_factory=list)
    is_array: bool = False
    make_response_filters: Callable[[], list[HttpResponseFilter]] | None = None
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters)
        self._stream = str(parameters.get("name", ""))

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        """What to do about an answer, or about none.

        Raises PostHogError where PostHog refuses, and TooSlow, TooLarge or NotAccepted for what is not asked for again.

        The CDK would raise that error itself, and before it log the whole answer with its headers.
        """
        self.sync.log.request(self._stream)
        resolution = self._resolution(response_or_exception)
        if resolution.response_action == ResponseAction.FAIL:
            words = trouble_of(response_or_exception, self.sync.answers).words
            raise PostHogError(resolution.error_message or words, resolution.failure_type or FailureType.system_error)
        return resolution

    def _resolution(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        if isinstance(response_or_exception, requests.Response) and is_success(response_or_exception):
            return self._interpret_success(response_or_exception)
        if modifiers.are_refused(response_or_exception, self.sync.answers):
            raise UnknownModifiers  # to the requester, which asks without them
        self._require_retried(response_or_exception)
        if self.make_response_filters:
            self.response_filters = self.make_response_filters()
        if isinstance(response_or_exception, RedirectRefused):
            return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, str(response_or_exception))
        if isinstance(response_or_exception, Exception):
            return _interpret_exception(response_or_exception)
        if response_or_exception is not None:
            return self._interpret_refusal(response_or_exception)
        return super().interpret_response(response_or_exception)

    def _status(self, response_or_exception: requests.Response | Exception | None) -> int | None:
        if isinstance(response_or_exception, requests.Response):
            return meant_status(response_or_exception, self.sync.answers)
        return None

    def _require_retried(self, response_or_exception: requests.Response | Exception | None) -> None:
        """Raise NotAccepted, TooSlow or TooLarge for an answer that whoever asked does something about."""
        if isinstance(response_or_exception, LargeBody):
            raise TooLarge(str(response_or_exception))
        status = self._status(response_or_exception)
        is_too_late = isinstance(response_or_exception, requests.ReadTimeout) and self.unretried_codes
        if not is_too_late and status not in self.unretried_codes:
            return
        trouble = trouble_of(response_or_exception, self.sync.answers)
        # A server that is down says 500 to whatever it is asked.
        self.sync.health.troubled(self._stream, Trouble(trouble.words, too_slow=status != requests.codes.server_error))
        if status == requests.codes.bad_request:
            raise NotAccepted(trouble.words)
        raise TooSlow(trouble.words, trouble.own_advice)

    def _interpret_refusal(self, response: requests.Response) -> ErrorResolution:
        if response.status_code < 400:
            return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error)
        try:
            body = self.sync.answers.body(response)
        except NestedTooDeeply:  # which says nothing but its status
            return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error)
        except PostHogError:
            body = {}
        return super().interpret_response(_Quoted(response, {**body, "detail": self.sync.answers.detail(response)}))

    def _interpret_success(self, response: requests.Response) -> ErrorResolution:
        if self.is_array:
            self.sync.answers.expect_array(response)
        try:
            self.sync.answers.body(response)
        except NestedTooDeeply:
            pass  # whoever reads its rows will say so: asking again would change nothing
        except PostHogError as error:
            return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, str(error))
        self.sync.answered(self._stream, response)
        return SUCCESS_RESOLUTION


class _Quoted(requests.Response):
    """An answer with the body that the sentences of the manifest are to quote."""

    def __init__(self, response: requests.Response, body: Mapping[str, Any]) -> None:
        super().__init__()
        self.__dict__.update(response.__dict__)
        self._quoted = body

    def json(self, **_: Any) -> Any:
        return self._quoted


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
