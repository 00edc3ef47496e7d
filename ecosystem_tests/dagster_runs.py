"""Materializes partitions of the Dagster example, one after the other. Runs where Dagster is installed.

    python -m ecosystem_tests.dagster_runs LAST_MONTH

All projects, up to LAST_MONTH; the variables of the environment are those of the example. Writes to runs.json how often
each partition was tried and whether it went well, and what the files hold.
"""

import json
import sys
from pathlib import Path

import dagster as dg
import duckdb
from definitions import PARTITIONS, account, events

(last_month,) = sys.argv[1:]
dg.RetryPolicy.calculate_delay = lambda *_: 0  # in the example it is minutes
chosen = [key for key in PARTITIONS.get_partition_keys() if key.keys_by_dimension["month"] <= last_month]
runs = {}
with dg.DagsterInstance.ephemeral() as instance:
    for key in chosen:
        done = dg.materialize(
            [events], instance=instance, partition_key=key, resources={"posthog": account}, raise_on_error=False
        )
        again = [event for event in done.all_events if event.event_type == dg.DagsterEventType.STEP_RESTARTED]
        runs[str(key)] = {"success": done.success, "tries": 1 + len(again)}
files = duckdb.sql("select project_id, id, properties::varchar from 'events/**/*.parquet'")
Path("runs.json").write_text(json.dumps({"runs": runs, "rows": files.fetchall()}))
