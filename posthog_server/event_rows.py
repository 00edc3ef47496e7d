"""Events as PostHog writes them, and now and then an odd one."""

import random

from .data import NOT_GIVEN, Event
from .rows import DAYS, HUGE, ODD_TEXTS, START, deep
from .values import DAY, SECOND, Row, cleaned, random_uuid

LINK_IN_A_BOX = (
    'a.btn.large:attr__href="/buy"href="/buy"nth-child="1"nth-of-type="1"text="Buy";div:nth-child="2"nth-of-type="1"'
)


def make_events(
    n: int,
    rng: random.Random,
    *,
    start: int = START,
    span: int = DAYS * DAY,
    project: int = 1,
    people: int = 100,
    created_at: int = NOT_GIVEN,
    late: int = 0,
    lag: int = 0,
    anonymous: float = 0.0,
) -> list[Event]:
    """`n` events in [start, start + span) (microseconds; a span of 1 makes them all tie), in no order.

    Every seventh falls on a whole second. Their distinct ids are those of `make_persons`, and of a few strangers.
    They arrive at `created_at`, or up to `late` microseconds after their timestamps, and can be seen up to `lag`
    microseconds after they arrived, out of its order; with a lag of 0 at once, whatever the clock. A share of them is
    `anonymous`: of distinct ids that no person has.
    """
    events = []
    for place in range(n):
        at = start + rng.randrange(span)
        if place % 7 == 0 and at - at % SECOND >= start:
            at -= at % SECOND
        made = _event(place, at, rng, f"user-{project}-{rng.randrange(people + people // 10 + 1)}")
        if anonymous and rng.random() < anonymous:
            made.distinct_id = f"anonymous-{project}-{rng.randrange(people)}"
        if created_at != NOT_GIVEN:
            made.created_at = created_at
        elif late:
            made.created_at = at + rng.randrange(late + 1)
        if lag:
            made.visible_at = made.created_at + rng.randrange(lag + 1)
        events.append(made)
    return events


def _event(place: int, at: int, rng: random.Random, distinct_id: str) -> Event:
    properties: Row = {
        "$lib": "web",
        "$browser": rng.choice(("Firefox", "Safari", "Chrome")),
        "$current_url": f"https://example.com/{place % 50}?q=ü",
        "$session_id": random_uuid(rng),
        "amount": round(rng.random() * 100, 2),
        "number": place,
    }
    if place % 41 == 0:
        odd: Row = {"huge": HUGE, "tiny": 5e-324, "large": 1.5e308, "nan": float("nan"), "quoted": '"in quotes"'}
        properties |= odd | {
            "text": ODD_TEXTS[place % len(ODD_TEXTS)],
            "deep": deep(30),
            "nothing": None,
            "list": [[], {}],
        }
    elif place % 43 == 0:
        properties = {}
    if place % 5 == 0:
        return Event(random_uuid(rng), at, "$autocapture", distinct_id, cleaned(properties), LINK_IN_A_BOX)
    name = rng.choice(("$pageview", "$pageleave", "signed up", "paid", "Zoë's event 🦔"))
    return Event(random_uuid(rng), at, name, distinct_id, cleaned(properties))
