"""PostHog's REST API as it really behaves (shared/posthog-api.md), without a socket: a request in, a reply out."""

import random
import re
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from integration_tests.posthog_server.data import SECOND, Account, Event, Key, Project, Row, written
from integration_tests.posthog_server.faults import Fault, FaultPlan

STREAMS = ("cohorts", "feature_flags", "persons", "events", "annotations", "insights")
SCOPES = {
    "projects": "project:read",
    "cohorts": "cohort:read",
    "feature_flags": "feature_flag:read",
    "persons": "person:read",
    "events": "query:read",
    "annotations": "annotation:read",
    "insights": "insight:read",
}
# Before it reads the whole range, the server looks at these spans below `before`, in seconds.
PROBES = (60, 300, 900, 3600, 21_600, 86_400)
THROTTLES = {"query": (240, 1200), "persons": (240, None), "other": (480, 4800)}  # per minute, per hour
BASIC_INSIGHT = (
    "id short_id name derived_name filters query dashboards dashboard_tiles description last_refresh saved tags "
    "created_at created_by favorited"
).split()


@dataclass
class Request:
    """One request, as the server saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    stream: str | None = None
    project_id: int | None = None
    status: int = 0

    @property
    def after(self) -> int:
        return instant(self.query.get("after"), -86_400)

    @property
    def before(self) -> int:
        return instant(self.query.get("before"), 5)

    @property
    def span(self) -> float:
        """The seconds that an events request asks for."""
        return (self.before - self.after) / SECOND


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    hang_up: bool = False  # the connection is reset, after `sent` of the body's bytes
    sent: int = 0


class Refused(Exception):
    """An error as PostHog words it."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.reply = reply(status, {"type": "error", "code": code, "detail": detail, "attr": None}, headers)


def reply(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    try:
        content = orjson.dumps(body)
    except TypeError:  # integers over 64 bits
        import json

        content = json.dumps(body).encode()
    return Reply(status, content, {"Content-Type": "application/json", **(headers or {})})


_ISO = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,6})\d*)?(Z|[+-]\d\d:?\d\d)?")


def instant(text: str | None, default_seconds_from_now: float = 0) -> int:
    """Microseconds of a date in a query. One that does not parse silently becomes now."""
    now = int(time.time() * SECOND)
    if text is None:
        return now + int(default_seconds_from_now * SECOND)
    parsed = _ISO.fullmatch(text)
    if not parsed:
        return now
    day, clock, fraction, zone = parsed.groups()
    at = datetime.fromisoformat(f"{day}T{clock}+00:00")
    if zone and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        at -= offset if zone[0] == "+" else -offset
    seconds = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1)
    return seconds * SECOND + int((fraction or "0").ljust(6, "0"))


