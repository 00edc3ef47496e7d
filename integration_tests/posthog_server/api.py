"""PostHog's REST API as a function: a request goes in, a reply comes out. The sockets are in `server.py`."""

import math
import random
import re
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit

from . import event_list, row_lists
from .data import KEY, Account, Key, Project
from .faults import FaultPlan
from .traffic import Refusal, Reply, Seen, html_reply, json_reply, server_error, throttle_refusal
from .values import SECOND, isoformat

SCOPES = {
    "projects": "project:read",
    "cohorts": "cohort:read",
    "feature_flags": "feature_flag:read",
    "persons": "person:read",
    "events": "query:read",
    "annotations": "annotation:read",
    "insights": "insight:read",
}

EVENT_LISTS_AT_ONCE = 2  # of one project

# Throttles of the cloud: which streams share a bucket, and its limits as (requests, seconds).
_BUCKETS = {"events": "queries", "insights": "queries", "persons": "persons"}
_LIMITS = {
    "queries": ((240, 60), (1200, 3600)),
    "persons": ((240, 60),),
    "other": ((480, 60), (4800, 3600)),
}

_PATH = re.compile(r"/api/projects(?:/([^/]+)(?:/([^/]+))?)?/?")

Query = str | Mapping[str, str | list[str]] | Iterable[tuple[str, str]]


