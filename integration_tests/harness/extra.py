"""Accounts with rows of the extra streams, and what the connector asked for them."""

import random
from typing import Any

from integration_tests.harness.connector import Output, expected_keys
from posthog_server import PostHog, Project, Seen, account
from posthog_server.extra import EXTRA, extra_rows, make_extra

OWNERS = {7: "0190a000-0000-7000-8000-000000000007", 8: "0190a000-0000-7000-8000-000000000008"}


def some(*streams: str, rows: int = 12, **options: Any) -> PostHog:
    """Two projects of two organizations, with rows of `streams`, of all extra streams where none is named."""
    rng = random.Random(23)
    made = account(Project(7, organization=OWNERS[7]), Project(8, organization=OWNERS[8]))
    for stream in streams or EXTRA:
        if EXTRA[stream].owner:
            owned = extra_rows(made, stream).values()
            for project, number, kept in zip((7, 8), (rows, 3), owned, strict=True):
                kept += make_extra(stream, number, rng, project)
    return PostHog(made, **options)


def require_whole(output: Output, posthog: PostHog, stream: str) -> None:
    assert (output.status, output.errors) == (0, [])
    assert output.keys(stream) == expected_keys(posthog.account)[stream]


def asked(posthog: PostHog, stream: str) -> list[int]:
    """The offset of each request of a list."""
    return [int(seen.query.get("offset", 0)) for seen in posthog.requests if seen.stream == stream]


def queries(posthog: PostHog, stream: str) -> list[dict[str, str]]:
    """The parameters of each request of a list for project 7."""
    return [seen.query for seen in posthog.requests if (seen.stream, seen.project_id) == (stream, 7)]


def offsets(posthog: PostHog, stream: str) -> list[int]:
    """The offset of each of them."""
    return [int(query.get("offset", 0)) for query in queries(posthog, stream)]


def rows_asked_for(seen: Seen) -> int:
    return int(seen.query.get("limit") or seen.query["page_size"])


def owner_in_words(stream: str) -> str:
    """How an error about the list of project 7 begins."""
    owner = EXTRA[stream].owner
    return f"Stream {stream}" + (f", {owner} {7 if owner == 'project' else OWNERS[7]}" if owner else "")
