"""Reads PostHog into DuckDB with PyAirbyte, and prints the most frequent events. Run it again: it reads what is new.

Reads the account that POSTHOG_URL, POSTHOG_KEY and POSTHOG_START_DATE name, else a PostHog that it starts itself.
"""

import os
import shutil
from contextlib import nullcontext

import airbyte as ab

from integration_tests.posthog_server import KEY, PostHogServer, demo_account

TOP = 'select "event", count(*) as "number" from "events" group by 1 order by 2 desc, 1 limit 5'

with nullcontext() if os.environ.get("POSTHOG_URL") else PostHogServer(demo_account()) as embedded:
    config = {
        "base_url": embedded.url if embedded else os.environ["POSTHOG_URL"],
        "api_key": os.environ.get("POSTHOG_KEY", KEY),
        "start_date": os.environ.get("POSTHOG_START_DATE", "2026-01-01T00:00:00Z"),
    }
    connector = shutil.which("source-posthog") or ".venv/bin/source-posthog"
    source = ab.get_source("source-posthog", local_executable=connector, config=config, streams=["events", "persons"])
    cache = ab.new_local_cache("posthog")
    source.read(cache, write_strategy="merge")
    for row in cache.run_sql_query(TOP):
        print(f"{row['number']:>8}  {row['event']}")