class PostHog:
    """The API of one account.

    Attributes:
        account: what there is to read; tests may change it at any time.
        cap: the most events that one page gives.
        page_delay: seconds that each answer takes; an event list holds its place among the two at once meanwhile.
        cloud_throttles: refuse with 429 as the cloud does.
        public_host: the host, or scheme and host, in `next` where a proxy hides the one that was asked.
        path_prefix: a path that the API is under, e.g. "/posthog". A proxy takes it off, so `next` is without it.
        third_list_wait: seconds that a third event list of one project waits for its turn.
        offset_penalty: seconds that an event list with an offset takes longer.
        clock: seconds since the epoch; tests may stop it.
        faults: the trouble to make, see `faults.py`.
        requests: all requests since the last reset, in the order of their arrival.
        max_event_lists_at_once: per project, the most event lists under way at one time, waiting ones included.
    """

    def __init__(
        self,
        account: Account,
        *,
        cap: int = 1000,
        page_delay: float = 0.0,
        cloud_throttles: bool = False,
        public_host: str = "",
        path_prefix: str = "",
        third_list_wait: float = 30.0,
        offset_penalty: float = 1.0,
        clock: Callable[[], float] = time.time,
        seed: int = 0,
    ) -> None:
        self.account = account
        self.cap = cap
        self.page_delay = page_delay
        self.cloud_throttles = cloud_throttles
        self.public_host = public_host
        self.path_prefix = path_prefix.rstrip("/")
        self.third_list_wait = third_list_wait
        self.offset_penalty = offset_penalty
        self.clock = clock
        self.faults = FaultPlan()
        self.closing = threading.Event()  # ends the waits when the server stops
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._turns: dict[int, threading.Semaphore] = {}
        self._buckets: dict[tuple[str, object, int], deque[float]] = defaultdict(deque)
        self.reset()

    def reset(self) -> None:
        """Forget the requests so far; faults and throttles go on."""
        with self._lock:
            self.requests: list[Seen] = []
            self.max_event_lists_at_once: dict[int, int] = {}
            self._event_lists: Counter[int] = Counter()

    def count(self, stream: str | None = None, project_id: int | None = None) -> int:
        """How many requests there were, of one stream and project where given."""
        return sum(
            stream in (None, seen.stream) and project_id in (None, seen.project_id) for seen in list(self.requests)
        )

    def get(self, url: str, token: str = KEY) -> Reply:
        """`handle` for a GET of a URL, or of a path with its query, with the key `token`."""
        parts = urlsplit(url)
        headers = {"Host": parts.netloc or "posthog.test", "Authorization": f"Bearer {token}"}
        return self.handle("GET", parts.path, parts.query, headers)

    def handle(self, method: str, url_path: str, query: Query, headers: Mapping[str, str]) -> Reply:
        """The reply to one request. `query` is decoded, unless it is text."""
        seen = self._see(url_path, query, headers)
        try:
            with self._under_way(seen):
                reply = self._reply(method, seen)
        finally:
            seen.finished = time.monotonic()
        seen.status = reply.status
        return reply

    # --- counting

    def _see(self, path: str, query: Query, headers: Mapping[str, str]) -> Seen:
        if isinstance(query, str):
            query = parse_qsl(query, keep_blank_values=True)
        pairs = query.items() if isinstance(query, Mapping) else query
        params = {name: value if isinstance(value, str) else value[-1] for name, value in pairs}
        inner = path[len(self.path_prefix) :] if path.startswith(f"{self.path_prefix}/") else ""
        match = _PATH.fullmatch(inner)
        stream, project_id = "", None
        if match:
            project_id = int(match[1]) if match[1] and match[1].isdecimal() else None
            stream = (match[2] if match[2] in SCOPES and match[2] != "projects" else "") if match[2] else "projects"
        seen = Seen(stream, project_id, inner, params, {name.lower(): value for name, value in headers.items()})
        if stream == "events":
            seen.after, seen.before = event_list.bounds(params, self._now())
        seen.started = time.monotonic()
        with self._lock:
            self.requests.append(seen)
        return seen

    def _now(self) -> int:
        return int(self.clock() * SECOND)

    @contextmanager
    def _under_way(self, seen: Seen) -> Iterator[None]:
        project_id = seen.project_id
        if seen.stream != "events" or project_id is None:
            yield
            return
        with self._lock:
            lists = self._event_lists  # this one, since a reset begins another
            lists[project_id] += 1
            most = self.max_event_lists_at_once
            most[project_id] = max(most.get(project_id, 0), lists[project_id])
        try:
            yield
        finally:
            with self._lock:
                lists[project_id] -= 1

    # --- answering

    def _reply(self, method: str, seen: Seen) -> Reply:
        fault = self.faults.take(seen)
        if fault is None:
            return self._answer(method, seen)
        if fault.kind == "stall":
            self.closing.wait(fault.seconds)
        return fault.reply(lambda: self._answer(method, seen))

    def _answer(self, method: str, seen: Seen) -> Reply:
        if not seen.path.startswith("/api/"):
            return html_reply(200, "PostHog")  # the web application answers for any other path
        try:
            return json_reply(200, self._body(method, seen))
        except Refusal as refusal:
            return refusal.reply

    def _body(self, method: str, seen: Seen) -> object:
        match = _PATH.fullmatch(seen.path)
        if not match or not seen.stream:
            raise Refusal(404, "not_found", "Endpoint not found.")
        key = self._key(seen)
        project = self._project(key, seen) if match[1] else None
        self._require_access(key, seen, project)
        if self.cloud_throttles:
            self._throttle(seen, key)
        if method not in ("GET", "HEAD"):
            raise Refusal(405, "method_not_allowed", f'Method "{method}" not allowed.')
        if project is not None and seen.stream == "events":
            return self._events(project, seen)
        self.closing.wait(self.page_delay)
        if project is None:
            shown = [one.row() for one in self.account.projects.values() if not one.no_access]
            return row_lists.one_list(shown, seen.query, self._url(seen))
        if seen.stream == "projects":
            return project.full_row()
        if seen.stream == "persons":
            return row_lists.persons(project, seen.query, self._url(seen))
        rows = row_lists.rows_of(self.account, project, seen.stream, seen.query, self._chance())
        if seen.stream == "insights":
            row_lists.require_sound_insights(project, rows, seen.query)
        return row_lists.one_list(rows, seen.query, self._url(seen))

    def _key(self, seen: Seen) -> Key:
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        status = 403 if seen.stream == "insights" else 401
        if scheme != "Bearer":
            raise Refusal(status, "not_authenticated", "Authentication credentials were not provided.")
        key = self.account.keys.get(token.strip())
        if key is None:
            detail = "Personal API key found in request Authorization header is invalid."
            raise Refusal(status, "authentication_failed", detail)
        return key

    def _project(self, key: Key, seen: Seen) -> Project:
        project = self.account.projects.get(seen.project_id) if seen.project_id is not None else None
        if project is None:
            raise Refusal(404, "not_found", "Project not found.")
        if key.project_ids is not None and project.id not in key.project_ids:
            detail = f"API key does not have access to the requested project: ID {project.id}."
            raise Refusal(403, "permission_denied", detail)
        return project

    def _require_access(self, key: Key, seen: Seen, project: Project | None) -> None:
        if project is None and key.project_ids is not None:
            detail = "API keys with scoped projects are only supported on project-based endpoints."
            raise Refusal(403, "permission_denied", detail)
        scope = SCOPES[seen.stream]
        if key.scopes is not None and scope not in key.scopes:
            raise Refusal(403, "permission_denied", f"API key missing required scope '{scope}'")
        if project is not None and project.no_access:
            raise Refusal(403, "permission_denied", "You don't have access to the project.")

    def _throttle(self, seen: Seen, key: Key) -> None:
        """Raise Refusal where a bucket is full. Users share the buckets of a project."""
        bucket = _BUCKETS.get(seen.stream, "other")
        owner = seen.project_id if seen.project_id is not None else key.token
        now, wait = self.clock(), 0.0
        with self._lock:
            for most, seconds in _LIMITS[bucket]:
                times = self._buckets[bucket, owner, seconds]
                while times and times[0] <= now - seconds:
                    times.popleft()
                if len(times) >= most:
                    wait = max(wait, times[0] + seconds - now)
                else:
                    times.append(now)
        if wait:
            raise throttle_refusal(math.ceil(wait))

    def _url(self, seen: Seen) -> str:
        """The URL of the request without its query, as the server believes it to be."""
        host = self.public_host or seen.headers.get("host", "localhost")
        return f"{host if '://' in host else f'http://{host}'}{seen.path}"

    def _chance(self) -> random.Random:
        """Chance for one request, so that requests do not share it between threads."""
        with self._lock:
            return random.Random(self._rng.getrandbits(64))

    # --- events

    def _events(self, project: Project, seen: Seen) -> bytes:
        query = event_list.parse(seen.query, self._now(), self.cap)
        with self._lock:
            turns = self._turns.setdefault(project.id, threading.Semaphore(EVENT_LISTS_AT_ONCE))
        if not turns.acquire(timeout=self.third_list_wait):
            raise server_error()
        try:
            self.closing.wait(self.page_delay + (self.offset_penalty if query.offset else 0))
            events, more = event_list.select(project, query, self._chance())
            if query.include_person:
                rows = [event.json(project.person_of(event.distinct_id)) for event in events]
            else:
                rows = [event.json() for event in events]
        finally:
            turns.release()
        following = b"null"
        if more:
            bound = "after" if query.oldest_first else "before"
            params = {**seen.query, bound: isoformat(events[-1].at)}
            following = f'"{self._url(seen)}?{urlencode(params)}"'.encode()
        return b'{"next":' + following + b',"results":[' + b",".join(rows) + b"]}"
