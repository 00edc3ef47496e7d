"""A PostHog to test against: it imitates the real REST API, its oddities and its troubles included.

`PostHogServer` serves it on a socket, `PostHog.handle` answers in process. `data.py` holds what there is to read,
`demo.py` makes whole accounts, `faults.py` makes trouble.
"""

from .ages import Age
from .api import PostHog
from .data import KEY, Account, Event, EventTable, Key, Project, account, account_with, event
from .demo import benchmark_account, demo_account
from .event_rows import make_events
from .faults import (
    Fault,
    FaultPlan,
    busy,
    disconnect,
    drip,
    empty,
    estimated_too_slow,
    html,
    key_limited_to_projects,
    key_not_for_project,
    missing_scope,
    no_project_access,
    not_found,
    out_of_memory,
    redirect,
    reset,
    rewrite,
    server_error,
    stall,
    throttled,
    too_many_queries,
    too_slow,
    truncated,
    wrong_key,
)
from .rows import make_persons, make_rows
from .server import PostHogServer
from .traffic import Reply, Seen
from .values import DAY, SECOND, isoformat, microseconds

__all__ = [
    "DAY",
    "KEY",
    "SECOND",
    "Account",
    "Age",
    "Event",
    "EventTable",
    "Fault",
    "FaultPlan",
    "Key",
    "PostHog",
    "PostHogServer",
    "Project",
    "Reply",
    "Seen",
    "account",
    "account_with",
    "benchmark_account",
    "busy",
    "demo_account",
    "disconnect",
    "drip",
    "empty",
    "estimated_too_slow",
    "event",
    "html",
    "isoformat",
    "key_limited_to_projects",
    "key_not_for_project",
    "make_events",
    "make_persons",
    "make_rows",
    "microseconds",
    "missing_scope",
    "no_project_access",
    "not_found",
    "out_of_memory",
    "redirect",
    "reset",
    "rewrite",
    "server_error",
    "stall",
    "throttled",
    "too_many_queries",
    "too_slow",
    "truncated",
    "wrong_key",
]
