"""What the tests of the core share: instants, events, and the embedded server's events list without HTTP."""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from posthog_server import Event, EventTable, Project, isoformat
from posthog_server import event_list as server
from posthog_server import event_query as query_server
from source_posthog.exact.errors import TooSlow
from source_posthog.exact.events import event_list, event_query
from source_posthog.exact.events.names import Names
from source_posthog.exact.events.port import Batch, Page, Query, Row
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.events.reading import read_range
from source_posthog.exact.instants import instant

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
US = timedelta(microseconds=1)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONTH = 30 * DAY
LIMIT = 1000  # rows a page that the connector asks for
ALL = Names()
LATER = 4_102_444_800_000_000  # the embedded server's clock, the year 2100: it shows all of its events


def us(at: datetime) -> int:
    """`at` in the embedded server's unit, microseconds since the epoch."""
    return (at - EPOCH) // US


def text(at: datetime) -> str:
    """`at` as PostHog writes it."""
    return isoformat(us(at))


def ids(number: int, seed: str, alike: int = 0) -> list[str]:
    """`number` ids of 32 hex digits, others for each seed, of which the last `alike` digits are the same."""
    rng = random.Random(seed)
    return [f"{rng.getrandbits(128):032x}"[: 32 - alike] + "a" * alike for _ in range(number)]


def ties(number: int, at: datetime, alike: int = 0) -> list[Event]:
    """Events of one instant."""
    return [Event(id, us(at)) for id in ids(number, f"ties {number} {at}", alike)]


def spread(number: int, start: datetime, end: datetime) -> list[Event]:
    """Events at even distances in [start, end), the first at `start`."""
    low, length = us(start), us(end) - us(start)
    names = ids(number, f"spread {number} {start} {end}")
    return [Event(id, low + length * place // number) for place, id in enumerate(names)]


@dataclass
class EventsList:
    """The embedded server's events list of one project as what a reader asks: its paging, without HTTP.

    Attributes:
        cap: the most rows of a page.
        longest: a longer range is too slow.
        spell: the first so many answers are all too slow, but for those of this length or shorter.
        doubles: the share of the pages that have a row twice.
        cached_spans: a span other than the shortest that holds half a page may be looked at first.
        shown_late: so much later than they are instants are shown: a wall time, labelled as UTC.
        requests: how many were asked so far, with those that were too slow.
    """

    events: Iterable[Event]
    cap: int = LIMIT
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    longest: timedelta | None = None
    spell: tuple[int, timedelta] = (0, DAY)
    doubles: float = 0.0
    cached_spans: bool = False
    shown_late: timedelta = timedelta(0)
    requests: int = 0

    def __post_init__(self) -> None:
        self.project = Project(7, events=EventTable(self.events))

    def ask(self, query: Query) -> Page:
        self.requests += 1
        assert self.requests < 20_000, "it does not get on"
        length = query.end - query.start
        if self.longest is not None and length > self.longest:
            raise TooSlow
        if self.requests <= self.spell[0] and length > self.spell[1]:
            raise TooSlow
        rows, page = self._page(query)
        if rows and self.rng.random() < self.doubles:
            place = self.rng.randrange(len(rows))
            rows.insert(place, rows[place].copy())
        return page()

    def _page(self, query: Query) -> tuple[list[Any], Callable[[], Page]]:
        """The rows as the server gives them, and what is made of them."""
        events, more = self._events(event_list.parameters(query, LIMIT), us(query.start), us(query.end))
        rows: list[Row] = [
            {"id": one.id, "event": one.event, "distinct_id": one.distinct_id, "timestamp": self._shown(one.at)}
            for one in events
        ]
        return rows, lambda: event_list.page(query, LIMIT, rows, "https://posthog/?before=..." if more else None)

    def _shown(self, at: int) -> str:
        return isoformat(at + self.shown_late // US)

    def _events(self, parameters: dict[str, str], start: int, end: int) -> tuple[list[Event], bool]:
        """The page, and whether the server believes that there is more: all that is used of the embedded server."""
        spans = [span for span in server.PROBES if span < end - start + 1] if self.cached_spans else []
        if spans and self.rng.random() < 0.3:
            short = {**parameters, "after": isoformat(end - self.rng.choice(spans))}
            asked = server.parse(short, LATER, self.cap)
            events, more = server.select(self.project, asked, self.rng)
            if 2 * len(events) >= asked.limit:
                return events, more
        return server.select(self.project, server.parse(parameters, LATER, self.cap), self.rng)


@dataclass
class EventsQuery(EventsList):
    """The same of the embedded server's EventsQuery.

    Attributes:
        cut: instants are shown with milliseconds, as servers did until the middle of 2024.
        gone_after: so many of the first questions were answered by the list, which is gone since.
    """

    cut: bool = False
    gone_after: int = 0

    def _page(self, query: Query) -> tuple[list[Any], Callable[[], Page]]:
        if self.requests <= self.gone_after:
            return super()._page(query)
        asked = query_server.parse(event_query.body(query, LIMIT)["query"], LATER, self.project, self.cap)
        found = query_server.find(self.project, asked, self.rng)
        answer = json.loads(query_server.answer(self.project, asked, found, is_cached=False))
        answer["hasMore"] = answer["hasMore"] and asked.limit < self.cap  # at its most rows the server always says no
        if self.cut:
            place = event_query.COLUMNS.index("timestamp")
            for row in answer["results"]:
                row[place] = f"{instant(row[place]).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
        return answer["results"], lambda: event_query.page(answer, LIMIT, json.loads)


def batches(
    events: EventsList,
    start: datetime,
    end: datetime,
    reach: Reach | None = None,
    *,
    in_parts: bool = True,
    names: Names = ALL,
) -> Iterator[Batch]:
    return read_range(Query(7, start, end, names=names), events.ask, reach or Reach(), in_parts=in_parts)


def ids_read(events: EventsList, start: datetime, end: datetime, *, in_parts: bool = True) -> list[str]:
    """The ids of [start, end) as a reader emits them, sorted."""
    return sorted(row["id"] for one in batches(events, start, end, in_parts=in_parts) for row in one.rows)


def ids_due(events: Iterable[Event], start: datetime, end: datetime) -> list[str]:
    """The ids of the events in [start, end), each once, sorted."""
    low, high = us(start), us(end)
    return sorted({one.id for one in events if low <= one.at < high})


def scripted(*pages: Page) -> Callable[[Query], Page]:
    """An `ask` that gives `pages` one after the other, whatever the question."""
    given = iter(pages)
    return lambda query: next(given)
