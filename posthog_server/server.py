"""The API behind a real socket."""

import json
import socket
import struct
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .api import PostHog
from .data import Account
from .traffic import Reply, json_reply


class PostHogServer:
    """A PostHog at `url` until the end of the `with` block.

    with PostHogServer(account_with({1: [event("2026-01-01T00:00:00Z")]}), cap=250) as server:
        requests.get(f"{server.url}/api/projects/")

    Beside PostHog's own paths it answers `/__stats__` (how many requests there were) and `/__reset__` (forget them).
    """

    def __init__(self, posthog: PostHog | Account, *, port: int = 0, **options: Any) -> None:
        """`options` are those of PostHog where an account is given. Port 0 is any that is free."""
        self.posthog = PostHog(posthog, **options) if isinstance(posthog, Account) else posthog
        self._http = _HTTPServer(("127.0.0.1", port), _Handler)
        self._http.posthog = self.posthog
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}{self.posthog.path_prefix}"

    def start(self) -> "PostHogServer":
        self.posthog.closing.clear()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop, and end the connections that clients keep open."""
        self.posthog.closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
        self._http.server_close()
        self._http.end_connections()

    def __enter__(self) -> "PostHogServer":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512
    posthog: PostHog

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def end_connections(self) -> None:
        for connection in list(self.connections):
            with suppress(OSError):  # the client may be faster
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent: a client that goes away in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _HTTPServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        posthog = self.server.posthog
        if parts.path == "/__stats__":
            reply = json_reply(200, json.dumps(stats(posthog)).encode())
        elif parts.path == "/__reset__":
            posthog.reset()
            reply = json_reply(200, {})
        else:
            request = self.command, parts.path, parts.query, dict(self.headers.items())
            # Tests put handlers of these four in place; only what is posted has a body.
            reply = posthog.handle(*request, body) if body else posthog.handle(*request)
        self._send(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle

    def _send(self, reply: Reply) -> None:
        if reply.reset:
            # Lingering for 0 s makes closing a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if reply.missing:
            self.close_connection = True
        headers = {**reply.headers, "Content-Length": str(len(reply.body) + reply.missing)}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = b"" if self.command == "HEAD" else reply.body
        if reply.drip:
            self._drip(f"HTTP/1.1 {reply.status} {_phrase(reply.status)}\r\n{head}\r\n".encode("latin-1"), reply)
            return
        # Head and body at once: two sends would wait for an acknowledgement in between.
        self.wfile.write(f"HTTP/1.1 {reply.status} {_phrase(reply.status)}\r\n{head}\r\n".encode("latin-1") + body)

    def _drip(self, head: bytes, reply: Reply) -> None:
        self.wfile.write(head)
        for byte in reply.body:
            if self.server.posthog.closing.wait(reply.drip):
                break
            self.wfile.write(bytes([byte]))


def stats(posthog: PostHog) -> dict[str, Any]:
    """How many requests there were: by stream, by project and stream, the most at once, and the bytes read."""
    streams: Counter[str] = Counter()
    projects: dict[str, Counter[str]] = defaultdict(Counter)
    for seen in list(posthog.requests):
        streams[seen.stream or "other"] += 1
        if seen.project_id is not None:
            projects[str(seen.project_id)][seen.stream or "other"] += 1
    return {
        **streams,
        "per_project": projects,
        "max_event_lists_at_once": {str(one): most for one, most in posthog.max_event_lists_at_once.items()},
        "max_queries_at_once": {str(one): most for one, most in posthog.max_queries_at_once.items()},
        "bytes_read": {str(one): read for one, read in posthog.bytes_read.items()},
    }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
