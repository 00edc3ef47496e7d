"""A PostHog on this machine, with all the odd behaviour of the real one (shared/posthog-api.md)."""

from integration_tests.posthog_server.api import PostHog, Reply, Request
from integration_tests.posthog_server.data import (
    DAY,
    KEY,
    SECOND,
    Account,
    Event,
    Key,
    Project,
    demo_account,
    make_events,
    make_rows,
    micros,
)
from integration_tests.posthog_server.faults import Fault, html, throttled, too_slow
from integration_tests.posthog_server.server import PostHogServer

__all__ = [
    "DAY",
    "KEY",
    "SECOND",
    "Account",
    "Event",
    "Fault",
    "Key",
    "PostHog",
    "PostHogServer",
    "Project",
    "Reply",
    "Request",
    "demo_account",
    "html",
    "make_events",
    "make_rows",
    "micros",
    "throttled",
    "too_slow",
]
