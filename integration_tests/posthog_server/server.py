"""The API on a real socket of this machine."""

import json
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from integration_tests.posthog_server.api import PostHog, Reply
from integration_tests.posthog_server.data import Account


class PostHogServer:
    """`with PostHogServer(account) as server:` serves until the end of the block at `server.url`.

    `server.posthog` is the API behind it: its faults, its counted requests. Options are those of `PostHog`.
    """

    def __init__(self, account: Account, port: int = 0, **options: Any) -> None:
        self.posthog = PostHog(account, **options)
        self._http = _Http(("127.0.0.1", port), _handler(self.posthog))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "PostHogServer":
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False


def _handler(posthog: PostHog) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body leave in one piece

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/__stats__":  # ours, for the demo and the benchmarks
                self._send(Reply(200, json.dumps(_stats(posthog)).encode()))
            elif url.path == "/__reset__":
                posthog.reset()
                self._send(Reply(200, b"{}"))
            else:
                self._send(posthog.handle(url.path, url.query, dict(self.headers)))

        def _send(self, reply: Reply) -> None:
            if reply.hang_up and not reply.sent:
                return self._reset()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body[: reply.sent] if reply.hang_up else reply.body)
            self.wfile.flush()
            return self._reset() if reply.hang_up else None

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ValueError):  # the client, or a fault, closed the connection
                self.close_connection = True

        def finish(self) -> None:
            try:
                super().finish()
            except (ConnectionError, ValueError, OSError):
                pass

    return Handler


def _stats(posthog: PostHog) -> dict[str, Any]:
    requests = list(posthog.requests)
    return {
        "requests": Counter(request.stream for request in requests),
        "events": Counter(request.project_id for request in requests if request.stream == "events"),
    }
