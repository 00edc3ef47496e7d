"""The README's "Is everything there?": PostHog and a warehouse count the same events for each day."""

import json
import random
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ecosystem_tests.documents import sections
from ecosystem_tests.test_pyairbyte import pyairbyte
from integration_tests.harness.connector import START_DATE, catalog, config, run_command
from posthog_server import DAY, PostHogServer, Project, account, event, make_events, microseconds
from posthog_server.clickhouse import ClickHouse
from posthog_server.data import EventTable
from posthog_server.environments import ROOT

README, EXAMPLES = ROOT / "README.md", ROOT / "docs" / "examples.md"
ENVIRONMENTS = (pyairbyte,)
HOUR = DAY // 24

# Prints the rows of a query, given as its argument, on the file of the example "Into Parquet".
ASK = """
import duckdb, json, sys
duckdb.sql("create view events as from 'events.parquet'")
print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))
"""


def in_duckdb(folder: Path, program: str, *arguments: str) -> str:
    line = [str(pyairbyte() / "bin" / "python"), "-c", program, *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_posthog_and_the_warehouse_count_the_same_events_for_each_day(tmp_path: Path, clickhouse: ClickHouse) -> None:
    """In a project whose days begin at 5 in UTC: events at their edges, before the start, copies; none has a person.

    What arrives after the sync has not been read, and PostHog is asked to leave it out.
    """
    for_posthog, for_warehouse = sections(README, "Is everything there?")
    start = microseconds(START_DATE)
    edges = [event(start + day * DAY + 5 * HOUR + offset) for day in range(4) for offset in (-1, 0, 0)]
    before = [event(start - 1), event(start - DAY)]
    spread = make_events(150, random.Random(5), start=start, span=9 * DAY, project=1)
    copies = [event(one.at, one.id, unmerged=True) for one in spread[:3]]
    one = Project(1, events=EventTable([*edges, *before, *spread, *copies]), settings={"timezone": "America/New_York"})
    with PostHogServer(account(one), clickhouse=clickhouse) as server:
        output = run_command("read", config=config(server.url), catalog=catalog("events"))
        one.add_events([event(start + days * DAY, created_at=now()) for days in (2, 30)])
        (tmp_path / "first.jsonl").write_text(output.text)
        (tmp_path / "second.jsonl").write_text("")
        (table,) = sections(EXAMPLES, "Into Parquet")
        in_duckdb(tmp_path, table)
        warehouse = json.loads(in_duckdb(tmp_path, ASK, for_warehouse))

        before_arrival, shown, rest = re.split(r"(?<=created_at < toDateTime\(')(\S+?)(?=')", for_posthog)
        assert START_DATE in before_arrival
        assert microseconds(shown) > start
        asked = before_arrival + output.states[-1]["1"]["arrived"] + rest
        assert counted(server, asked) == warehouse
    assert sum(number for _, number in warehouse) == len(edges) + len(spread)
    assert len(warehouse) == 10


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def counted(server: PostHogServer, sql: str) -> Any:
    answer = server.posthog.post("/api/projects/1/query/", {"query": {"kind": "HogQLQuery", "query": sql}})
    assert answer.status == 200, answer.body
    return answer.json()["results"]
