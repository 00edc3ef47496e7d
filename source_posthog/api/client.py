"""How a request crosses the network: to `base_url` and to nowhere else, in a time that has an end, within a budget."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import orjson
import requests
from airbyte_cdk.sources.streams.call_rate import (
    AbstractAPIBudget,
    AbstractCallRatePolicy,
    BaseCallRatePolicy,
    CallRateLimitHit,
    Rate,
    RequestMatcher,
)
from airbyte_cdk.sources.streams.http import HttpClient
from airbyte_cdk.sources.streams.http.exceptions import UserDefinedBackoffException
from requests.adapters import BaseAdapter

from source_posthog.api import clock
from source_posthog.api.errors import LargeBody, RedirectRefused, SlowBody, one_line
from source_posthog.exact.events.page_size import MOST_BYTES_OF_AN_ANSWER

# Between two bytes the read timeout of the manifest holds, but a body that drips would never meet it. A page of 100 MB
# over a slow line (1 MB/s) takes two minutes, and may take seven hours by these.
BODY_GRACE = 60  # seconds that any body may take
LEAST_RATE = 4096  # bytes a second that it must come at on top of that
CHUNK = 64 * 1024

_MAKES_IT_A_GET = (301, 302, 303)  # for requests, as for browsers
_PORTS = {"http": 80, "https": 443}


class Client(HttpClient):
    """The CDK's client, whose requests go through TimedAdapter. `wait` (seconds) is called before one is sent again.

    The CDK's own sleeps, for hours where it has to, and then sends a request that nobody may need any more.
    """

    def __init__(self, wait: Callable[[float], None], **options: Any) -> None:
        super().__init__(**options)
        self._wait = wait
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, TimedAdapter(self._session.get_adapter(scheme)))

    def _send(
        self,
        request: requests.PreparedRequest,
        request_kwargs: Mapping[str, Any],
        log_formatter: Callable[[requests.Response], Any] | None = None,
        exit_on_rate_limit: bool | None = False,
    ) -> requests.Response:
        while True:
            try:
                return super()._send(request, request_kwargs, log_formatter, exit_on_rate_limit)
            except UserDefinedBackoffException as again:
                seconds = float(again.backoff)
            self._wait(seconds)


class TimedAdapter(BaseAdapter):
    """Sends a request through the CDK's own adapter.

    Raises RedirectRefused, and SlowBody or LargeBody while the body is read, which requests does at once.
    """

    def __init__(self, adapter: BaseAdapter) -> None:
        super().__init__()
        self._adapter = adapter

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        response = self._adapter.send(request, *arguments, **options)
        if response.is_redirect:
            # Before it is followed: the key must not go there.
            _require_same(request, urljoin(str(request.url), response.headers["Location"]), response.status_code)
        response.raw = TimedBody(response.raw, MOST_BYTES_OF_AN_ANSWER if _rows_asked_for(request) > 1 else None)
        return response

    def close(self) -> None:
        self._adapter.close()


class TimedBody:
    """The body of an answer, as requests reads it (urllib3's HTTPResponse), with a deadline that moves as it comes, and
    of `most` bytes; None if it may be of any size."""

    def __init__(self, raw: Any, most: int | None = None) -> None:
        self._raw, self._most = raw, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, _: int, decode_content: bool | None = None) -> Iterator[bytes]:
        """The body in pieces, each as soon as it is there. Raises SlowBody and LargeBody."""
        begun, received = monotonic(), 0
        while piece := self._raw.read1(CHUNK, decode_content=decode_content):
            received += len(piece)
            if self._most is not None and received > self._most:
                self._raw.close()
                raise LargeBody(f"an answer of more than {self._most // 1_000_000} MB")
            yield piece
            if monotonic() - begun > BODY_GRACE + received / LEAST_RATE:
                self._raw.close()
                raise SlowBody


def _rows_asked_for(request: requests.PreparedRequest) -> int:
    """The limit of a list, or of an EventsQuery; 1 where there is none."""
    asked = dict(parse_qsl(urlsplit(str(request.url)).query))
    limit: Any = asked.get("limit", asked.get("page_size", 1))
    if isinstance(request.body, bytes):
        with suppress(ValueError, AttributeError):
            limit = orjson.loads(request.body).get("query", {}).get("limit", 1)
    return int(limit) if str(limit).isdecimal() else 1


def _require_same(request: requests.PreparedRequest, target: str, status: int) -> None:
    """Refuse a redirect to another host or scheme, to another path, or to an address without what was asked for."""
    drops_body = request.method == "POST" and status in _MAKES_IT_A_GET
    old, new = urlsplit(str(request.url)), urlsplit(target)
    asked, kept = (set(parse_qsl(url.query, keep_blank_values=True)) for url in (old, new))
    old_place, new_place = ((url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)) for url in (old, new))
    if old_place == new_place and old.path.rstrip("/") == new.path.rstrip("/"):
        if asked <= kept and not drops_body:
            return
        advice = (
            "That comes from a server or proxy in front of PostHog, which must keep the query string, and the body "
            "of a POST."
        )
    elif "/api/projects" in new.path:
        base = f"{new.scheme}://{new.netloc}{new.path.partition('/api/projects')[0]}"
        advice = f"Set `base_url` to {one_line(base)}."
    else:
        advice = "That is not PostHog's API: set `base_url` to the address of PostHog itself."
    place = f"{new.scheme}://{new.netloc}{new.path}"
    dropped = " without its query" if drops_body or not asked <= kept else ""
    raise RedirectRefused(
        f"the request for {old.path} is redirected to {one_line(place)}{dropped}, and the redirect "
        f"was not followed. {advice}",
        request=request,
    )


class MovingWindow(BaseCallRatePolicy):
    """So many requests in so much time, for each of `rates`, in the time that has just passed.

    The CDK's own leaves a thread behind in the process for each sync.
    """

    def __init__(self, rates: Sequence[Rate], matchers: list[RequestMatcher]) -> None:
        super().__init__(matchers)
        self.rates = tuple(rates)
        self._lock = threading.Lock()
        self._sent: deque[float] = deque(maxlen=max(rate.limit for rate in rates))

    def try_acquire(self, request: Any, weight: int) -> None:
        """Count `request`. Raises CallRateLimitHit where there is no room for it yet."""
        with self._lock:
            now = clock.seconds()
            for rate in self.rates:
                if len(self._sent) < rate.limit:
                    continue
                seconds = self._sent[-rate.limit] + rate.interval.total_seconds() - now
                if seconds > 0:
                    raise CallRateLimitHit(
                        f"no room for {request}", request, weight, str(rate), timedelta(seconds=seconds)
                    )
            self._sent.append(now)

    def update(self, available_calls: int | None, call_reset_ts: datetime | None) -> None:
        """Nothing to do: what PostHog says of a throttle is waited for elsewhere."""


class AnnouncedBudget(AbstractAPIBudget):
    """The policies of the manifest's budget, with a word to `announce` before each `wait` (both take seconds).

    The CDK's own waits in silence. And it takes a request from the first policy that it matches, where PostHog counts
    it in several buckets, of which other streams share only some; here it is taken from each, in their order.
    """

    def __init__(
        self,
        policies: Sequence[AbstractCallRatePolicy],
        announce: Callable[[float], None],
        wait: Callable[[float], None],
    ) -> None:
        self._policies = policies
        self._announce, self._wait = announce, wait

    def acquire_call(self, request: Any, block: bool = True, timeout: float | None = None) -> None:
        """Wait until the budget has room for `request`; raises CallRateLimitHit at once where it must not `block`."""
        for policy in self._policies:
            if policy.matches(request):
                self._acquire(policy, request, block, timeout)

    def _acquire(self, policy: AbstractCallRatePolicy, request: Any, block: bool, timeout: float | None) -> None:
        while True:
            try:
                policy.try_acquire(request, weight=1)
                return
            except CallRateLimitHit as full:
                seconds = full.time_to_wait.total_seconds()
                if not block or (timeout is not None and seconds > timeout):
                    raise
                self._announce(seconds)
                self._wait(seconds)

    def calls(self, request: Any, interval: timedelta) -> int | None:
        """How many requests like `request` it leaves room for in each `interval`; None where it has no such limit."""
        limits = [
            rate.limit
            for policy in self._policies
            if isinstance(policy, MovingWindow) and policy.matches(request)
            for rate in policy.rates
            if rate.interval == interval
        ]
        return min(limits, default=None)

    def get_matching_policy(self, request: Any) -> AbstractCallRatePolicy | None:
        return next((policy for policy in self._policies if policy.matches(request)), None)

    def update_from_response(self, request: Any, response: Any) -> None:
        """Nothing to do: what PostHog says of a throttle is waited for elsewhere."""
