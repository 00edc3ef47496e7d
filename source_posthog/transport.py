"""How a request crosses the network: to `base_url` and to nowhere else, and in a time that has an end."""

from collections.abc import Iterator
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.http_config import MAX_CONNECTION_POOL_SIZE
from airbyte_cdk.sources.streams.http import HttpClient
from airbyte_cdk.sources.streams.http.error_handlers import ErrorResolution, ResponseAction
from requests.adapters import HTTPAdapter

from source_posthog.errors import PostHogError, one_line

# Between two bytes the read timeout of the manifest holds, but a body that drips would never meet it. A page of 100 MB
# over a slow line (1 MB/s) takes two minutes, and may take seven hours by these.
GRACE = 60  # seconds that any body may take
LEAST_RATE = 4096  # bytes a second that it must come at on top of that
CHUNK = 64 * 1024

_MAKES_IT_A_GET = (301, 302, 303)  # for requests, as for browsers
_PORTS = {"http": 80, "https": 443}


class Client(HttpClient):
    """The CDK's client, with Transport to send its requests.

    Before it raises what a refused request ends in, the CDK's logs an ERROR with its URL, its body, and the body and
    headers of the answer. The sentence that is raised says what is wrong, so here those are for --debug alone.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        transport = Transport(pool_connections=MAX_CONNECTION_POOL_SIZE, pool_maxsize=MAX_CONNECTION_POOL_SIZE)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, transport)

    def _handle_error_resolution(
        self,
        response: requests.Response | None,
        exc: requests.RequestException | None,
        request: requests.PreparedRequest,
        error_resolution: ErrorResolution,
        exit_on_rate_limit: bool | None = False,
    ) -> None:
        if error_resolution.response_action is not ResponseAction.FAIL:
            super()._handle_error_resolution(response, exc, request, error_resolution, exit_on_rate_limit)
            return
        self._evict_key(request)
        if response is None:  # an answer is logged, for --debug, as soon as it is there
            self._logger.debug("No answer", extra={"url": request.url, "exception": exc})
        raise PostHogError(
            error_resolution.error_message or "no reason given",
            error_resolution.failure_type or FailureType.system_error,
        )


class Transport(HTTPAdapter):
    """Sends a request. Raises RedirectRefused, and SlowBody while the body is read, which requests does at once."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        response = super().send(request, *arguments, **options)
        if response.is_redirect:
            # Before it is followed: the key must not go there.
            _require_same(request, urljoin(str(request.url), response.headers["Location"]), response.status_code)
        response.raw = TimedBody(response.raw)
        return response


class TimedBody:
    """The body of an answer, as requests reads it (urllib3's HTTPResponse), with a deadline that moves as it comes."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, _: int, decode_content: bool | None = None) -> Iterator[bytes]:
        """The body in pieces, each as soon as it is there. Raises SlowBody."""
        begun, received = monotonic(), 0
        while piece := self._raw.read1(CHUNK, decode_content=decode_content):
            received += len(piece)
            yield piece
            if monotonic() - begun > GRACE + received / LEAST_RATE:
                self._raw.close()
                raise SlowBody


class SlowBody(requests.Timeout):
    """The body of an answer comes so slowly that it may never end."""


class RedirectRefused(requests.RequestException):
    """A redirect that would not lead to what was asked for, or take the API key to another place."""


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
