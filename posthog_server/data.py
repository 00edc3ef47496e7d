"""What an account holds: projects with their rows, and the keys that may read them."""

import threading
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from .elements import elements
from .organization import ORGANIZATION, Organization
from .people import People
from .values import DAY, Row, cleaned, encode, isoformat, microseconds, wall_time

Made = TypeVar("Made")

FAR = 2**63  # beyond any instant, in microseconds
NOT_GIVEN = -1  # an instant of an event that follows from others
KEY = "phx_all_scopes"  # the key that every built account has: all scopes, all projects


@dataclass(slots=True)
class Event:
    """One event. All instants are in microseconds since the epoch, UTC.

    Attributes:
        at: its timestamp.
        created_at: when PostHog processed it; its own timestamp where not given.
        visible_at: from when on it can be seen, by the server's clock. It is always seen where not given.
        unmerged: it comes twice, since ClickHouse has not merged its parts yet.
    """

    id: str
    at: int
    event: str = "$pageview"
    distinct_id: str = "user-1-0"
    properties: Row = field(default_factory=dict)
    elements_chain: str = ""
    created_at: int = NOT_GIVEN
    visible_at: int = NOT_GIVEN
    unmerged: bool = False
    _json: tuple[bytes, bytes] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.created_at == NOT_GIVEN:
            self.created_at = self.at

    def at_wall_time(self, zone: tzinfo) -> "Event":
        """The same event with the wall time of `zone` as its timestamp."""
        return replace(self, at=wall_time(self.at, zone), _json=None)

    def json(self, person: bytes = b"null") -> bytes:
        """The row as JSON with `person` in it. All but the person is encoded once, since benchmarks read it often."""
        if self._json is None:
            head = {
                "id": self.id,
                "distinct_id": self.distinct_id,
                "properties": self.properties,
                "event": self.event,
                "timestamp": isoformat(self.at),
            }
            tail = {"elements": elements(self.elements_chain), "elements_chain": self.elements_chain}
            self._json = encode(head)[:-1] + b',"person":', b"," + encode(tail)[1:]
        return self._json[0] + person + self._json[1]


def event(
    at: str | int,
    id: str | None = None,
    *,
    properties: Mapping[str, Any] | None = None,
    created_at: str | int = NOT_GIVEN,
    visible_at: str | int = NOT_GIVEN,
    **fields: Any,
) -> Event:
    """An event, with a random id where none is given. Instants are ISO 8601 or microseconds since the epoch."""
    instants = [microseconds(one) if isinstance(one, str) else one for one in (at, created_at, visible_at)]
    return Event(
        id or str(uuid.uuid4()),
        instants[0],
        properties=cleaned(properties or {}),
        created_at=instants[1],
        visible_at=instants[2],
        **fields,
    )


