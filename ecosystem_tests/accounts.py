"""What PyAirbyte reads. Apart from the rest, since its environment has no connector."""

import random
from datetime import datetime, timezone

from posthog_server import Account, Event, event, make_events
from posthog_server.data import EventTable
from posthog_server.demo import BUSY, demo_account

ADDED_ID = "0190f000-0000-7000-8000-000000000001"


def small_account() -> Account:
    """The demo account, of its busy project a tenth: how fast PyAirbyte writes is not what is tried."""
    account = demo_account()
    account.projects[BUSY].events = EventTable(make_events(800, random.Random(7), project=BUSY))
    return account


def add_event(account: Account, at: str = "") -> Event:
    """Let an event arrive, of now where no time is given."""
    now = datetime.now(timezone.utc).isoformat()
    added = event(at or now, ADDED_ID, properties={"deep": {"er": [1, {"text": "Zoë 🦔"}]}})
    account.projects[BUSY].add_events([added])
    return added