class PostHog:
    """The API over an account.

    Attributes:
        cap: events on a page at the most, whatever `limit` asks for: 1000 since May 2026.
        delay: seconds that each events query takes.
        third_list_wait: seconds that a third event list of a project waits before its 500.
        public_host: scheme and host that `next` shows, where a proxy hides the real ones.
        throttles: whether the cloud's throttles apply.
        requests: all requests so far.
        at_once: per project, the most event lists that ran at the same time.
    """

    def __init__(
        self,
        account: Account,
        cap: int = 1000,
        delay: float = 0,
        third_list_wait: float = 30,
        public_host: str | None = None,
        throttles: bool = False,
        clock: Callable[[], float] = time.monotonic,
        seed: int = 1,
    ) -> None:
        self.account = account
        self.cap = cap
        self.delay = delay
        self.third_list_wait = third_list_wait
        self.public_host = public_host
        self.throttles = throttles
        self.clock = clock
        self.faults = FaultPlan()
        self.requests: list[Request] = []
        self.at_once: Counter[int] = Counter()
        self._running: Counter[int] = Counter()
        self._free = threading.Condition()
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)
        self._rng = random.Random(seed)

    def count(self, stream: str | None = None, project_id: int | None = None) -> int:
        return sum(
            stream in (None, request.stream) and project_id in (None, request.project_id)
            for request in list(self.requests)
        )

    def reset(self) -> None:
        self.requests.clear()
        self.at_once.clear()

    # --- a request

    def handle(self, path: str, query: str, headers: Mapping[str, str]) -> Reply:
        """Answer a GET of `path` with the raw query string `query`."""
        request = Request(path, dict(parse_qsl(query, keep_blank_values=True)), dict(headers))
        parsed = re.fullmatch(r"/api/projects(?:/(\d+)(?:/(\w+))?)?/?", path)
        if parsed:
            request.project_id = int(parsed[1]) if parsed[1] else None
            request.stream = parsed[2] or "projects"
        self.requests.append(request)
        fault = self.faults.next_for(request)
        try:
            answer = self._faulty(request, fault) if fault else self._answer(request)
        except Refused as refused:
            answer = refused.reply
        request.status = answer.status
        return answer

    def _faulty(self, request: Request, fault: Fault) -> Reply:
        time.sleep(fault.stall)
        if fault.redirect:
            return Reply(302, b"", {"Location": fault.redirect})
        if fault.status:
            body = {"type": "error", "code": fault.code, "detail": fault.detail, "attr": None}
            made = reply(fault.status, body, fault.headers)
            return Reply(made.status, fault.body, made.headers) if fault.body is not None else made
        answer = self._answer(request)
        if fault.rewrite:
            return reply(answer.status, fault.rewrite(orjson.loads(answer.body)), answer.headers)
        if fault.truncate:
            answer.body = answer.body[: len(answer.body) // 2]
        if fault.hang_up:
            answer.hang_up, answer.sent = True, len(answer.body) // 2 if fault.after_half else 0
        return answer

    def _answer(self, request: Request) -> Reply:
        key = self._authenticate(request)
        if request.stream is None or request.stream not in SCOPES:
            raise Refused(404, "not_found", "Endpoint not found.")
        self._throttle(request.stream)
        if key.scopes is not None and SCOPES[request.stream] not in key.scopes:
            raise Refused(403, "permission_denied", f"API key missing required scope '{SCOPES[request.stream]}'")
        if request.project_id is None:
            if key.project_ids is not None:
                sentence = "API keys with scoped projects are only supported on project-based endpoints."
                raise Refused(403, "permission_denied", sentence)
            visible = [project.row() for project in self.account.projects if not project.denied]
            return self._page(request, visible)
        project = self._project(request.project_id, key)
        if request.stream == "projects":
            return reply(200, project.detail())
        if request.stream == "events":
            return self._events_in_turn(request, project)
        return self._page(request, self._rows(request, project), project)

    def _authenticate(self, request: Request) -> Key:
        header = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
        key = self.account.keys.get(header.removeprefix("Bearer "))
        if key is None or not header.startswith("Bearer "):
            status = 403 if request.stream == "insights" else 401
            raise Refused(status, "authentication_failed", "Invalid personal API key.")
        return key

    def _project(self, project_id: int, key: Key) -> Project:
        project = self.account.project(project_id)
        if key.project_ids is not None and project_id not in key.project_ids:
            sentence = f"API key does not have access to the requested project: ID {project_id}."
            raise Refused(403, "permission_denied", sentence)
        if project is None:
            raise Refused(404, "not_found", "Project not found.")
        if project.denied:
            raise Refused(403, "permission_denied", "You don't have access to the project.")
        return project

    def _throttle(self, stream: str) -> None:
        if not self.throttles:
            return
        bucket = {"events": "query", "insights": "query", "persons": "persons"}.get(stream, "other")
        calls, now = self._calls[bucket], self.clock()
        for limit, seconds in zip(THROTTLES[bucket], (60, 3600), strict=True):
            recent = [call for call in calls if call > now - seconds]
            if limit and len(recent) >= limit:
                wait = int(recent[0] + seconds - now) + 1
                sentence = f"Request was throttled. Expected available in {wait} seconds."
                raise Refused(429, "throttled", sentence, {"Retry-After": str(wait)})
        calls.append(now)

    # --- lists other than events

    def _rows(self, request: Request, project: Project) -> list[Row]:
        """All rows of a list, in the order in which this request sees them."""
        rows: list[Row] = list(getattr(project, str(request.stream)))
        if request.stream == "cohorts":
            return sorted((row for row in rows if not row.get("deleted")), key=lambda row: -row["id"])
        if request.stream == "annotations":
            return rows + self.account.shared_annotations
        if request.stream in ("feature_flags", "insights"):
            rows = [row for row in rows if not row.get("archived")]
            if request.query.get("order") == "id":
                rows.sort(key=lambda row: row["id"])
            else:  # by a column that is mostly null
                self._rng.shuffle(rows)
            if request.query.get("basic") == "true" and request.stream == "insights":
                rows = [{key: row[key] for key in BASIC_INSIGHT if key in row} for row in rows]
        return rows

    def _page(self, request: Request, rows: list[Row], project: Project | None = None) -> Reply:
        limit, offset = self._number(request, "limit", 100), self._number(request, "offset", 0)
        page = rows[offset : offset + limit]
        more = offset + limit < len(rows)
        body: Row = {"count": len(rows), "next": None, "previous": None, "results": page}
        if request.stream == "persons" and project:
            del body["count"]
            body["results"] = [row for row in page if row["id"] not in project.dropped_persons]
            more = more and limit <= 50_000
        if more:
            body["next"] = self._url(request, {**request.query, "limit": str(limit), "offset": str(offset + limit)})
        return reply(200, body)

    @staticmethod
    def _number(request: Request, name: str, default: int) -> int:
        text = request.query.get(name, "")
        return int(text) if text.isdigit() and (name == "offset" or int(text)) else default

    def _url(self, request: Request, query: Mapping[str, str]) -> str:
        host = next((value for name, value in request.headers.items() if name.lower() == "host"), "127.0.0.1")
        return f"{self.public_host or f'http://{host}'}{request.path}?{urlencode(query)}"

    # --- events

    def _events_in_turn(self, request: Request, project: Project) -> Reply:
        """Two lists of a project at once; a third waits, and fails if it waits too long."""
        with self._free:
            if not self._free.wait_for(lambda: self._running[project.id] < 2, self.third_list_wait):
                raise Refused(500, "error", "Too many concurrent queries.")
            self._running[project.id] += 1
            self.at_once[project.id] = max(self.at_once[project.id], self._running[project.id])
        try:
            if self.delay:
                time.sleep(self.delay)
            return self._events(request, project)
        finally:
            with self._free:
                self._running[project.id] -= 1
                self._free.notify_all()

    def _events(self, request: Request, project: Project) -> Reply:
        after, before = request.after, request.before
        if before - after > 366 * 86_400 * SECOND:
            raise Refused(500, "error", "A server error occurred.")
        offset = self._number(request, "offset", 0)
        if offset > 50_000:
            raise Refused(400, "invalid_input", "Offset exceeds the maximum of 50000.")
        limit = min(self._number(request, "limit", 100), self.cap)
        suffix = _suffix(request.query.get("properties"))
        oldest_first = request.query.get("orderBy") == '["timestamp"]'
        with project.lock:
            low, high = bisect_right(project.instants, after), bisect_left(project.instants, before)
            if not oldest_first:
                for span in PROBES:
                    start = before - span * SECOND
                    if start > after and suffix == "":
                        inside = bisect_left(project.instants, start)
                        if high - inside >= limit / 2:
                            low = inside
                            break
            found = self._cut(project, low, high, limit + 1 + offset, suffix, oldest_first)[offset:]
        page, more = found[:limit], len(found) > limit
        url = None
        if more:
            bound = "after" if oldest_first else "before"
            url = self._url(request, {**request.query, bound: written(page[-1].at)})
        with_person = request.query.get("include_person") == "true"
        rows = [event.json if with_person else orjson.dumps(event.row(False)) for event in page]
        return Reply(200, b'{"next":' + orjson.dumps(url) + b',"results":[' + b",".join(rows) + b"]}")

    def _cut(self, project: Project, low: int, high: int, count: int, suffix: str, oldest_first: bool) -> list[Event]:
        """The first `count` events of events[low:high] in the order asked for, ties in another order on each request."""
        instants, events = project.instants, project.events
        if suffix:
            chosen: Iterable[Event] = (event for event in events[low:high] if event.id.endswith(suffix))
        elif oldest_first:
            end = min(high, low + count)
            chosen = events[low : min(high, bisect_right(instants, instants[end - 1])) if end > low else low]
        else:
            start = max(low, high - count)
            chosen = events[max(low, bisect_left(instants, instants[start])) if start < high else high : high]
        mixed = [(event.at if oldest_first else -event.at, self._rng.random(), event) for event in chosen]
        return [event for _, _, event in sorted(mixed, key=lambda entry: entry[:2])][:count]


def _suffix(properties: str | None) -> str:
    """The end of ids that the one kind of filter known here asks for; "" for no filter."""
    if not properties:
        return ""
    (condition,) = orjson.loads(properties)
    wanted = re.fullmatch(r"toString\(uuid\) like '%([0-9a-f-]+)'", condition["key"])
    if condition["type"] != "hogql" or not wanted:
        raise Refused(400, "invalid_input", "Unknown filter.")
    return str(wanted[1])
