"""A thousand random windows, with PROOF=long ten thousand.

Four in ten of them are read by queries, half of these with instants cut to milliseconds, and some of these only after
the list was gone; of some windows only the events with certain names are wanted.
Every event is emitted once, and what counts as read was emitted before. A window that fails is read again by
`python -m unit_tests.exact.events.test_random_windows SEED`.
"""

import random
import sys
from dataclasses import replace
from functools import partial
from itertools import chain, islice

import pytest

from posthog_server import Event, isoformat
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.names import Names
from source_posthog.exact.events.reach import Reach
from source_posthog.exact.instants import instant
from tools.proof import cases
from unit_tests.exact.events.support import (
    DAY,
    HOUR,
    LIMIT,
    MINUTE,
    SECOND,
    START,
    US,
    EventsList,
    EventsQuery,
    batches,
    ids,
    us,
)

WINDOWS = cases("WINDOWS", 1_000, 10_000)
A_BLOCK = 250

Identity = tuple[str, str, str]  # id, event, day

IDS = ids(20_000, "random windows")
LENGTHS = (US, 2 * US, SECOND, MINUTE, MINUTE + US, HOUR, DAY, DAY + US, 2 * DAY, 7 * DAY, 30 * DAY, 91 * DAY)
CAPS = (*(100,) * 14, 117, 117, 250, 250, LIMIT, 20_000)
WIDTHS = (0, 0, 1, 9, 10**6, 59 * 10**6, 300 * 10**6, 3600 * 10**6, 86400 * 10**6, 40 * 86400 * 10**6)
NAMES = ("$pageview", "other", "it's", "a\\", "{d}", "nul\0", "😀", "'), ('")
TOO_LONG = (None, None, None, None, None, 20 * DAY, 3 * DAY, DAY, 7 * HOUR)


def random_events(rng: random.Random, start: int, end: int, page: int) -> list[Event]:
    """Clusters and ties at places where something can go wrong, some of them out of [start, end) (microseconds)."""
    events: list[Event] = []
    first = rng.randrange(len(IDS))
    names = chain(IDS[first:], IDS[:first])
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        anchor = rng.choice((start, end - 1, rng.randrange(start, end))) + rng.choice((-1, 0, 1))
        number = rng.choice((1, 3, 48, 49, 50, 51, page // 2 - 1, page // 2, page - 1, page, page + 1, 2 * page + 3))
        width, direction = rng.choice(WIDTHS), rng.choice((-1, 1))
        alike = rng.choices((0, 1, 2, 24) if page < 120 else (0, 0, 0, 1), (60, 5, 5, 1))[0]
        backwards = rng.random() < 0.3  # ids that differ at their ends, or in front
        for id in islice(names, number):
            at = anchor + direction * (rng.randrange(width) if width else 0)
            id = "a" * alike + id[alike:] if backwards else id[: 32 - alike] + "a" * alike
            events.append(Event(id, at))
    if rng.random() < 0.02 and end - start > 1_000_000:  # dense enough for parts
        events += [Event(id, rng.randrange(start, end)) for id in islice(names, 36 * min(page, 100))]
    if events and rng.random() < 0.2:  # events that are stored twice
        events += rng.sample(events, min(3, len(events)))
    if events and rng.random() < 0.05:  # other events of the same ids
        events += [replace(one, event="other") for one in rng.sample(events, min(3, len(events)))]
    elif events and rng.random() < 0.01:  # more copies of one event than a page holds
        events += [rng.choice(events)] * (2 * page)
    return events


def wanted(rng: random.Random, events: list[Event]) -> Names:
    """All names, or where `events` are given several, some of these or all but some."""
    if rng.random() < 0.7:
        return Names()
    named = {identity(one): rng.choice(NAMES) for one in events}  # copies have one name
    events[:] = [replace(one, event=named[identity(one)]) for one in events]
    return Names(frozenset(rng.sample(NAMES, rng.choice((1, 2, 5)))), left_out=rng.random() < 0.5)


def identity(event: Event) -> Identity:
    return event.id, event.event, isoformat(event.at)[:10]


def read_a_random_window(seed: int) -> None:
    rng = random.Random(seed)
    start, end = START, START + rng.choice(LENGTHS)
    cap = rng.choice(CAPS)
    events = random_events(rng, us(start), us(end), min(cap, LIMIT))
    names = wanted(rng, events)
    by_query = rng.random() < 0.4
    gone_after = rng.choice((0, 0, 0, rng.randrange(1, 12)))
    transport = partial(EventsQuery, cut=rng.random() < 0.5, gone_after=gone_after) if by_query else EventsList
    server = transport(
        events,
        cap,
        rng,
        longest=rng.choice(TOO_LONG),
        spell=rng.choice(((0, DAY), (0, DAY), (rng.randrange(1, 9), 2 * SECOND))),
        doubles=rng.choice((0.0, 0.0, 0.5)),
        cached_spans=rng.random() < 0.3,
    )
    ledger = Ledger("timestamp")
    ledger.begin({})
    ledger.plan("7", start, end, settled=end)
    emitted: list[Identity] = []
    due_events = [one for one in events if us(start) <= one.at < us(end) and names.may_have(one.event)]
    missing = {identity(one): one.at for one in due_events}
    due = sorted(missing)
    for batch in batches(server, start, end, Reach(), in_parts=rng.random() < 0.8, names=names):
        for row in batch.rows:
            emitted.append((row["id"], row["event"], row["timestamp"][:10]))
            missing.pop(emitted[-1], None)
        ledger.cover("7", batch.start, batch.end, batch.newest, len(batch.rows))
        if rng.random() < 0.2:
            read_to = us(ledger.unread("7", start, end)[0])
            assert not any(at < read_to for at in missing.values()), f"seed {seed}: not all before {read_to} is read"
            state = ledger.timestamp("7")
            assert state is None or us(instant(state)) <= read_to, f"seed {seed}: the state is ahead"
    assert sorted(emitted) == due, f"seed {seed}"
    assert ledger.unread("7", start, end) == (end, end), f"seed {seed}: not all of the window counts as read"


@pytest.mark.parametrize("first", range(0, WINDOWS, A_BLOCK))
def test_every_event_of_a_random_window_is_emitted_once(first: int) -> None:
    for seed in range(first, first + A_BLOCK):
        read_a_random_window(seed)


if __name__ == "__main__":
    read_a_random_window(int(sys.argv[1]))
