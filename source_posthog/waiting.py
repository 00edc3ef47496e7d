"""How long to wait before a request is sent again, and when to give up."""

import random
from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass, field
from itertools import count
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.error_handlers import BackoffStrategy
from airbyte_cdk.sources.streams.http.exceptions import UserDefinedBackoffException
from airbyte_cdk.sources.streams.http.rate_limiting import user_defined_backoff_handler
from airbyte_cdk.sources.streams.http.request_window_split_exception import RequestWindowSplitRequiredException
from airbyte_cdk.sources.types import Config

from source_posthog import clock
from source_posthog.errors import PostHogError
from source_posthog.health import Kind
from source_posthog.sync import Sync
from source_posthog.troubles import Trouble, trouble_of

LONGEST_WAIT = 300  # seconds, between two tries where the server does not say how long to wait
TRIES_OF_CHECK = 2  # of a server that does not answer at all, or not in time: somebody waits for the result

T = TypeVar("T")


@dataclass
class PostHogBackoff(BackoffStrategy):
    """How long to wait before a request is sent again.

    As long as the server requests: in `Retry-After`, else in the sentence of its answer ("Expected available in 2202
    seconds"). Else 1, 2, 4, ... seconds, and no less after a fault: a server that says "1" each time is busy for longer
    than six seconds. A random part on top spreads the workers, which all wait for the same instant.
    A throttled request waits for up to six hours, one that meets too many other queries for ten minutes; any other is
    given up after `max_attempts`, or at once where the server requests more time than the ten minutes that a fault may
    last.

    Attributes:
        max_attempts: how often a request that is not throttled is sent at the most.
        too_slow_advice: what to do where it stays too slow, in a sentence; "" where that is what one does otherwise.
    """

    config: Config
    parameters: InitVar[Mapping[str, Any] | None] = None
    max_attempts: int = 6
    too_slow_advice: str = ""
    sync: Sync = field(default_factory=Sync)

    def __post_init__(self, parameters: Mapping[str, Any] | None) -> None:
        self._stream = str((parameters or {}).get("name", ""))
        self._since: WeakKeyDictionary[requests.PreparedRequest, float] = WeakKeyDictionary()

    def backoff_time(
        self, response_or_exception: requests.Response | requests.RequestException | None, attempt_count: int
    ) -> float:
        """Seconds to wait after an answer of no use. Raises PostHogError (transient) when it is time to give up."""
        now, request = clock.seconds(), getattr(response_or_exception, "request", None)
        since = self._since.setdefault(request, now) if request is not None else now
        return self.wait(trouble_of(response_or_exception, self.sync.answers), attempt_count, now - since)

    def wait(self, trouble: Trouble, attempt_count: int, waited: float = 0.0) -> float:
        """Seconds to wait after `trouble`, which the request has had for `waited` seconds. Raises as `backoff_time`."""
        self.sync.health.troubled(self._stream, trouble)
        limit = Kind.THROTTLE.value if Kind.of(trouble) is Kind.THROTTLE else Kind.FAULT.value
        if trouble.requested is not None and waited + trouble.requested > limit:
            raise PostHogError(
                f"PostHog asks for a wait of {_duration(trouble.requested)} ({trouble.words}), and a sync waits for "
                f"{_duration(limit)} at most. Run the sync again after that time. {trouble.own_advice}".rstrip(),
                FailureType.transient_error,
            )
        is_slow = trouble.unreachable or trouble.too_slow
        tries = TRIES_OF_CHECK if self.sync.is_check and is_slow else self.max_attempts
        if attempt_count >= tries if not trouble.throttled else waited > limit:
            advice = (self.too_slow_advice if trouble.too_slow else "") or trouble.advice
            raise PostHogError(
                f"no usable answer in {attempt_count} tries, the last one: {trouble.words}. {advice}",
                FailureType.transient_error,
            )
        usual = min(2.0 ** (attempt_count - 1), LONGEST_WAIT)
        wait = usual if trouble.requested is None else trouble.requested
        if not trouble.throttled:
            wait = max(wait, usual)
        wait += random.uniform(0, max(1.0, wait / 10))
        self.sync.log.retry(self._stream, wait)
        return wait


def patiently(send: Callable[[], T], backoff: PostHogBackoff) -> T:
    """What `send` gives, for a request that asks for the least that can be asked for.

    The error handler resolves an answer that is too slow to SPLIT_REQUEST_WINDOW: ask for less. Where there is no less,
    the same request is sent again, with the waits and the number of tries of `backoff`, as after any other fault.

        page = patiently(lambda: requester.send_request(stream_slice=window, request_params=least), backoff)

    Raises PostHogError when it is time to give up, and what `send` raises otherwise, also its
    RequestWindowSplitRequiredException where no waiting will change the answer (its failure type is not transient).
    """
    attempts = count(1)

    def attempt() -> T:
        try:
            return send()
        except RequestWindowSplitRequiredException as slow:
            if slow.failure_type != FailureType.transient_error:
                raise
            trouble = Trouble(slow.error_message or "it was too slow", too_slow=True)
            wait = backoff.wait(trouble, next(attempts))
            raise UserDefinedBackoffException(wait, requests.PreparedRequest(), None, trouble.words) from slow

    # The CDK's own waiting, typed for functions that send a request.
    waiting = cast(Callable[[Callable[[], T]], Callable[[], T]], user_defined_backoff_handler(max_tries=None))
    return waiting(attempt)()


def _duration(seconds: float) -> str:
    for unit, length, most in (("second", 1, 120), ("minute", 60, 120), ("hour", 3600, 48), ("day", 86_400, 1000)):
        if seconds <= most * length:
            number = round(seconds / length)
            return f"{number} {unit}" + ("s" if number != 1 else "")
    return "more than 1000 days"
