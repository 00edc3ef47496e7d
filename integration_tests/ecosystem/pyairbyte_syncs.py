"""Two syncs of an embedded PostHog with PyAirbyte, with a new event between; in an environment with PyAirbyte.

Reads all streams into a DuckDB in the working directory, merging by primary key. Writes what there was to read and what
the tables hold after each sync to syncs.json.
"""

import json
import random
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import airbyte as ab

from integration_tests.connector import config, expected_keys
from integration_tests.posthog_server import PostHogServer, demo_account, event, make_events
from integration_tests.posthog_server.data import Account, EventTable

CONNECTOR = sys.argv[1]
BUSY = 101


def account() -> Account:
    """The demo account, of its busy project a tenth: how fast PyAirbyte writes is not what is tried here."""
    made = demo_account()
    made.projects[BUSY].events = EventTable(make_events(800, random.Random(7), project=BUSY))
    return made


def sync(source: ab.Source, account: Account) -> dict[str, Any]:
    cache = ab.new_local_cache("posthog", cache_dir="cache")
    result = source.read(cache, write_strategy="merge")
    return {
        "processed": result.processed_records,
        "tables": {stream: cache.run_sql_query(f'select * from "{stream}"') for stream in source.get_selected_streams()},
        "expected": {stream: sorted(id for _, id in keys) for stream, keys in expected_keys(account).items()},
        "events": [[one.id, one.at, one.properties] for project in account.projects.values() for one in project.events],
    }


def main() -> None:
    posthog = account()
    with PostHogServer(posthog) as server:
        source = ab.get_source("source-posthog", local_executable=CONNECTOR, config=config(server.url))
        source.check()
        source.select_all_streams()
        syncs = [sync(source, posthog)]
        new = event(datetime.now(timezone.utc).isoformat(), properties={"deep": {"er": [1, {"text": "Zoë 🦔"}]}})
        posthog.projects[BUSY].add_events([new])
        syncs.append(sync(source, posthog))
    Path("syncs.json").write_text(json.dumps(syncs, default=str))


if __name__ == "__main__":
    main()
