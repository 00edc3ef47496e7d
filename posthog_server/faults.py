"""Trouble on order: what the server answers instead of the truth, to which requests, and how often.

server.posthog.faults.add(Fault(stream="persons", skip=1, times=2, **throttled(2202)))
server.posthog.faults.add(Fault(stream="events", times=None, when=lambda seen: seen.range_seconds > 3600, **too_slow()))
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from .traffic import Refusal, Reply, Seen, error_body, html_reply, json_reply

KINDS = ("status", "html", "empty", "truncated", "disconnect", "reset", "stall", "drip", "rewrite", "redirect")


@dataclass
class Fault:
    """One kind of trouble, and which requests it befalls.

    Attributes:
        stream, project_id, when: the requests it is for; None stands for any.
        skip: how many of those are answered well before it begins.
        times: how many it then befalls; None means all.
        kind: status = `status` with `body`; html = a page with `status`; empty = 200 without a body; truncated = the
            real answer, its JSON cut in the middle; disconnect = the connection ends in the middle of the real answer;
            reset = the connection is reset without an answer; stall = the real answer after `seconds`;
            drip = the real answer, a byte every `seconds`; rewrite = what
            `change` makes of the real answer's decoded body; redirect = `status` to `to`.
        body: bytes as they are, or anything that JSON can hold.
        used: how many requests it has befallen.
    """

    stream: str | None = None
    project_id: int | None = None
    when: Callable[[Seen], bool] | None = None
    skip: int = 0
    times: int | None = 1
    kind: str = "status"
    status: int = 500
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    change: Callable[[Any], Any] | None = None
    to: str = ""
    used: int = 0
    skipped: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of fault; take one of {', '.join(KINDS)}")

    def is_for(self, seen: Seen) -> bool:
        return (
            self.stream in (None, seen.stream)
            and self.project_id in (None, seen.project_id)
            and (self.when is None or self.when(seen))
        )

    def take(self) -> bool:
        """Whether the trouble is due for a request that it is for; counts it."""
        if self.skipped < self.skip:
            self.skipped += 1
            return False
        if self.times is not None and self.used >= self.times:
            return False
        self.used += 1
        return True

    def reply(self, answer: Callable[[], Reply]) -> Reply:
        """The reply in place of the real one, which `answer` gives (a stall is the caller's to wait for)."""
        if self.kind == "status":
            body = b"" if self.body is None else self.body
            return json_reply(self.status, body, self.headers)
        if self.kind == "html":
            return html_reply(self.status, _reason(self.status), self.headers)
        if self.kind == "empty":
            return json_reply(200, b"", self.headers)
        if self.kind == "reset":
            return Reply(0, reset=True)
        if self.kind == "redirect":
            return Reply(self.status, {"Location": self.to, **self.headers})
        real = answer()
        if self.kind == "rewrite" and self.change:
            return json_reply(real.status, self.change(real.json()), self.headers)
        if self.kind == "drip":
            return replace(real, drip=self.seconds)
        half = len(real.body) // 2
        if self.kind == "truncated":
            return Reply(real.status, real.headers, real.body[:half])
        if self.kind == "disconnect":
            return Reply(real.status, real.headers, real.body[:half], missing=len(real.body) - half)
        return real


class FaultPlan:
    """The faults of a server. The first that is due for a request befalls it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, seen: Seen) -> Fault | None:
        with self._lock:
            return next((fault for fault in self._faults if fault.is_for(seen) and fault.take()), None)


# --- Known trouble, as arguments of Fault: Fault(stream="cohorts", **missing_scope("cohort:read"))


def _error(status: int, code: str, detail: str, **headers: str) -> dict[str, Any]:
    return {
        "status": status,
        "body": error_body(status, code, detail),
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }


def throttled(seconds: int = 2202, *, header: bool = True, in_body: bool = True) -> dict[str, Any]:
    """429; says how long to wait in `Retry-After`, in the sentence, in both or in neither."""
    detail = "Request was throttled." + (f" Expected available in {seconds} seconds." if in_body else "")
    return _error(429, "throttled", detail, **({"Retry_After": str(seconds)} if header else {}))


def too_many_queries() -> dict[str, Any]:
    """429 without Retry-After: other queries of the project are under way."""
    return _error(429, "throttled", "Too many queries are running right now — please try again in a moment.")


def queries_budget_exceeded(seconds: int = 1800) -> dict[str, Any]:
    """The project's hourly budget of bytes read by queries is used up."""
    detail = "This project has used its hourly budget of data read by API queries."
    return _error(429, "api_queries_budget_exceeded", detail, Retry_After=str(seconds))


def queries_quota_exceeded() -> dict[str, Any]:
    """The month's quota of bytes read by queries, which free plans had before the hourly budget, is used up."""
    return _error(402, "api_queries_quota_exceeded", "API query quota exceeded. It resets at the end of the month.")


def as_refusal(trouble: Mapping[str, Any]) -> Refusal:
    """What ends a request with known trouble, e.g. `too_slow()`."""
    body = trouble["body"]
    return Refusal(trouble["status"], body["code"], body["detail"], trouble["headers"])


def wrong_key(stream: str = "") -> dict[str, Any]:
    """The key is wrong or deleted: 401, on insights 403."""
    detail = "Personal API key found in request Authorization header is invalid."
    return _error(403 if stream == "insights" else 401, "authentication_failed", detail)


def missing_scope(scope: str) -> dict[str, Any]:
    return _error(403, "permission_denied", f"API key missing required scope '{scope}'")


def no_project_access() -> dict[str, Any]:
    return _error(403, "permission_denied", "You don't have access to the project.")


def key_not_for_project(project_id: int) -> dict[str, Any]:
    detail = f"API key does not have access to the requested project: ID {project_id}."
    return _error(403, "permission_denied", detail)


def no_personal_keys() -> dict[str, Any]:
    """This endpoint lets no personal key in, whatever its scopes."""
    return _error(403, "permission_denied", "This action does not support Personal API Key access")


def key_limited_to_projects() -> dict[str, Any]:
    detail = "API keys with scoped projects are only supported on project-based endpoints."
    return _error(403, "permission_denied", detail)


def not_in_plan(feature: str = "Audit logs") -> dict[str, Any]:
    """The account's plan does not have this."""
    return _error(402, "payment_required", f"{feature} is part of the premium PostHog offering.")


def not_found() -> dict[str, Any]:
    return _error(404, "not_found", "Project not found.")


def server_error(status: int = 500) -> dict[str, Any]:
    return _error(status, "error", "A server error occurred.")


def busy() -> dict[str, Any]:
    return _error(503, "clickhouse_at_capacity", "Queries are a little too busy right now. Try again in a few minutes.")


def database_unavailable() -> dict[str, Any]:
    return _error(503, "database_unavailable", "The database is temporarily unavailable.", Retry_After="1")


def too_slow() -> dict[str, Any]:
    return _error(504, "clickhouse_timeout", "Query has hit the max execution time before completing.")


def estimated_too_slow() -> dict[str, Any]:
    return _error(
        512, "clickhouse_estimated_query_execution_time_too_long", "Estimated query execution time is too long."
    )


def out_of_memory() -> dict[str, Any]:
    return _error(513, "clickhouse_memory_limit_exceeded", "Query has reached the max memory limit before completing.")


def under_heavy_load() -> dict[str, Any]:
    """513 too, but it passes, and less would not help."""
    detail = "PostHog is under heavy load right now. Please try again in a few minutes."
    return _error(513, "clickhouse_memory_limit_exceeded", detail)


def too_many_bytes() -> dict[str, Any]:
    return _error(400, "too_many_bytes", "The query would read too many bytes. Try a shorter time range.")


def html(status: int = 502) -> dict[str, Any]:
    return {"kind": "html", "status": status}


def empty() -> dict[str, Any]:
    return {"kind": "empty"}


def truncated() -> dict[str, Any]:
    return {"kind": "truncated"}


def disconnect() -> dict[str, Any]:
    return {"kind": "disconnect"}


def reset() -> dict[str, Any]:
    return {"kind": "reset"}


def stall(seconds: float) -> dict[str, Any]:
    return {"kind": "stall", "seconds": seconds}


def rewrite(change: Callable[[Any], Any]) -> dict[str, Any]:
    return {"kind": "rewrite", "change": change}


def query_error(sentence: str = "ClickHouse error while executing query.") -> dict[str, Any]:
    """A query is answered with 200, no rows, and an error in the body."""
    return _with(error=sentence, results=[], hasMore=False)


def from_cache() -> dict[str, Any]:
    """An answer to a query says that it is an old one, though a new one was forced."""
    return _with(is_cached=True)


def more_without_rows() -> dict[str, Any]:
    """An answer to a query has no rows and says that there are more."""
    return _with(results=[], hasMore=True)


def _with(**fields: Any) -> dict[str, Any]:
    return rewrite(lambda answer: {**answer, **fields})


def drip(seconds: float) -> dict[str, Any]:
    return {"kind": "drip", "seconds": seconds}


def redirect(to: str, status: int = 302) -> dict[str, Any]:
    return {"kind": "redirect", "to": to, "status": status}


def _reason(status: int) -> str:
    """A title for a page; 524 is a proxy's own and has no standard name."""
    try:
        return f"{status} {HTTPStatus(status).phrase}" if status != 200 else "Please wait"
    except ValueError:
        return f"{status}: A timeout occurred"
