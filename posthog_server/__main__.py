"""Serves the demo account, or benchmark data, until killed: python -m posthog_server --help"""

import argparse
import gc
import json
import threading
import time
from contextlib import ExitStack, suppress

from .ages import Age
from .clickhouse import ClickHouse, Engine
from .data import KEY
from .demo import benchmark_account, demo_account
from .rows import START
from .server import PostHogServer
from .values import DAY, SECOND


def main() -> None:
    parser = argparse.ArgumentParser(prog="posthog_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same data")
    parser.add_argument("--age", choices=[age.name for age in Age], default=Age.CLOUD.name, help="which PostHog it is")
    parser.add_argument("--cap", type=int, help="the most events that one page gives (default: as at that age)")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="how long each answer takes")
    parser.add_argument(
        "--queries", action="store_true", help="answer any HogQL query, by a ClickHouse, downloaded on its first use"
    )
    parser.add_argument(
        "--granule", type=int, default=0, help="count the bytes that queries read, in granules of so many rows"
    )
    parser.add_argument("--cloud-throttles", action="store_true", help="refuse with 429 as the cloud does")
    parser.add_argument(
        "--events", type=int, help="benchmark data: events of each project; without it, the demo account"
    )
    parser.add_argument("--projects", type=int, default=1, help="benchmark data: projects")
    parser.add_argument(
        "--days", type=float, default=90, help="benchmark data: days from 2026-01-01 that the events cover"
    )
    parser.add_argument(
        "--days-ago", type=float, help="benchmark data: begin so many days before now instead of 2026-01-01"
    )
    parser.add_argument(
        "--properties-bytes", type=int, default=500, help="benchmark data: size of an event's properties"
    )
    parser.add_argument("--names", type=int, default=1, help="benchmark data: how many names the events have")
    parser.add_argument("--people", type=int, default=200, help="benchmark data: how many send them")
    parser.add_argument("--without-counts", action="store_true", help="refuse to count events for the connector")
    given = parser.parse_args()
    gc.disable()  # making a million events is faster without
    if given.events is None:
        account = demo_account(given.seed)
    else:
        account = benchmark_account(
            given.events,
            projects=given.projects,
            days=given.days,
            start=START if given.days_ago is None else int(time.time() * SECOND - given.days_ago * DAY),
            properties_bytes=given.properties_bytes,
            names=given.names,
            people=given.people,
            seed=given.seed,
        )
    gc.freeze()
    gc.enable()
    with ExitStack() as running:
        clickhouse = running.enter_context(ClickHouse(running.enter_context(Engine()))) if given.queries else None
        server = running.enter_context(
            PostHogServer(
                account,
                port=given.port,
                age=Age[given.age],
                **({} if given.cap is None else {"cap": given.cap}),
                page_delay=given.delay_ms / 1000,
                **({"counts_bytes": True, "granule": given.granule} if given.granule else {}),
                cloud_throttles=given.cloud_throttles,
                without_counts=given.without_counts,
                clickhouse=clickhouse,
                seed=given.seed,
            )
        )
        print(json.dumps({"url": server.url, "key": KEY}), flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
