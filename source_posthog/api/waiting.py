"""How long to wait before a request is sent again, and when to give up."""

import random
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.error_handlers import BackoffStrategy
from airbyte_cdk.sources.types import Config

from source_posthog.api import clock
from source_posthog.api.errors import PostHogError
from source_posthog.api.health import Trouble, TroubleKind, trouble_of
from source_posthog.api.sync import Sync

LONGEST_WAIT = 300  # seconds, between two tries where the server does not say how long to wait
TRIES_OF_CHECK = 2  # of a server that does not answer at all, or not in time: somebody waits for the result


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
        limit = (
            TroubleKind.THROTTLE.value if TroubleKind.of(trouble) is TroubleKind.THROTTLE else TroubleKind.FAULT.value
        )
        if trouble.requested is not None and waited + trouble.requested > limit:
            raise PostHogError(
                f"PostHog asks for a wait of {_duration(trouble.requested)} ({trouble.words}), and a sync waits for "
                f"{_duration(limit)} at most. Run the sync again after that time. {trouble.own_advice}".rstrip(),
                FailureType.transient_error,
            )
        is_slow = trouble.unreachable or trouble.too_slow
        tries = TRIES_OF_CHECK if self.sync.is_check and is_slow else self.max_attempts
        if attempt_count >= tries if not trouble.throttled else waited > limit:
            advice = trouble.own_advice or (self.too_slow_advice if trouble.too_slow else "") or trouble.advice
            raise PostHogError(
                f"no usable answer in {attempt_count} tries, the last one: {trouble.words}. {advice}",
                FailureType.transient_error,
            )
        usual = min(2.0 ** (attempt_count - 1), LONGEST_WAIT)
        wait = usual if trouble.requested is None else trouble.requested
        if not trouble.throttled:
            wait = max(wait, usual)
        wait += random.uniform(0, max(1.0, wait / 10))
        advice = f" {trouble.own_advice}" if trouble.over_budget else ""
        self.sync.log.retry(self._stream, wait, f"asking again in {_duration(wait)} ({trouble.words}).{advice}")
        return wait


def _duration(seconds: float) -> str:
    for unit, length, most in (("second", 1, 120), ("minute", 60, 120), ("hour", 3600, 48), ("day", 86_400, 1000)):
        if seconds <= most * length:
            number = round(seconds / length)
            return f"{number} {unit}" + ("s" if number != 1 else "")
    return "more than 1000 days"
