"""An account, its server and its clock, for the simulated syncs of `simulation.py`."""

import random
from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from posthog_server import Event
from source_posthog.exact.errors import NotAccepted, TooSlow
from source_posthog.exact.events.port import HASHES, HalfDay, Keys, Page, Query
from source_posthog.exact.events.storage_order import ByHash
from source_posthog.exact.instants import instant
from unit_tests.exact.events.support import DAY, HOUR, MINUTE, SECOND, START, US, EventsList, text, us

# Two transports: the embedded server's events list, and one of tiny pages, whose proof is always right.
LIST_CAPS, TINY_CAPS = (100, 117), (2, 3, 5, 8)

# Their order is that of their bytes; events of the last are read by time.
NAMES = ("", "Z", "a", "a\x01", "é", "😀", "b\ufffd")

# How late an event arrives, at the most: within seconds, and up to days beyond any horizon.
DELAYS = (SECOND, HOUR, DAY, 5 * DAY, 30 * DAY, 45 * DAY)


class Killed(Exception):
    """The process is stopped here."""


class Unreachable(Exception):
    """A question that failed in whatever other way."""


class FilterRefused(NotAccepted):
    """The server does not know how to filter events by their arrival; or one of its machines does not."""


@dataclass
class Happening:
    """An event of the account: when it happened, when PostHog processed it, and as of when it can be read.

    Attributes:
        key: its place in the order of storage: its name, and the hashes of its distinct_id and of its id.
    """

    id: str
    at: datetime
    arrived: datetime
    visible: datetime
    key: tuple[str, int, int]

    @property
    def row(self) -> dict[str, Any]:
        return {"id": self.id, "timestamp": text(self.at), "event": self.key[0], "distinct_id": f"d{self.key[1]}"}

    def is_in(self, keys: Keys) -> bool:
        place = (self.key[0].encode(), *self.key[1:])
        is_above = keys.low is None or keys.low.order() <= place
        return is_above and (keys.high is None or place < keys.high.order())


