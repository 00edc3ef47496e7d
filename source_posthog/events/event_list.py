"""PostHog's events list as a transport: the parameters of a question, and what its answer proves.

What is relied on here is in docs/posthog-server.md, "The events list".
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from source_posthog.events.instants import MICROSECOND, instant, iso
from source_posthog.events.reading import Page, Query, Row

# The server looks at the last of these spans below `before` first, and believes the first that holds half a page.
SPANS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
)

# No server gives fewer than 100 rows a page, so a page of fewer than 50 holds less than half of what it may.
HALF_OF_THE_SMALLEST_PAGE = 50


def parameters(query: Query) -> dict[str, str]:
    """What to ask the list for. Its bounds are both exclusive, at microseconds."""
    asked = {"after": iso(query.start - MICROSECOND), "before": iso(query.end)}
    filters = []
    if query.suffix:
        filters.append(ends_in(query))
    if query.arrived_from:
        filters.append(arrived_since(query))
    if filters:
        asked["properties"] = json.dumps([{"type": "hogql", "key": key} for key in filters])
    return asked


def ends_in(query: Query) -> str:
    """The HogQL expression that holds for events whose id ends in `query.suffix`."""
    return f"toString(uuid) like '%{query.suffix}'"


def arrived_since(query: Query) -> str:
    """The HogQL expression that holds for events ingested at `query.arrived_from` or later."""
    assert query.arrived_from is not None
    return f"created_at >= toDateTime64('{iso(query.arrived_from).removesuffix('Z')}', 6, 'UTC')"


def page(query: Query, rows: list[Row], following: Any) -> Page:
    """The answer of `rows` and `following`, the list's `next`, to `query`."""
    return Page(rows, complete=not following and _is_whole(query, rows))


def _is_whole(query: Query, rows: Sequence[Row]) -> bool:
    """Whether `next: null` is true: the server cannot have looked at one of its spans only.

    An answer from a span holds at least half a page, all of it within the span.
    """
    if len(rows) < HALF_OF_THE_SMALLEST_PAGE:
        return True
    asked = query.end - query.start + MICROSECOND  # as the server counts it, between its exclusive bounds
    shorter = [span for span in SPANS if span < asked]
    try:
        return not shorter or query.end - instant(rows[-1].get("timestamp")) > max(shorter)
    except ValueError:
        return False  # the reader refuses such a row, and says so
