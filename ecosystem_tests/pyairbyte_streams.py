"""Two syncs of some streams with PyAirbyte, into a DuckDB in the working directory.

Runs where PyAirbyte is installed: `python -m ecosystem_tests.pyairbyte_streams CONNECTOR CONFIG STREAM ...`. Prints
what the tables hold after each sync as a line of JSON, and waits for a line on standard input before the next.
"""

import json
import sys

import airbyte as ab

streams = sys.argv[3:]
source = ab.get_source("source-posthog", local_executable=sys.argv[1], config=json.loads(sys.argv[2]))
source.check()
source.select_streams(streams)
for _ in range(2):
    cache = ab.new_local_cache("posthog", cache_dir="cache")
    processed = source.read(cache, write_strategy="merge").processed_records
    rows = {stream: [dict(row) for row in cache.run_sql_query(f'select * from "{stream}"')] for stream in streams}
    print(json.dumps({"processed": processed, "rows": rows}, default=str), flush=True)
    sys.stdin.readline()
