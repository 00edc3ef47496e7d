"""Whole accounts: one with all the trouble in it, and one as large as a benchmark needs."""

import random

from .data import Account, Event, EventTable, Project, account
from .event_rows import make_events
from .extra import EXTRA, extra_rows, make_extra
from .rows import DAYS, START, make_persons, make_rows
from .values import DAY, SECOND, Row, random_uuid

BUSY, GAP, SMALL = 101, 202, 303  # ids of the demo's projects


def demo_account(seed: int = 7) -> Account:
    """Three projects, some 10,000 events over three months from 2026-01-01; the same for the same seed.

    One is busy, with bursts and ties; one has nothing for two months; one is small.
    """
    rng = random.Random(seed)
    busy = Project(BUSY, "Shop 🦔", EventTable(_busy_events(rng)))
    gap = Project(GAP, "Two months of silence", EventTable(_gap_events(rng)))
    small = Project(SMALL, "", EventTable(make_events(30, rng, project=SMALL)), settings={"timezone": "Asia/Tokyo"})
    for project, people, rows in ((busy, 430, 230), (gap, 120, 40), (small, 3, 2)):
        project.persons = make_persons(people, rng, project.id)
        for stream in ("cohorts", "feature_flags", "annotations", "insights"):
            setattr(project, stream, make_rows(stream, rows, rng, project.id))
        project.extra = {
            stream: make_extra(stream, rows, rng, project.id) for stream, one in EXTRA.items() if one.owner == "project"
        }
    # Short pages, and with a limit of up to 100 also an empty page with more to come.
    busy.dropped_persons = {3, 57, *range(100, 300), 429}
    busy.annotations[0]["scope"] = gap.annotations[1]["scope"] = "organization"
    busy.cohorts[5]["deleted"] = busy.annotations[5]["deleted"] = True
    busy.feature_flags[4]["archived"] = True
    busy.extra["session_recordings"][7]["deleted"] = True
    made = account(busy, gap, small)
    for stream, one in EXTRA.items():
        if one.owner == "organization":
            for number, kept in enumerate(extra_rows(made, stream).values()):
                kept += make_extra(stream, 25, rng, number)
    return made


def _busy_events(rng: random.Random) -> list[Event]:
    """Bursts make pages whose `next: null` lies; the large tie is more than a page."""
    midnight = START + 31 * DAY
    bursts = (
        (4000, START, DAYS * DAY),
        (1300, START + 40 * DAY + 123_456, 1),
        (40, START + 12 * DAY, 1),
        (2000, START + 20 * DAY + 7 * SECOND, 30 * SECOND),
        (700, START + 60 * DAY, 240 * SECOND),
        # At the boundaries of windows: first and last microsecond of a month, and of the whole range.
        *((3, at, 1) for at in (START, midnight - 1, midnight, midnight + 1, START + DAYS * DAY - 1)),
    )
    return [
        event
        for n, start, span in bursts
        for event in make_events(n, rng, start=start, span=span, project=BUSY, people=430)
    ]


def _gap_events(rng: random.Random) -> list[Event]:
    ends = (START, START + (DAYS - 15) * DAY)
    return [
        event for start in ends for event in make_events(900, rng, start=start, span=15 * DAY, project=GAP, people=120)
    ]


def benchmark_account(
    events: int,
    *,
    projects: int = 1,
    days: float = DAYS,
    start: int = START,
    properties_bytes: int = 500,
    names: int = 1,
    people: int = 200,
    seed: int = 7,
) -> Account:
    """`projects` projects with `events` plain events each, spread evenly over `days` days from `start`.

    `names`: so many different ones, of which the first has half of the events. `people`: who send them.
    """
    rng = random.Random(seed)
    # Few different properties, shared by all events, so that a million fit into memory.
    pool: list[Row] = [
        {
            "$browser": "Firefox",
            "number": place,
            "filler": f"{rng.getrandbits(8 * properties_bytes):x}"[:properties_bytes],
        }
        for place in range(64)
    ]
    made = []
    for project in range(1, projects + 1):
        senders = [f"user-{project}-{place}" for place in range(people)]
        others = [f"event {place}" for place in range(1, names)]
        span = int(days * DAY)
        table = EventTable(
            Event(
                random_uuid(rng),
                start + rng.randrange(span),
                event=rng.choice(others) if others and rng.random() < 0.5 else "$pageview",
                distinct_id=rng.choice(senders),
                properties=rng.choice(pool),
            )
            for _ in range(events)
        )
        persons = make_persons(200, rng, project)
        for place, person in enumerate(persons):  # ordinary ones: an odd value on every page is not what is measured
            person["properties"] = {"email": f"person{place}@example.com", "name": f"Person {place}"}
        made.append(Project(project, f"Benchmark {project}", table, persons=persons))
    return account(*made)
