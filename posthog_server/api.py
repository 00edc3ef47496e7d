"""PostHog's REST API as a function: a request goes in, a reply comes out. The sockets are in `server.py`."""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timezone
from email.utils import formatdate
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from . import event_list, event_query, hogql_query, row_lists
from .charges import Charges, require_fast, too_many_rows
from .costs import Cost, cost
from .data import KEY, Account, Key, Project
from .extra import EXTRA, extra_rows
from .extra.objects import Asked, ExtraObject
from .faults import FaultPlan, as_refusal, too_many_queries
from .hogql import Dialect
from .hogql_tables import ProjectTables
from .options import Options
from .throttles import Throttles, Turns
from .traffic import Refusal, Reply, Seen, html_reply, json_reply, server_error
from .values import SECOND, Row, isoformat

SCOPES = {
    "projects": "project:read",
    "cohorts": "cohort:read",
    "feature_flags": "feature_flag:read",
    "persons": "person:read",
    "events": "query:read",
    "query": "query:read",
    "annotations": "annotation:read",
    "insights": "insight:read",
}

STREAMS = tuple(name for name in SCOPES if name != "query")

# Which stream a list is of, by its path below `/api/projects/:id/` or `/api/organizations/:id/`.
_LISTS = {("projects", name): name for name in SCOPES if name != "projects"} | {
    (f"{one.owner}s", one.path): name for name, one in EXTRA.items()
}

# Of one project.
EVENT_LISTS_AT_ONCE = 2
QUERIES_AT_ONCE = 3

_PATH = re.compile(r"/api/(projects|organizations)(?:/([^/]+)(?:/([^/]+))?)?/?")

Found = TypeVar("Found")
UrlQuery = str | Mapping[str, str | list[str]] | Iterable[tuple[str, str]]


