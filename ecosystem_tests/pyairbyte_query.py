"""Two syncs of one query of the user's own with PyAirbyte, into a DuckDB in the working directory.

Runs where PyAirbyte is installed: `python -m ecosystem_tests.pyairbyte_query CONNECTOR CONFIG`. Prints what
the table holds after each sync as a line of JSON, and waits for a line on standard input before the next.
"""

import json
import sys

import airbyte as ab

config = json.loads(sys.argv[2])
(query,) = config["queries"]
source = ab.get_source("source-posthog", local_executable=sys.argv[1], config=config)
source.check()
source.select_streams([query["name"]])
for _ in range(2):
    cache = ab.new_local_cache("posthog", cache_dir="cache")
    processed = source.read(cache, write_strategy="merge").processed_records
    rows = [dict(row) for row in cache.run_sql_query(f'select * from "{query["name"]}"')]
    print(json.dumps({"processed": processed, "rows": rows}, default=str), flush=True)
    sys.stdin.readline()