class EventTable:
    """Events by time. Threads may read while others add: adding replaces the index as a whole.

    Attributes:
        all_visible_at: from when on all events that were added can be seen.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._lock = threading.Lock()
        self._index: tuple[list[int], list[Event]] = ([], [])
        self.all_visible_at = NOT_GIVEN
        self._made: dict[object, tuple[list[Event], Any]] = {}
        self.add(events)

    def add(self, events: Iterable[Event]) -> None:
        with self._lock:
            merged = sorted([*self._index[1], *events], key=lambda event: event.at)
            self.all_visible_at = max((event.visible_at for event in merged), default=NOT_GIVEN)
            self._index = [event.at for event in merged], merged

    def __iter__(self) -> Iterator[Event]:
        """All events, oldest first."""
        return iter(self._index[1])

    def __len__(self) -> int:
        return len(self._index[1])

    def made_once(self, make: Callable[[list[Event]], Made]) -> Made:
        """What `make` makes of all events, oldest first; made anew where events were added."""
        events = self._index[1]
        of, made = self._made.get(make, (None, None))
        if of is not events or made is None:
            made = make(events)
            self._made[make] = events, made
        return made

    def inside(self, after: int, before: int) -> list[Event]:
        """All events with after < at < before, oldest first."""
        times, events = self._index
        return events[bisect_right(times, after) : bisect_left(times, before)]

    def between(
        self, after: int, before: int, wanted: int, oldest_first: bool, keep: Callable[[Event], bool] | None = None
    ) -> list[Event]:
        """The first `wanted` events with after < at < before that `keep` holds, newest first unless `oldest_first`.

        Gives more where events tie with the last one: all of a timestamp or none, so that the caller can pick of them.
        """
        times, events = self._index
        low, high = bisect_right(times, after), bisect_left(times, before)
        if keep is None:
            if oldest_first:
                if low + wanted < high:
                    high = bisect_right(times, times[low + wanted - 1], low, high)
            elif high - wanted > low:
                low = bisect_left(times, times[high - wanted], low, high)
            return events[low:high] if oldest_first else events[low:high][::-1]
        found: list[Event] = []
        for place in range(low, high) if oldest_first else range(high - 1, low - 1, -1):
            one = events[place]
            if len(found) >= wanted and one.at != found[-1].at:
                break
            if keep(one):
                found.append(one)
        return found


@dataclass
class Project:
    """A project and its rows, each list in the order of its table.

    Attributes:
        dropped_persons: indexes in `persons` of the rows that the list drops after it applied `limit`.
        broken_insights: by the id of an insight, the status (400 or 500) of every page that it is on.
        no_access: the project exists, but the key's user is not let in.
        settings: fields of the project's own row that differ from the usual. `alone`: those that only
            `/api/projects/:id/` gives, e.g. {"event_retention_months": 12, "events_retention_enforced": True}, which
            lets older events go.
        extra: rows of the extra streams, by the name of the stream. Those that only queries read are rows of tables.
    """

    id: int
    name: str = ""
    events: EventTable = field(default_factory=EventTable)
    persons: list[Row] = field(default_factory=list)
    cohorts: list[Row] = field(default_factory=list)
    feature_flags: list[Row] = field(default_factory=list)
    annotations: list[Row] = field(default_factory=list)
    insights: list[Row] = field(default_factory=list)
    extra: dict[str, list[Row]] = field(default_factory=dict)
    organization: str = ORGANIZATION
    dropped_persons: set[int] = field(default_factory=set)
    broken_insights: dict[int, int] = field(default_factory=dict)
    no_access: bool = False
    settings: Row = field(default_factory=dict)
    alone: Row = field(default_factory=dict)
    _people: People | None = field(default=None, repr=False)
    _people_of: int = field(default=-1, repr=False)

    def add_events(self, events: Iterable[Event]) -> None:
        """Let `events` arrive; safe while a server runs."""
        self.events.add(events)

    @property
    def people(self) -> People:
        """Its persons by distinct id, as of now."""
        if self._people is None or self._people_of != len(self.persons):
            self._people, self._people_of = People(list(self.persons)), len(self.persons)
        return self._people

    def person_of(self, distinct_id: str) -> bytes:
        """What an event of `distinct_id` shows as its person with `include_person=true`, as JSON."""
        return self.people.listed(distinct_id)

    @property
    def zone(self) -> tzinfo:
        """The project's time zone, one of its settings."""
        return ZoneInfo(self.settings.get("timezone", "UTC"))

    def kept_after(self, now: int) -> int:
        """Events of this instant and earlier ones are gone (microseconds), where a retention is enforced."""
        months = self.alone.get("event_retention_months")
        if not self.alone.get("events_retention_enforced") or not isinstance(months, int):
            return -FAR
        return now - int(months * 365.25 / 12 * DAY)

    def row(self) -> Row:
        """The project's row in the list of projects."""
        return {
            "id": self.id,
            "uuid": f"0190a000-0000-7000-8000-{self.id:012x}",
            "organization": self.organization,
            "project_id": self.id,
            "api_token": f"phc_public_token_of_{self.id}",
            "name": self.name,
            "completed_snippet_onboarding": len(self.events) > 0,
            "has_completed_onboarding_for": {"product_analytics": True} if len(self.events) else None,
            "ingested_event": len(self.events) > 0,
            "is_demo": False,
            "timezone": "UTC",
            "access_control": False,
            **self.settings,
        }

    def full_row(self) -> Row:
        """What `/api/projects/:id/` gives: the row and more."""
        return {
            **self.row(),
            "created_at": "2025-11-03T09:12:44.120394Z",
            "updated_at": "2026-02-18T18:28:57.827410Z",
            "product_description": None,
            "effective_membership_level": 15,
            "has_group_types": False,
            "group_types": [],
            "live_events_token": "not-a-secret",
            "app_urls": ["https://example.com"],
            "anonymize_ips": False,
            "autocapture_opt_out": None,
            "session_recording_opt_in": True,
            "data_attributes": ["data-attr"],
            "person_display_name_properties": ["email", "name", "username"],
            "test_account_filters": [
                {"key": "email", "type": "person", "value": "@example.com", "operator": "icontains"}
            ],
            "week_start_day": None,
            "event_retention_months": 84,
            "events_retention_enforced": False,
            **self.alone,
        }


@dataclass(frozen=True)
class Key:
    """A personal API key.

    Attributes:
        scopes: e.g. {"query:read"}; None means all.
        project_ids: the projects that the key is limited to; None means no limit.
    """

    token: str
    scopes: frozenset[str] | None = None
    project_ids: tuple[int, ...] | None = None


@dataclass
class Account:
    """All that one user of PostHog can see, and the user's keys by token."""

    projects: dict[int, Project] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)

    def add_key(self, key: Key) -> Key:
        self.keys[key.token] = key
        return key


def account(*projects: Project, keys: Iterable[Key] = ()) -> Account:
    """An account of `projects` and their organizations, with the key `KEY` and `keys`."""
    return Account(
        {one.id: one for one in projects},
        {one.token: one for one in (Key(KEY), *keys)},
        {one.organization: Organization(one.organization) for one in projects},
    )


def account_with(
    events_by_project: Mapping[int, Iterable[Event]],
    *,
    keys: Iterable[Key] = (),
    **rows: Mapping[int, list[Row]] | list[Row],
) -> Account:
    """A small account: a project for each entry of `events_by_project`.

    `rows` are the rows of other streams by project, e.g. `cohorts={7: [...]}`; a plain list goes to every project.
    """
    projects = []
    for project_id, events in events_by_project.items():
        lists = {
            name: list(given.get(project_id, ()) if isinstance(given, Mapping) else given)
            for name, given in rows.items()
        }
        extra = {name: lists.pop(name) for name in rows if name not in Project.__dataclass_fields__}
        made = Project(project_id, f"Project {project_id}", EventTable(events), extra=extra, **lists)  # type: ignore[arg-type]
        projects.append(made)
    return account(*projects, keys=keys)
