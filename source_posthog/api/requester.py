"""Sends the requests of a stream, and knows what each is about."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.requesters import HttpRequester
from airbyte_cdk.sources.declarative.requesters.error_handlers import DefaultErrorHandler
from airbyte_cdk.sources.declarative.requesters.request_options import InterpolatedRequestOptionsProvider
from airbyte_cdk.sources.streams.http.error_handlers import ErrorHandler
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api import modifiers
from source_posthog.api.cdk import Background
from source_posthog.api.client import AnnouncedBudget, Client
from source_posthog.api.errors import Abandoned, NoList, PostHogError, UnknownModifiers, Where, locating
from source_posthog.api.health import Trouble
from source_posthog.api.sync import Sync
from source_posthog.api.waiting import PostHogBackoff
from source_posthog.exact.errors import TooSlow, Unanswered

logger = logging.getLogger("airbyte")

NO_LIST = "Endpoint not found."  # of what the manifest ignores, this is no word of a project


@dataclass(kw_only=True)
class PostHogRequester(HttpRequester):
    """The stock requester, and what only the place from which a request is sent can know.

    Its errors say which stream and project they are about. It asks nothing more of a PostHog that is down (health.py).
    It does not take the word of a list that its project is gone.

    Attributes:
        name: of the stream; the parameter `name` where none is given.
        request_parameters: as of the stock requester in a manifest.
    """

    name: str = ""
    request_parameters: Mapping[str, str] | None = None
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.name = self.name or parameters["name"]
        self.request_options_provider = InterpolatedRequestOptionsProvider(
            config=self.config, request_parameters=self.request_parameters, parameters=parameters
        )
        super().__post_init__(parameters)
        self._backoff = _backoff_of(self.error_handler)
        self._budget = None
        if self.api_budget:
            self._budget = AnnouncedBudget(self.api_budget._policies, self._announce, self.sync.wait)
        self._http_client = Client(
            wait=self.sync.wait,
            name=self.name,
            logger=cast(logging.Logger, Background(self.logger)),
            error_handler=self.error_handler,
            backoff_strategy=self._backoff,
            authenticator=self._authenticator,
            api_budget=self._budget,
            message_repository=self.message_repository,
            use_tcp_keepalive=self.use_tcp_keepalive,
            request_timeout=(self.connect_timeout_in_seconds, self.read_timeout_in_seconds),
        )

    def send_request(self, *arguments: Any, **options: Any) -> requests.Response | None:
        """The answer; one that is not `ok` says that the project of the slice is gone, or that it has nothing to read.

        Raises PostHogError, which says where, if PostHog refuses, or gives no usable answer in time; TooSlow or
        NotAccepted where the manifest says that it is not asked again (`unretried_codes`); and NoList.
        """
        where = Where.of(self.name, options.get("stream_slice"))
        self.sync.health.require(self.name)
        with locating(where):
            response = self._send(*arguments, **options)
            if response is not None and not response.ok and response.status_code != requests.codes.bad_request:
                self._require_gone(response, where)
        if response is not None:
            self.sync.answers.locate(response, where)
        return response

    def send_patiently(self, **options: Any) -> requests.Response | None:
        """As `send_request`, for a request that asks for the least that can be asked for.

        Where PostHog is too slow for even that, it is sent again, with the waits and the number of tries of any other
        fault. Raises PostHogError when it is time to give up.
        """
        with locating(Where.of(self.name, options.get("stream_slice"))):
            for attempt in count(1):
                try:
                    return self.send_request(**options)
                except TooSlow as slow:
                    wait = self._backoff.wait(Trouble(str(slow), too_slow=True, own_advice=slow.advice), attempt)
                self.sync.wait(wait)
        raise AssertionError("unreachable")

    def requests_an_hour(self, stream_slice: StreamSlice) -> int | None:
        """How many requests for `stream_slice` the manifest's budget leaves room for; None where it has no limit."""
        budget = self._budget
        if budget is None:
            return None
        url = self._get_url(stream_slice=stream_slice)
        return budget.calls(requests.Request(self.get_method().value, url).prepare(), timedelta(hours=1))

    def _send(self, *arguments: Any, **options: Any) -> requests.Response | None:
        """As the stock `send_request`, also for exceptions that it does not expect: all become a sentence."""
        with _as_sentence():
            body = options.get("request_body_json") or {}
            if not modifiers.are_in(body):
                return super().send_request(*arguments, **options)
            if not self.sync.modifiers_refused:
                with suppress(UnknownModifiers):
                    return super().send_request(*arguments, **options)
            return self._send_without_modifiers(*arguments, **{**options, "request_body_json": modifiers.without(body)})

    def _send_without_modifiers(self, *arguments: Any, **options: Any) -> requests.Response | None:
        response = super().send_request(*arguments, **options)
        if self.sync.modifiers_refused.turn_on():  # it was not the rest of the query that it refused
            logger.info(
                "This PostHog server is old and does not know the modifiers of a query: timestamps that come from "
                "queries are in the time zone of their project, with its offset."
            )
        return response

    def _require_gone(self, response: requests.Response, where: Where) -> None:
        """Raise PostHogError unless the project is gone; warn of it if it is. Raise NoList if the list itself is."""
        detail = self.sync.answers.detail(response)
        if detail == NO_LIST:
            raise NoList(
                f'This PostHog server has no events list at {urlsplit(response.url).path} ("{detail}"). Set '
                "`events_api` to query, which reads the same events in another way, and check that `base_url` is the "
                "address of PostHog itself."
            )

        def ask() -> bool:
            url = self._get_url(path=f"api/projects/{where.project}/")
            with _as_sentence():
                _, answer = self._http_client.send_request("GET", url, request_kwargs={})
            return not answer.ok

        if not self.sync.once(("is gone", where.project), ask):
            raise PostHogError(
                f'PostHog returned 404 for {urlsplit(response.url).path} ("{detail}"), although the project exists. '
                "Run the sync again; if this persists, that list no longer exists: remove the stream from the "
                "connection.",
                FailureType.system_error,
            )
        logger.warning(f'{where}: PostHog no longer has this project ("{detail}"); skipping it.')

    def _announce(self, seconds: float) -> None:
        self.sync.log.budget(self.name, seconds)


@contextmanager
def _as_sentence() -> Iterator[None]:
    """Make a sentence of any exception that is none of ours or of the CDK's."""
    try:
        yield
    except (AirbyteTracedException, Unanswered, Abandoned):
        raise
    except Exception as error:
        raise PostHogError(
            f"The request to PostHog failed with an unexpected {type(error).__name__} ({error}). Run the sync again; "
            "if this persists, report it.",
            FailureType.system_error,
            cause=error,
        ) from error


def _backoff_of(handler: ErrorHandler | None) -> PostHogBackoff:
    """The one backoff strategy of the manifest, which every wait goes by."""
    strategies = handler.backoff_strategies if isinstance(handler, DefaultErrorHandler) else None
    for strategy in strategies or []:
        if isinstance(strategy, PostHogBackoff):
            return strategy
    raise ValueError("The error handler of a PostHogRequester needs a PostHogBackoff among its `backoff_strategies`")
