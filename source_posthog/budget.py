"""Waiting for our own request budget, so that somebody who watches the sync knows of it."""

from collections.abc import Callable
from time import sleep
from typing import Any

from airbyte_cdk.sources.streams.call_rate import AbstractAPIBudget, AbstractCallRatePolicy, CallRateLimitHit


class AnnouncedBudget(AbstractAPIBudget):
    """The manifest's budget, which waits in silence, with a word to `announce` before each wait (seconds)."""

    def __init__(self, budget: AbstractAPIBudget, announce: Callable[[float], None]) -> None:
        self._budget = budget
        self._announce = announce

    def acquire_call(self, request: Any, block: bool = True, timeout: float | None = None) -> None:
        """Wait until the budget has room for `request`; raises CallRateLimitHit at once where it must not `block`."""
        while True:
            try:
                self._budget.acquire_call(request, block=False)
                return
            except CallRateLimitHit as full:
                if not block:
                    raise
                seconds = max(0.0, full.time_to_wait.total_seconds())
                if timeout is not None and seconds > timeout:
                    raise
                self._announce(seconds)
                sleep(seconds)

    def get_matching_policy(self, request: Any) -> AbstractCallRatePolicy | None:
        return self._budget.get_matching_policy(request)

    def update_from_response(self, request: Any, response: Any) -> None:
        self._budget.update_from_response(request, response)
