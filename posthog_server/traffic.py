"""Requests as the server saw them, and its replies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .values import SECOND, encode

# How PostHog names the kinds of its errors; anything else is an "invalid_request".
_TYPES = {
    400: "validation_error",
    401: "authentication_error",
    403: "authentication_error",
    429: "throttled_error",
    500: "server_error",
    503: "server_error",
    504: "server_error",
    512: "server_error",
    513: "server_error",
}


def error_body(status: int, code: str, detail: str, type_: str = "") -> dict[str, Any]:
    """The body of an error; its type follows from the status where none is given."""
    return {"type": type_ or _TYPES.get(status, "invalid_request"), "code": code, "detail": detail, "attr": None}


@dataclass
class Seen:
    """One request.

    Attributes:
        stream: "events", "persons", ...; "query"; "projects" also for one project; "" for any other path.
        query: the last value of each parameter, decoded.
        headers: by their names in lower case.
        body: what was posted, decoded; None where it is no JSON.
        after, before: of an event list or a query, the exclusive bounds as the server understood them (microseconds).
        bytes_read: what a query was charged; None where it was not.
        status: of the reply; 0 until there is one, and where the connection was reset.
        started, finished: seconds of the monotonic clock.
    """

    stream: str
    project_id: int | None
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None
    after: int = 0
    before: int = 0
    bytes_read: int | None = None
    status: int = 0
    started: float = 0.0
    finished: float = 0.0

    @property
    def range_seconds(self) -> float:
        """The range that an event list or a query was asked for; 0 for other streams."""
        return (self.before - self.after) / SECOND


@dataclass
class Reply:
    """A reply.

    Attributes:
        reset: no answer at all, the connection is reset.
        missing: how many bytes of the body are announced and never sent; the connection ends instead.
        drip: seconds before each byte of the body.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: bool = False
    missing: int = 0
    drip: float = 0.0

    def json(self) -> Any:
        return json.loads(self.body)


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """`body` as JSON, or as it is where it is bytes already."""
    content = body if isinstance(body, bytes) else encode(body)
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, content)


def html_reply(status: int, title: str, headers: Mapping[str, str] | None = None) -> Reply:
    """A page as proxies show it."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Reply(status, {"Content-Type": "text/html; charset=utf-8", **(headers or {})}, page.encode())


class Refusal(Exception):
    """Ends a request with an error."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        type_: str = "",
        attr: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.reply = json_reply(status, {**error_body(status, code, detail, type_), "attr": attr}, headers)


def invalid(detail: str, code: str = "invalid_input") -> Refusal:
    """400: what was asked for cannot be read."""
    return Refusal(400, code, detail)


def server_error() -> Refusal:
    return Refusal(500, "error", "A server error occurred.")


def throttle_refusal(seconds: int) -> Refusal:
    detail = f"Request was throttled. Expected available in {seconds} seconds."
    return Refusal(429, "throttled", detail, {"Retry-After": str(seconds)})
