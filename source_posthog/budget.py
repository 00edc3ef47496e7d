"""Waiting for our own request budget, so that somebody who watches the sync knows of it."""

from collections.abc import Callable
from time import sleep
from typing import Any

from airbyte_cdk.sources.streams.call_rate import (
    AbstractAPIBudget,
    AbstractCallRatePolicy,
    APIBudget,
    CallRateLimitHit,
)


class AnnouncedBudget(AbstractAPIBudget):
    """The manifest's budget, with a word to `announce` before each wait (seconds).

    The CDK's own waits in silence. And it takes a request from the first policy that it matches, where PostHog counts
    it in several buckets, of which other streams share only some; here it is taken from each, in their order.
    """

    def __init__(self, budget: APIBudget, announce: Callable[[float], None]) -> None:
        self._budget = budget
        self._each = [APIBudget([policy]) for policy in budget._policies]
        self._announce = announce

    def acquire_call(self, request: Any, block: bool = True, timeout: float | None = None) -> None:
        """Wait until the budget has room for `request`; raises CallRateLimitHit at once where it must not `block`."""
        for budget in self._each:
            self._acquire(budget, request, block, timeout)

    def _acquire(self, budget: APIBudget, request: Any, block: bool, timeout: float | None) -> None:
        while True:
            try:
                budget.acquire_call(request, block=False)
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
