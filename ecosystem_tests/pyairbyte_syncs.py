"""Two syncs of an embedded PostHog with PyAirbyte, with a new event between them. Runs where PyAirbyte is installed.

Reads all streams into a DuckDB in the working directory, merging by primary key, and writes to syncs.json what the
tables hold after each sync.
"""

import json
import sys
from pathlib import Path
from typing import Any

import airbyte as ab

from ecosystem_tests.accounts import add_event, small_account
from posthog_server import KEY, PostHogServer, isoformat


def sync(source: ab.Source) -> dict[str, Any]:
    cache = ab.new_local_cache("posthog", cache_dir="cache")
    processed = source.read(cache, write_strategy="merge").processed_records
    streams = source.get_selected_streams()
    return {"processed": processed} | {one: cache.run_sql_query(f'select * from "{one}"') for one in streams}


account = small_account()
with PostHogServer(account) as server:
    config = {"base_url": server.url, "api_key": KEY, "start_date": "2026-01-01T00:00:00Z"}
    source = ab.get_source("source-posthog", local_executable=sys.argv[1], config=config)
    source.check()
    source.select_all_streams()
    first = sync(source)
    added = add_event(account)
    second = sync(source)
syncs = {"first": first, "second": second, "added": isoformat(added.at)}
Path("syncs.json").write_text(json.dumps(syncs, default=str))
