"""Which events a list or a query sees: what both ways to ask have in common."""

import random
from dataclasses import dataclass, field

from .conditions import Key
from .data import FAR, Event, Project
from .hogql import Where, uuid_order
from .people import People
from .storage_order import in_storage_order
from .values import DAY

BLOCK = 256  # rows of the storage order that are looked at or passed over together


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A range of events and how many of them are wanted.

    Attributes:
        after, before: exclusive bounds of the timestamp, in microseconds.
        limit: the most events of one page.
        where: what else must hold.
        now: the server's clock (microseconds): what becomes visible later is not seen. Without it all is seen.
        ties_by_id: events of one timestamp come in the order of their ids, as the timestamps do. Else in any order.
        by_keys: what they are ordered by instead of their timestamps, each with whether the greatest comes first.
    """

    after: int
    before: int
    limit: int = 100
    oldest_first: bool = False
    where: Where = field(default_factory=Where)
    now: int = FAR
    ties_by_id: bool = False
    by_keys: tuple[tuple[Key, bool], ...] = ()

    def sees(self, event: Event, people: People) -> bool:
        """Whether an event of the range belongs to what was asked for."""
        return event.visible_at <= self.now and self.where.holds(event, people)


def first_events(
    project: Project, query: Selection, rng: random.Random, *, after: int | None = None, skip: int = 0
) -> tuple[list[Event], bool]:
    """The events of one page, and whether there are more. `after`, where given, stands for that of `query`.

    Unless they are ordered by id, the order among events of one timestamp is another each time, also which of them do
    not fit the page.
    """
    end = skip + query.limit
    first = query.after if after is None else after
    if query.by_keys or query.where.others:
        events = _by_key(project, query, max(first, project.kept_after(query.now)), rng)
        return events[skip:end], len(events) > end
    all_seen = query.where == Where() and project.events.all_visible_at <= query.now
    people = project.people
    events = project.events.between(
        max(first, project.kept_after(query.now)),
        query.before,
        end + 1,
        query.oldest_first,
        None if all_seen else lambda event: query.sees(event, people),
    )
    events = [row for event in events for row in _rows(event)]
    _order_ties(events, query, rng)
    return events[skip:end], len(events) > end


def count(project: Project, query: Selection) -> int:
    """How many rows there are, unmerged ones twice."""
    return len(all_rows(project, query))


def all_rows(project: Project, query: Selection, after: int | None = None) -> list[Event]:
    """All rows, unmerged ones twice, in no order. `after`, where given, stands for that of `query`."""
    people = project.people
    first = max(query.after if after is None else after, project.kept_after(query.now))
    if not query.where.others:
        events = project.events.inside(first, query.before)
        return [row for event in events if query.sees(event, people) for row in _rows(event)]
    stored = in_storage_order(project.events)
    days = (first + 1) // DAY, (query.before - 1) // DAY
    return [
        event
        for block in stored.granules(days, query.where, BLOCK)
        for event in stored.rows(block)
        if first < event.at < query.before and query.sees(event, people)
    ]


def _by_key(project: Project, query: Selection, after: int, rng: random.Random) -> list[Event]:
    """All rows in the order of `query`, where the storage order finds them or it is asked for."""
    events = all_rows(project, query, after)
    if not query.by_keys:
        events.sort(key=lambda event: event.at, reverse=not query.oldest_first)
        _order_ties(events, query, rng)
        return events
    rng.shuffle(events)
    for key, greatest_first in reversed(query.by_keys):
        events.sort(key=key.value, reverse=greatest_first)
    return events


def _rows(event: Event) -> tuple[Event, ...]:
    return (event, event) if event.unmerged else (event,)


def _order_ties(events: list[Event], query: Selection, rng: random.Random) -> None:
    """Put events of one timestamp, which stand together, into their order."""
    if query.ties_by_id:
        events.sort(key=lambda event: (event.at, uuid_order(event.id)), reverse=not query.oldest_first)
    else:
        _shuffle_ties(events, rng)


def _shuffle_ties(events: list[Event], rng: random.Random) -> None:
    start = 0
    for place in range(1, len(events) + 1):
        if place == len(events) or events[place].at != events[start].at:
            if place - start > 1:
                tied = events[start:place]
                rng.shuffle(tied)
                events[start:place] = tied
            start = place
