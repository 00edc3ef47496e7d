"""How a PostHog differs from others: what it knows, how fast it is, where it stands."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from posthog_server.clickhouse import ClickHouse

from .ages import Age


@dataclass(kw_only=True)
class Options:
    """The options of `PostHog`; tests may change them at any time.

    Attributes:
        age: which PostHog it is; it does not change.
        cap: the most events that one page of the list gives; that of the age where it is 0.
        query_cap: the most rows that one query gives; it echoes a greater limit as this one. That of the age where it
            is 0. At this limit an EventsQuery says `hasMore: false`, whatever there is.
        any_tie_order: events of one timestamp come in any order, another at each request, as on older servers.
        wall_time: "events" and "query": what shows the wall time of projects whose zone is not UTC, labelled as UTC,
            while bounds stay true. A fault of servers of June 2026.
        page_delay: seconds that each answer takes; an event list or a query holds its place meanwhile.
        cloud_throttles: refuse with 429 as the cloud does; those of then in January 2024.
        public_host: the host, or scheme and host, in `next` where a proxy hides the one that was asked.
        path_prefix: a path that the API is under, e.g. "/posthog". A proxy takes it off, so `next` is without it.
        third_list_wait: seconds that a third event list of one project waits for its turn.
        fourth_query_wait: seconds that a fourth query of one project waits for its turn.
        offset_penalty: seconds that an event list with an offset takes longer.
        longest_range: seconds; an event list or EventsQuery of a longer range is too slow (504). None: any is fine.
        most_rows_scanned: one with more events in its range is refused with `scan_status`, and so is a HogQLQuery
            that reads more rows. None: any is fine.
        scan_status: 504 (too slow), 512 (estimated too slow) or 513 (out of memory).
        counts_bytes: tell what each query reads (see costs.py) in a header; so do the next three.
        read_budget: bytes an hour that queries of one project may read; then they are refused with 429. It holds those
            of `budget_hours`, which is what it begins with, and owes at most those of one hour.
        read_quota: bytes that queries of one project may read at all; then they are refused with 402.
        most_bytes_read: a query that reads more bytes is too slow (504), however short its range.
        granule: rows that ClickHouse reads together.
        without_event_list, without_query: this endpoint is gone (404).
        extra_cap: the most rows that a page of an extra stream's list gives.
        moves: the next so many pages of extra streams whose order is open come each from a list in another order.
        without: extra streams whose list is not there (404).
        without_counts: a HogQLQuery is refused (403).
        without_hogql_filter: a server from before 2023, whose event list knows no filter of type hogql (400).
        without_created_at_filter: HogQL knows the ids of events but not `created_at` (400).
        clickhouse: what runs each HogQLQuery; without it the server knows none but
            counts and maps of a range (hogql_maps.py).
        hogql_seconds: the longest that a HogQLQuery may run before it is too slow (504).
        clock: seconds since the epoch; tests may stop it.
        seed: of the chance that the server makes use of, e.g. in the order of ties.
    """

    age: Age = Age.CLOUD
    cap: int = 0
    query_cap: int = 0
    any_tie_order: bool = False
    wall_time: Collection[str] = ()
    page_delay: float = 0.0
    cloud_throttles: bool = False
    public_host: str = ""
    path_prefix: str = ""
    third_list_wait: float = 30.0
    fourth_query_wait: float = 30.0
    offset_penalty: float = 1.0
    longest_range: float | None = None
    most_rows_scanned: int | None = None
    scan_status: int = 504
    counts_bytes: bool = False
    read_budget: int | None = None
    budget_hours: float = 24
    read_quota: int | None = None
    most_bytes_read: int | None = None
    granule: int = 8192
    without_event_list: bool = False
    without_query: bool = False
    extra_cap: int | None = None
    moves: int = 0
    without: Collection[str] = ()
    without_counts: bool = False
    without_hogql_filter: bool = False
    without_created_at_filter: bool = False
    clickhouse: ClickHouse | None = None
    hogql_seconds: float = 10.0
    clock: Callable[[], float] = time.time
    seed: int = 0