@dataclass(eq=False, repr=False)
class PostHog(Options):
    """The API of one account, with the options of `Options`.

    Attributes:
        account: what there is to read; tests may change it at any time.
        faults: the trouble to make, see `faults.py`.
        requests: all requests since the last reset, in the order of their arrival.
        max_event_lists_at_once, max_queries_at_once: per project, the most under way at one time, waiting included.
    """

    account: Account

    def __post_init__(self) -> None:
        self.path_prefix = self.path_prefix.rstrip("/")
        self.cap = self.cap or self.age.list_cap
        self.query_cap = self.query_cap or self.age.query_cap
        self.faults = FaultPlan()
        self.closing = threading.Event()  # ends the waits when the server stops
        self._rng = random.Random(self.seed)
        self._lock = threading.Lock()
        self._turns = {"events": Turns(EVENT_LISTS_AT_ONCE), "query": Turns(QUERIES_AT_ONCE)}
        self._throttles = Throttles(lambda: self.clock(), self.age)  # tests may put another clock in place
        self.charges = Charges(self)
        self._cache: dict[tuple[int, str], Any] = {}
        self._tables = ProjectTables(self.clickhouse) if self.clickhouse else None
        self.reset()

    def reset(self) -> None:
        """Forget the requests so far and what they read; faults, throttles and budgets go on."""
        with self._lock:
            self.requests: list[Seen] = []
        self.charges.forget()
        for turns in self._turns.values():
            turns.forget()

    @property
    def max_event_lists_at_once(self) -> dict[int, int]:
        return self._turns["events"].most

    @property
    def max_queries_at_once(self) -> dict[int, int]:
        return self._turns["query"].most

    @property
    def bytes_read(self) -> Counter[int]:
        """What the queries of each project read since the last reset, where an option wants it to be counted."""
        return self.charges.bytes_read

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

    def post(self, url: str, body: object, token: str = KEY) -> Reply:
        """`handle` for a POST of `body` as JSON."""
        parts = urlsplit(url)
        headers = {"Host": parts.netloc or "posthog.test", "Authorization": f"Bearer {token}"}
        headers["Content-Type"] = "application/json"
        return self.handle("POST", parts.path, parts.query, headers, json.dumps(body).encode())

    def handle(
        self, method: str, url_path: str, query: UrlQuery, headers: Mapping[str, str], body: bytes = b""
    ) -> Reply:
        """The reply to one request. `query` is decoded, unless it is a string."""
        seen = self._see(url_path, query, headers, body)
        try:
            with self._under_way(seen):
                reply = self._reply(method, seen)
        finally:
            seen.finished = time.monotonic()
        seen.status = reply.status
        reply.headers.setdefault("Date", formatdate(self.clock(), usegmt=True))
        return reply

    # --- counting

    def _see(self, path: str, query: UrlQuery, headers: Mapping[str, str], body: bytes) -> Seen:
        if isinstance(query, str):
            query = parse_qsl(query, keep_blank_values=True)
        pairs = query.items() if isinstance(query, Mapping) else query
        params = {name: value if isinstance(value, str) else value[-1] for name, value in pairs}
        inner = path[len(self.path_prefix) :] if path.startswith(f"{self.path_prefix}/") else ""
        match = _PATH.fullmatch(inner)
        stream, project_id = "", None
        if match:
            project_id = int(match[2]) if match[1] == "projects" and match[2] and match[2].isdecimal() else None
            stream = _LISTS.get((match[1], match[3]), "") if match[3] else match[1]
            if (match[1], stream) == ("organizations", "organizations") and match[2]:
                stream = ""  # one by itself, which nobody asks for
        names = {name.lower(): value for name, value in headers.items()}
        seen = Seen(stream, project_id, inner, params, names, _decoded(body))
        if stream == "events":
            seen.after, seen.before = event_list.bounds(params, self._now(), self.age)
        elif stream == "query":
            project = self.account.projects.get(project_id or 0)
            seen.after, seen.before = event_query.bounds(
                seen.body, self._now(), project.zone if project else timezone.utc
            )
        seen.started = time.monotonic()
        with self._lock:
            self.requests.append(seen)
        return seen

    def _now(self) -> int:
        return int(self.clock() * SECOND)

    @contextmanager
    def _under_way(self, seen: Seen) -> Iterator[None]:
        turns = self._turns.get(seen.stream)
        if turns is None or seen.project_id is None:
            yield
            return
        with turns.counted(seen.project_id):
            yield

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
            return json_reply(200, self._body(method, seen), self.charges.headers(seen))
        except Refusal as refusal:
            return refusal.reply

    def _body(self, method: str, seen: Seen) -> object:
        match = _PATH.fullmatch(seen.path)
        if not match or not seen.stream or self._is_unknown(seen.stream):
            raise Refusal(404, "not_found", "Endpoint not found.")
        key = self._key(seen)
        project = self._project(key, seen) if match[1] == "projects" and match[2] else None
        self._require_access(key, seen, project)
        if self.cloud_throttles:
            # Users share the buckets of a project.
            self._throttles.take(seen.stream, seen.project_id if seen.project_id is not None else key.token)
        if method not in (("POST",) if seen.stream == "query" else ("GET", "HEAD")):
            raise Refusal(405, "method_not_allowed", f'Method "{method}" not allowed.')
        if project is not None and seen.stream == "events":
            return self._events(project, seen)
        if project is not None and seen.stream == "query":
            return self._query(project, seen)
        self.closing.wait(self.page_delay)
        if seen.stream in EXTRA:
            return self._extra(EXTRA[seen.stream], project.id if project else match[2], seen)
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

    def _extra(self, one: ExtraObject, owner: int | str | None, seen: Seen) -> bytes:
        """A page of a list of an extra stream: that of `owner`, or where that is None of all."""
        kept = extra_rows(self.account, seen.stream)
        if owner is not None and owner not in kept:
            raise Refusal(404, "not_found", "Not found.")
        rows = [row for id, rows in kept.items() for row in list(rows) if owner in (None, id) and one.shown(row)]
        return one.answer(rows, Asked(seen.query, self._url(seen), self.age, self.extra_cap, self._moved, self._now()))

    def _is_unknown(self, stream: str) -> bool:
        gone = {"events": self.without_event_list, "query": self.without_query}
        one = EXTRA.get(stream)
        return gone.get(stream, False) or stream in self.without or (one is not None and self.age in one.unknown_to)

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
        if seen.project_id is None:
            raise Refusal(404, "not_found", "Not found.")
        project = self.account.projects.get(seen.project_id)
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
        scope = EXTRA[seen.stream].scope if seen.stream in EXTRA else SCOPES[seen.stream]
        if key.scopes is not None and scope not in key.scopes:
            raise Refusal(403, "permission_denied", f"API key missing required scope '{scope}'")
        if project is not None and project.no_access:
            raise Refusal(403, "permission_denied", "You don't have access to the project.")

    def _url(self, seen: Seen) -> str:
        """The URL of the request without its query, as the server believes it to be."""
        host = self.public_host or seen.headers.get("host", "localhost")
        return f"{host if '://' in host else f'http://{host}'}{seen.path}"

    def _moved(self, rows: list[Row]) -> list[Row]:
        """`rows` in the order of this request, where it is open."""
        with self._lock:
            if self.moves:
                self.moves -= 1
                self._rng.shuffle(rows)
        return rows

    def _chance(self) -> random.Random:
        """Chance for one request, so that requests do not share it between threads."""
        with self._lock:
            return random.Random(self._rng.getrandbits(64))

    # --- events

    def _dialect(self, project: Project, seen: Seen) -> Dialect:
        return Dialect(
            age=self.age,
            zone=project.zone,
            wall_time=seen.stream in self.wall_time,
            joins_persons=self.age.joins_persons,
            ties_by_id=self.age.ties_by_id and not self.any_tie_order,
            knows_created_at=not self.without_created_at_filter,
        )

    def _events(self, project: Project, seen: Seen) -> bytes:
        dialect = self._dialect(project, seen)
        knows_hogql = not self.without_hogql_filter
        query = event_list.parse(seen.query, self._now(), self.cap, dialect, knows_hogql=knows_hogql)
        with self._turns["events"].taken(project.id, self.third_list_wait, server_error):
            self.closing.wait(self.page_delay + (self.offset_penalty if query.offset else 0))
            require_fast(self, project, query)
            events, more = event_list.select(project, query, self._chance())
            if dialect.wall_time:
                events = [event.at_wall_time(project.zone) for event in events]
            if query.include_person:
                rows = [event.json(project.person_of(event.distinct_id)) for event in events]
            else:
                rows = [event.json() for event in events]
        following = b"null"
        if more:
            bound = "after" if query.oldest_first else "before"
            last = event_list.last_shown(project, query, events, self._chance())
            params = {**seen.query, bound: isoformat(last.at)}
            following = f'"{self._url(seen)}?{urlencode(params)}"'.encode()
        return b'{"next":' + following + b',"results":[' + b",".join(rows) + b"]}"

    def _query(self, project: Project, seen: Seen) -> bytes:
        if not seen.headers.get("content-type", "").startswith("application/json"):
            raise Refusal(415, "unsupported_media_type", "Unsupported media type in request.")
        is_forced = event_query.is_forced(seen.body, self.age)
        asked = seen.body["query"]
        kind = event_query.require_known_fields(asked, self.age)
        dialect = event_query.read_as(asked, self._dialect(project, seen))
        if kind == "HogQLQuery" and self.without_counts:
            raise Refusal(403, "permission_denied", "You do not have permission to run this query.")
        if kind == "HogQLQuery" and self._tables is not None:
            run = partial(self._hogql, project, seen, dialect, self._tables)
            answer, is_cached = self._found(project, asked, is_forced, run)
            return hogql_query.body(answer, self.age, is_cached=is_cached)
        query = event_query.parse(asked, self._now(), project, self.query_cap, dialect)

        def find() -> event_query.Found:
            if isinstance(query, event_query.EventsQuery):  # a count reads one column, whatever the range
                require_fast(self, project, query)
            found = event_query.find(project, query, self._chance())
            self.charges.take(project, seen, lambda: cost(project, query, found, self.granule))
            return found

        found, is_cached = self._found(project, asked, is_forced, find)
        return event_query.answer(project, query, found, is_cached=is_cached)

    def _found(self, project: Project, asked: Row, is_forced: bool, find: Callable[[], Found]) -> tuple[Found, bool]:
        """What `find` gives, or gave the last time that this was asked; and whether it is that."""
        same = project.id, json.dumps(asked, sort_keys=True)
        if not is_forced and same in self._cache:
            return self._cache[same], True
        with self._turns["query"].taken(project.id, self.fourth_query_wait, lambda: as_refusal(too_many_queries())):
            self.charges.require_left(project)
            self.closing.wait(self.page_delay)
            self._cache[same] = found = find()
        return found, False

    def _hogql(self, project: Project, seen: Seen, dialect: Dialect, tables: ProjectTables) -> Row:
        return hogql_query.run(
            tables.clickhouse,
            seen.body["query"],
            lambda name: tables.get(project, name, self._now()) if self.age.knows_table(name) else None,
            dialect,
            greatest=self.query_cap,
            seconds=self.hogql_seconds,
            most_rows=self.most_rows_scanned,
            too_many_rows=lambda: too_many_rows(self),
            charge=lambda read: self.charges.take(project, seen, lambda: Cost(read.rows_read, read.bytes_read)),
        )


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
