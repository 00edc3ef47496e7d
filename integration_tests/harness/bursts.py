"""Events on one microsecond or spread over a span, around the windows of a sync of 45 days."""

import random

from integration_tests.harness.connector import START_DATE
from posthog_server import DAY, SECOND, Event, event, microseconds
from posthog_server.values import random_uuid

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
START = microseconds(START_DATE)
NOW = START + 45 * DAY  # two windows of 30 days: [0, 30) and [30, 45)
BOUNDARY = START + 30 * DAY


def one_event(rng: random.Random, at: int, alike: int = 0) -> Event:
    """With a random id, of which so many last digits are the same in all."""
    id = random_uuid(rng)
    return event(at, id[: len(id) - alike] + "a" * alike)


def ties(number: int, at: int, alike: int = 0, seed: int = 0) -> list[Event]:
    """Events on one microsecond, other ones for each seed."""
    rng = random.Random(f"{number} {at} {seed}")
    return [one_event(rng, at, alike) for _ in range(number)]


def spread(number: int, low: int, high: int) -> list[Event]:
    """Events at even distances in [low, high)."""
    return [event(low + (high - low) * place // number) for place in range(number)]
