"""PostHog's events list as a transport: the parameters of a question, and what its answer proves.

What is relied on here is in docs/posthog-server.md, "The events list".
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from source_posthog.exact.events.conditions import conditions
from source_posthog.exact.events.port import Page, Query, Row
from source_posthog.exact.instants import MICROSECOND, instant, iso

# The server looks at the last of these spans below `before` first, and believes the first that holds half a page.
SPANS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)

SMALLEST_PAGE = 100  # rows; no server gives fewer where more are asked for


def parameters(query: Query, limit: int, *, oldest_first: bool = False) -> dict[str, str]:
    """What to ask the list for. Its bounds are both exclusive, at microseconds."""
    asked = {"after": iso(query.start - MICROSECOND), "before": iso(query.end), "limit": str(limit)}
    if oldest_first:
        asked["orderBy"] = '["timestamp"]'
    if filters := conditions(query):
        asked["properties"] = json.dumps([{"type": "hogql", "key": key} for key in filters])
    return asked


def page(query: Query, limit: int, rows: list[Row], following: Any) -> Page:
    """The answer of `rows` and `following`, the list's `next`, to `query` with this `limit`."""
    return Page(rows, complete=not following and _is_whole(query, limit, rows))


def _is_whole(query: Query, limit: int, rows: Sequence[Row]) -> bool:
    """Whether `next: null` is true: the server cannot have looked at one of its spans only.

    An answer from a span holds at least half a page, all of it within the span. How many rows a page holds at most,
    the server does not say.
    """
    if 2 * len(rows) < min(limit, SMALLEST_PAGE):
        return True
    asked = query.end - query.start + MICROSECOND  # as the server counts it, between its exclusive bounds
    shorter = [span for span in SPANS if span < asked]
    try:
        return not shorter or query.end - instant(rows[-1].get("timestamp")) > max(shorter)
    except ValueError:
        return False  # the reader refuses such a row, and says so