@dataclass
class World:
    """An account, its server and its clock.

    Attributes:
        events: per project, oldest first.
        emitted: per project, the ids of all events that were emitted by any sync.
        now: the true time, which is the server's.
        emitted_in: the sync that emitted an event last, where what it covered then moves `arrived`; None elsewhere.
        forgot: projects whose `arrived` counted as unknown in a sync, see `Known`.
        presents: when each sync began, by our clock.
        lookback: the margin by arrival; also the most that an event stays invisible after it arrived.
        refuses: now and then it does not know the filter by arrival.
        counts: it tells how many events there are, so that days of many are read in the order of storage.
        refuses_order: it cannot be asked in that order.
        kill_in: so many steps until the process is killed; None for never.
    """

    rng: random.Random
    events: dict[str, list[Happening]] = field(default_factory=dict)
    emitted: dict[str, set[str]] = field(default_factory=dict)
    emitted_in: dict[str, int | None] = field(default_factory=dict)
    forgot: set[str] = field(default_factory=set)
    presents: list[datetime] = field(default_factory=list)
    now: datetime = START
    lookback: timedelta = HOUR
    cap: int = 3
    is_list: bool = False
    longest: timedelta | None = None
    skips_history: bool = False
    refuses: bool = False
    counts: bool = False
    refuses_order: bool = False
    trouble: float = 0.0
    arrivals: float = 0.0
    kill_in: int | None = None
    made: int = 0

    def step(self) -> None:
        """Something was sent or emitted."""
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                raise Killed

    def add(self, project: str, at: datetime, arrived: datetime, lag: timedelta) -> None:
        self.made += 1
        digits = f"{self.rng.getrandbits(64):016x}{self.made:016x}"
        names = NAMES if self.rng.random() < 0.1 else NAMES[1:5]
        person = self.rng.choice((0, 7, HASHES - 1, self.rng.randrange(HASHES)))
        key = self.rng.choice(names), person, self.rng.randrange(HASHES)
        one = Happening(digits[::-1], at, arrived, arrived + lag, key)
        insort(self.events[project], one, key=lambda other: other.at)

    def arrive(self, project: str) -> None:
        """An event arrives about now, however late; now and then one with a timestamp of the future."""
        rng = self.rng
        lag = self.lag()
        arrived = self.now + rng.choice((-lag, 0 * US, HOUR * rng.random()))  # just visible; just arrived; soon to come
        delay = rng.random() * rng.choice(DELAYS)
        self.add(project, arrived - delay if rng.random() < 0.95 else arrived + delay / 9, arrived, lag)

    def lag(self) -> timedelta:
        return self.rng.choice((0.0, 0.0, 1.0, self.rng.random())) * self.lookback

    def ask(self, query: Query) -> Page:
        self.step()
        rng = self.rng
        self.now += rng.choice((US, SECOND, MINUTE))
        if rng.random() < self.arrivals:
            self.arrive(str(query.project_id))
        if self.longest is not None and query.end - query.start > self.longest and rng.random() < 0.9:
            raise TooSlow
        if query.arrived_from and self.refuses and rng.random() < 0.3:
            raise FilterRefused
        if query.keys.is_bounded and self.refuses_order:
            raise NotAccepted
        if rng.random() < self.trouble:
            return self._trouble(query)
        seen = self._seen(query)
        if self.is_list:
            events = [Event(one.id, us(one.at), created_at=us(one.arrived)) for one in seen]
            return EventsList(events, self.cap, rng).ask(query)
        if query.arrived_from:
            seen = [one for one in seen if one.arrived >= query.arrived_from]
        seen = [one for one in seen if query.fits(one.id)]
        rng.shuffle(seen)
        seen.sort(key=lambda one: one.at, reverse=True)
        rows = [one.row for one in seen[: self.cap]]
        if rows and rng.random() < 0.1:
            rows.insert(0, dict(rows[0]))
        return Page(rows, complete=len(seen) <= self.cap)

    def _seen(self, query: Query) -> list[Happening]:
        """The events of `query` that can be read now, whenever they arrived and whatever their ids."""
        events = self.events[str(query.project_id)]
        return [
            one
            for one in events
            if query.start <= one.at < query.end and one.visible <= self.now and one.is_in(query.keys)
        ]

    def days(self, query: Query) -> Mapping[date, int]:
        """How many events the days of `query` have, which is not always true. Raises Unreachable."""
        self.step()
        if self.rng.random() < self.trouble:
            raise Unreachable
        found = Counter(one.at.date() for one in self._seen(query))
        return {day: int(number * self.rng.choice((0, 1, 1, 1, 3))) for day, number in found.items()}

    def count(self, query: Query, by: ByHash | None) -> Mapping[Any, int]:
        """A `Count`. Raises Unreachable."""
        self.step()
        if self.rng.random() < self.trouble:
            raise Unreachable
        found = self._seen(query)
        if by is None:
            return Counter(one.key[0] for one in found)
        return Counter((one.key[1] if by.column == "distinct_id" else one.key[2]) // by.width for one in found)

    def within(self, project: str, half: HalfDay) -> Iterator[Happening]:
        """The events of which `half` says that they are emitted."""
        events = (one for one in self.events[project] if half.start <= one.at < half.end)
        return (one for one in events if one.is_in(Keys(None, half.reached)))

    def _trouble(self, query: Query) -> Page:
        row = {"id": "untrue", "timestamp": text(query.end)}
        untrue = Page([], False), Page([row], True), Page([{"id": "untrue"}], True)
        one = self.rng.randrange(5)
        if one == 3:
            raise Unreachable
        if one == 4:
            raise TooSlow
        return untrue[one]

    def most_ties(self, project: str) -> int:
        """The most events of one instant."""
        return max(Counter(one.at for one in self.events[project]).values(), default=0)

    def not_emitted(self, project: str, start: datetime, end: datetime) -> Iterator[Happening]:
        """The events of [start, end) that no sync has emitted."""
        emitted = self.emitted[project]
        return (one for one in self.events[project] if start <= one.at < end and one.id not in emitted)


@dataclass
class Known:
    """What the state says of one project when a sync begins.

    Attributes:
        reached: its timestamp; None where there is none.
        since: where what it covers begins.
        seen_from: what arrived earlier is emitted.
        forgot: its `arrived` lay in the future in this sync or an earlier one, and counted as unknown.
    """

    reached: datetime | None
    since: datetime
    seen_from: datetime
    forgot: bool = False

    @classmethod
    def of(cls, entry: dict[str, Any], text: str | None, start_date: datetime, margin: timedelta) -> "Known":
        """`text`: how far the entry covers, which may stand in another one."""
        since = instant(entry["since"]) if "since" in entry else start_date
        arrived = entry.get("arrived") or text
        return cls(instant(text) if text else None, since, instant(arrived) - margin if arrived else START)


def in_use(state: dict[str, Any], project: str, end: datetime) -> tuple[dict[str, Any], str | None, bool]:
    """The entry that a sync up to `end` goes by, how far it covers, and whether it is one before the project's own."""
    entry = state.get(project, {})
    text = entry.get("timestamp") or state.get("timestamp")
    if not text or "since" not in entry or end >= instant(entry["since"]):
        return entry, text, False
    before = entry.get("before", {})
    if "since" in before and end < instant(before["since"]):
        before = {}  # there is one only
    return before, before.get("timestamp"), True


def make_world(rng: random.Random) -> World:
    """An account with events of up to 40 days before now, of which some arrive late, also in the time to come."""
    world = World(rng, now=START + rng.choice((1, 5, 40)) * DAY + rng.choice((0, 1, 7)) * HOUR)
    world.is_list = rng.random() < 0.1
    world.cap = rng.choice(LIST_CAPS if world.is_list else TINY_CAPS)
    world.lookback = rng.choice((0, 1, 1, 24, 100)) * HOUR
    world.longest = rng.choice((None, None, None, 9 * DAY, DAY))
    world.skips_history = rng.random() < 0.3
    world.refuses = rng.random() < 0.1
    world.counts = not world.is_list and rng.random() < 0.5
    world.trouble, world.arrivals = rng.choice((0.0, 0.0, 0.01, 0.1)), rng.choice((0.0, 0.0, 0.1))
    tardy = rng.choice((0.0, 0.0, 0.1, 0.5))
    for project in map(str, range(1, rng.choice((1, 1, 2, 3, 5)) + 1)):
        world.events[project], world.emitted[project] = [], set()
        length = world.now - START
        for _ in range(rng.choice((0, 1, 2, 4))):
            anchor = rng.choice((START, world.now - US, START + rng.randrange(41) * DAY, START + rng.random() * length))
            width = rng.choice((0 * US, 2 * US, MINUTE, DAY, 40 * DAY))
            pages = rng.choice((0.3, 1, 1.5, 3, 12, 30 if world.cap < 6 else 1))
            for _ in range(int(pages * world.cap) + rng.randrange(3)):
                at = anchor + rng.random() * width * rng.choice((1, -1))
                at = min(max(at, START - DAY), world.now - US)
                delay = rng.random() * rng.choice(DELAYS) if rng.random() < tardy else US
                world.add(project, at, at + delay, world.lag() if rng.random() < tardy else 0 * US)
    return world


def old_state(world: World) -> dict[str, Any]:
    """A state of an older connector: for one project or all, without `since` and `arrived`.

    Of what it covers that was emitted which could be seen when that connector's last sync began.
    """
    rng, state = world.rng, dict[str, Any]()
    if rng.random() < 0.2:
        state["timestamp"] = text(START + rng.random() * (world.now - START))
    for project, events in world.events.items():
        if rng.random() < 0.2:
            state[project] = {"timestamp": text(START + rng.random() * (world.now - START))}
        known = state.get(project, state).get("timestamp")
        if known:
            began = instant(known) + rng.choice((0.0, 1.0, rng.random())) * (world.now - instant(known))
            world.emitted[project] |= {one.id for one in events if one.at < instant(known) and one.visible <= began}
    return state
