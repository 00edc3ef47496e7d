"""The connector and PostHog in one process: the connector's HTTP requests are answered without a socket."""

import json
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http import HTTPStatus
from io import BytesIO
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import (
    AirbyteStateMessageSerializer,
    ConfiguredAirbyteCatalogSerializer,
)
from airbyte_cdk.utils import AirbyteTracedException
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from integration_tests.harness.connector import QUERY, RANGES, Output, Way, by_way, catalog, config, run
from posthog_server import Account, Event, Fault, PostHog, PostHogServer
from posthog_server.extra import EXTRA
from posthog_server.values import EPOCH
from source_posthog import SourcePosthog
from source_posthog.api import clock
from source_posthog.exact.instants import instant

URL = "https://posthog.test"
SOURCE = SourcePosthog()


@contextmanager
def answers_from(posthog: PostHog) -> Iterator[None]:
    """Let `posthog` answer every HTTP request of this process, as if it were at `URL` (and at any other host).

    One that goes by this computer's clock goes by the connector's: `now_is` sets both.

    A reply passes through urllib3 and requests as one from a socket does, so that status, headers, the bytes of the
    body, url, request, redirects and connections that break in the middle are what the connector would get.
    """

    if posthog.clock is time.time:
        posthog.clock = lambda: clock.now().timestamp()

    def send(adapter: HTTPAdapter, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        return _send(posthog, adapter, request)

    with patch.object(HTTPAdapter, "send", send):
        yield


def _send(posthog: PostHog, adapter: HTTPAdapter, request: requests.PreparedRequest) -> requests.Response:
    parts = urlsplit(str(request.url))
    headers: dict[str, Any] = {"Host": parts.netloc, **request.headers}
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    assert isinstance(body, bytes)
    reply = posthog.handle(str(request.method), parts.path, parts.query, headers, body)
    if reply.reset:
        raise requests.ConnectionError("Connection reset by peer", request=request)
    raw = HTTPResponse(
        BytesIO(reply.body),
        {**reply.headers, "Content-Length": str(len(reply.body) + reply.missing)},
        reply.status,
        reason=_phrase(reply.status),
        preload_content=False,
        enforce_content_length=True,  # a body that ends too early is an error, as on a socket
        request_method=request.method,
    )
    return adapter.build_response(request, raw)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def messages(
    state: list[dict[str, Any]] | None = None, *streams: str, **options: Any
) -> Generator[dict[str, Any], None, None]:
    """The messages of `SourcePosthog().read(...)`, one by one; of events where no stream is named."""
    read = SOURCE.read(
        None,
        config(URL, **options),
        ConfiguredAirbyteCatalogSerializer.load(catalog(*streams or ["events"])),
        [AirbyteStateMessageSerializer.load(one) for one in state or []],
    )
    for message in read:
        yield json.loads(AirbyteEntrypoint.airbyte_message_to_string(message))


def sync(state: list[dict[str, Any]] | None = None, *streams: str, **options: Any) -> Output:
    """All that one sync gives. Half the time of `run`, for tests that make hundreds of syncs."""
    got, status = [], 0
    try:
        for message in messages(state, *streams, **options):
            got.append(message)
    except AirbyteTracedException:
        status = 1
    return Output(got, "", status)


def read(
    posthog: PostHogServer | PostHog | str,
    *streams: str,
    state: Any = None,
    flags: tuple[str, ...] = (),
    **options: Any,
) -> Output:
    """What `source-posthog read` prints of `streams`, of all where none is named, from a server or an address.

    `query` and `ranges` for a stream are events in other ways. The configuration names extra streams.
    """
    if isinstance(posthog, PostHog):
        with answers_from(posthog):
            return read(URL, *streams, state=state, flags=flags, **options)
    url = posthog if isinstance(posthog, str) else posthog.url
    ways = {"query": QUERY, "ranges": RANGES}
    extra = [stream for stream in streams if stream in EXTRA]
    chosen = {**({"extra_streams": extra} if extra else {}), **options}
    named = catalog(*("events" if stream in ways else stream for stream in streams))
    with ExitStack() as stack:
        for stream in ways.keys() & {*streams}:
            stack.enter_context(by_way(ways[stream]))
        return run("read", *flags, config=config(url, **chosen), catalog=named, state=state)


def sync_at(
    now: int, made: Account | PostHog, *faults: Fault, way: Way = QUERY, **options: Any
) -> tuple[Output, PostHog]:
    """A sync of events at `now` in one of the two ways, and the server that it read from."""
    posthog = made if isinstance(made, PostHog) else PostHog(made, cap=100, query_cap=100)
    for fault in faults:
        posthog.faults.add(fault)
    with answers_from(posthog), now_is(now):
        return sync(**{**way.options, **options}), posthog


@contextmanager
def now_is(at: int) -> Iterator[None]:
    """Let the connector's clock stand at `at` (microseconds since the epoch)."""
    with patch.object(clock, "now", lambda: EPOCH + timedelta(microseconds=at)):
        yield


def unread_states(got: list[dict[str, Any]], due: Mapping[int, list[Event]], state: Mapping[str, Any]) -> list[str]:
    """Each state in `got` that covers an event of `due` which was not emitted before it, in words.

    A state covers what is older than it: the next sync reads its own instant again. One that still is as in `state`,
    where the sync began, by project or for all at once, covers only what earlier syncs emitted.
    """
    given: set[tuple[int, str]] = set()
    wrong = []
    for message in got:
        if message["type"] == "RECORD":
            row = message["record"]["data"]
            given.add((row["project_id"], row["id"]))
        elif message["type"] == "STATE":
            reached = message["state"]["stream"]["stream_state"]
            for project, events in due.items():
                entry = reached.get(str(project), {})
                if entry and entry["timestamp"] != state.get(str(project), state).get("timestamp"):
                    covered = (instant(entry["timestamp"]) - EPOCH) // timedelta(microseconds=1)
                    missing = [one for one in events if one.at < covered and (project, one.id) not in given]
                    if missing:
                        wrong.append(f"project {project}: {entry} covers {len(missing)} events that were not emitted")
    return wrong
