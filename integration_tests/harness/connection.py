"""A connection that syncs again and again, while events arrive at its account, late ones among them."""

from typing import Any

from integration_tests.harness.connector import Output
from integration_tests.harness.in_process import answers_from, now_is, sync
from posthog_server import DAY, SECOND, Account, Event, PostHog, account_with, event, isoformat, microseconds

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
START = microseconds("2026-01-01T00:00:00Z")
NOW = START + 60 * DAY
LATER = NOW + 3 * HOUR  # when the second sync begins


class Connection:
    """A connection that syncs again and again, each time from its last state, at a time of the server's clock."""

    def __init__(self, account: Account, **options: Any) -> None:
        self.account, self.now = account, NOW
        self.posthog = PostHog(account, cap=100, query_cap=100, clock=lambda: self.now / SECOND)
        self.options = {"start_date": isoformat(START).replace("+00:00", "Z"), **options}
        self.state: list[dict[str, Any]] | None = None

    def sync(self, at: int, our_clock: int = 0, **options: Any) -> Output:
        """A sync that begins at `at`, by a clock of ours that is `our_clock` ahead of the server's."""
        self.now = at
        self.posthog.reset()
        with answers_from(self.posthog), now_is(at + our_clock):
            output = sync(self.state, **{**self.options, **options})
        self.state = output.state or self.state
        return output

    def add(self, *events: Event, project: int = 7) -> list[tuple[int, str]]:
        self.account.projects[project].add_events(list(events))
        return sorted((project, one.id) for one in events)


def connection(**options: Any) -> Connection:
    """Forty days of events, one in six hours, up to an hour before the first sync; each arrived at once."""
    made = [event(NOW - HOUR - place * 6 * HOUR) for place in range(160)]
    return Connection(account_with({7: made}), **options)


def late(by: int, arrives: int = NOW + 30 * MINUTE) -> Event:
    """An event that arrives `by` after it happened."""
    return event(arrives - by, created_at=arrives)
