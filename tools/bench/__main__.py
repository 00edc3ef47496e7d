"""Prints one table, and writes it to .bench/result.json. `--full` grows row h to a million events."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.bench.runs import FOLDER, OURS, Run, peer, read, server, start_up

START = "2026-01-01T00:00:00Z"
NO_CLAMP = 100_000  # on such a server the published connector is complete


@dataclass
class Row:
    """One line of the table. `ours` and `peer` are counts or seconds as `what` says; `target` is for `measure`."""

    row: str
    what: str
    ours: float
    peer: float | None
    measure: float
    target: str
    met: bool
    note: str = ""


def days_ago(days: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def require_all(run: Run, expected: int) -> Run:
    if (run.records, run.ids) != (expected, expected):
        raise RuntimeError(f"{run.records} records with {run.ids} ids, but the server holds {expected}")
    return run


def row_a(full: bool) -> Iterator[Row]:
    """50 events a second, so that pages are full."""
    with server(events=200_000, days=4000 / 86_400, days_ago=1) as on:
        ours = require_all(read(OURS, on, days_ago(2)), 200_000)
        clamped = read(peer(), on, days_ago(2))
    per_1000 = ours.requests / 200
    note = f"on the same server the peer read {clamped.ids} of 200000 events and reported success"
    yield Row("a", "requests per 1000 events, dense", per_1000, None, per_1000, "<= 1.02", per_1000 <= 1.02, note)


def row_b(full: bool) -> Iterator[Row]:
    with server(events=200, projects=20, days=20, days_ago=25) as on:
        ours = require_all(read(OURS, on, days_ago(5 * 365)), 4000)
        theirs = read(peer(), on, days_ago(5 * 365))
    mine = ours.requests / 20
    yield Row("b", "requests a project, 5 years back", mine, theirs.requests / 20, mine, "<= 12", mine <= 12)


def row_c(full: bool) -> Iterator[Row]:
    with server(events=200, projects=20, days=20, days_ago=25) as on:
        counts = []
        for command in (OURS, peer()):
            first = read(command, on, days_ago(30))
            counts.append(read(command, on, days_ago(30), first.state).requests / 20)
    yield Row("c", "requests a project, idle sync", counts[0], counts[1], counts[0], "<= 2", counts[0] <= 2)


def cpu(small: Run, large: Run) -> float:
    """Microseconds of CPU per record, without the start-up."""
    return (large.cpu - small.cpu) / (large.records - small.records) * 1e6


def row_d(full: bool) -> Iterator[Row]:
    small, large = sizes(NO_CLAMP, 5000, 65_000)
    ours, theirs = (cpu(small[command], large[command]) for command in (OURS, peer()))
    ratio = ours / theirs
    yield Row("d", "CPU per record, µs, 1 KB", ours, theirs, ratio, "ratio <= 0.5", ratio <= 0.5)


def sizes(cap: int, *numbers: int) -> list[dict[Path, Run]]:
    """Both connectors on one project of each of `numbers` events of 1 KB."""
    runs = []
    for number in numbers:
        with server(events=number, days=60, properties_bytes=1000, cap=cap) as on:
            runs.append({command: require_all(read(command, on, START), number) for command in (OURS, peer())})
    return runs


def row_e(full: bool) -> Iterator[Row]:
    with server(events=6000, projects=8, days=83, days_ago=83.5, delay_ms=500) as on:
        ours = require_all(read(OURS, on, days_ago(84)), 48_000)
        theirs = read(peer(), on, days_ago(84))
    idle = start_up(OURS), start_up(peer())
    mine, other = ((run.wall - idle[i]) / run.ids * 1e3 for i, run in enumerate((ours, theirs)))
    note = f"the peer read {theirs.ids} of 48000 events"
    ratio = mine / other
    yield Row("e", "wall time per event, ms, 500 ms a query", mine, other, ratio, "ratio <= 0.33", ratio <= 1 / 3, note)


def row_f(full: bool) -> Iterator[Row]:
    for size, most in ((1000, 250), (5000, 400), (20_000, 700)):
        with server(events=2500, projects=10, days=60, properties_bytes=size, cap=NO_CLAMP) as on:
            ours, theirs = (require_all(read(command, on, START), 25_000) for command in (OURS, peer()))
        what = f"peak memory, MB, {size // 1000} KB an event"
        yield Row("f", what, ours.memory, theirs.memory, ours.memory, f"<= {most}", ours.memory <= most)


def row_g(full: bool) -> Iterator[Row]:
    ours, theirs = start_up(OURS), start_up(peer())
    ratio = ours / theirs
    yield Row("g", "start-up (spec), s", ours, theirs, ratio, "ratio <= 1.05", ratio <= 1.05, "5 % is within the noise")


def row_h(full: bool) -> Iterator[Row]:
    """Between 50,000 and `most` events, so that the start-up and the first pages do not count."""
    most = 1_000_000 if full else 250_000
    runs = []
    for number in (5000, 50_000, most):
        with server(events=number, days=60, properties_bytes=1000) as on:
            runs.append(require_all(read(OURS, on, START), number))
    growth = cpu(runs[1], runs[2]) / cpu(runs[0], runs[1])
    yield Row("h", f"CPU per record to {most} events, growth", growth, None, growth, "<= 1.10", growth <= 1.1)
    growth = runs[2].memory / runs[1].memory
    yield Row("h", f"memory to {most} events, growth", growth, None, growth, "<= 1.10", growth <= 1.1)


def row_i(full: bool) -> Iterator[Row]:
    """Events by queries, beside ours by the list instead of the peer."""
    million = 1_000_000
    number = million if full else 400_000
    runs = []
    for events in (20_000, number):
        with server(events=events, days=60, properties_bytes=500) as on:
            runs.append([require_all(read(OURS, on, START, events_api=way), events) for way in ("list", "query")])
    listed, queried = (run.requests / number * million for run in runs[1])
    yield Row("i", "requests per million events, by queries", queried, listed, queried, "<= 110", queried <= 110)
    listed, queried = (cpu(small, large) for small, large in zip(*runs, strict=True))
    ratio = queried / listed
    yield Row("i", "CPU per record, µs, by queries", queried, listed, ratio, "ratio <= 1.1", ratio <= 1.1)
    with server(events=40_000, projects=8, days=83, days_ago=83.5, delay_ms=500) as on:
        by_list = require_all(read(OURS, on, days_ago(84)), 320_000)
    with server(events=40_000, projects=8, days=83, days_ago=83.5, delay_ms=2000) as on:
        by_query = require_all(read(OURS, on, days_ago(84), events_api="query"), 320_000)
    listed, queried = ((run.wall - start_up(OURS)) / run.ids * 1e3 for run in (by_list, by_query))
    note = "the list at 500 ms a request"
    yield Row(
        "i", "wall time per event, ms, 2 s a query", queried, listed, queried, "<= the list", queried <= listed, note
    )
    with server(events=12_000, projects=4, days=60, properties_bytes=5000) as on:
        listed, queried = (
            require_all(read(OURS, on, START, events_api=way), 48_000).memory for way in ("list", "query")
        )
    yield Row("i", "peak memory, MB, 5 KB an event, by queries", queried, listed, queried, "<= 400", queried <= 400)


def row_j(full: bool) -> Iterator[Row]:
    """Two projects that have been silent for years, on a server that gives ten thousand events a page."""
    with server(events=23_500, projects=2, days=40, days_ago=1100, age="JANUARY_2024") as on:
        ours = require_all(read(OURS, on, days_ago(1120)), 47_000)
        theirs = read(peer(), on, days_ago(1120))
    what = "requests for 47,000 events, 10,000 a page"
    yield Row("j", what, ours.requests, theirs.requests, ours.requests, "<= 40", ours.requests <= 40)


def row_k(full: bool) -> Iterator[Row]:
    """A dense day by queries: what PostHog reads for it in the order of storage, beside by time."""
    number, size = (1_000_000, 1500) if full else (200_000, 1500)
    data = number * size
    day: dict[str, Any] = {"days": 1, "properties_bytes": size, "names": 40, "people": 20_000, "granule": 8192}
    with server(events=number, **day) as on:
        ours = require_all(read(OURS, on, START, events_api="query"), number)
    part = number // 10  # by time it would take all day
    with server(events=part, without_counts=True, **day) as on:
        by_time = require_all(read(OURS, on, START, events_api="query"), part)
    cost, before = ours.bytes_read / data, by_time.bytes_read / (part * size)
    note = f"by time, of a tenth of the events, {before:.0f} times the data, and more the more there are"
    yield Row("k", f"bytes read, of the data, {number} events a day", cost, None, cost, "<= 2", cost <= 2, note)
    requests = ours.requests / number * 1e6
    yield Row("k", "requests per million events, dense day", requests, None, requests, "<= 110", requests <= 110)


def row_l(full: bool) -> Iterator[Row]:
    """Large events, of which a thousand would be a gigabyte."""
    for size, number, projects, most in ((1_000_000, 1000, 1, 400), (300_000, 1000, 4, 500), (18_000_000, 40, 1, 500)):
        with server(events=number, projects=projects, days=20, properties_bytes=size) as on:
            for way in ("list", "query"):
                run = require_all(read(OURS, on, START, events_api=way), number * projects)
                what = f"peak memory, MB, {size / 1e6:g} MB x {number} x {projects}, {way}"
                yield Row("l", what, run.memory, None, run.memory, f"<= {most}", run.memory <= most)
            if projects > 1:
                run = require_all(read(OURS, on, START, pause=15), number * projects)
                what = "the same by list, where nobody takes the output for 15 s"
                yield Row("l", what, run.memory, None, run.memory, f"<= {most}", run.memory <= most)


def row_m(full: bool) -> Iterator[Row]:
    """What a pod needs: row f with fewer workers and with more."""
    for workers in (2, 10, 20):
        for size in (1000, 5000, 20_000):
            with server(events=2500, projects=10, days=60, properties_bytes=size, cap=NO_CLAMP) as on:
                memory = require_all(read(OURS, on, START, num_workers=workers), 25_000).memory
            what = f"peak memory, MB, {workers} workers, {size // 1000} KB an event"
            yield Row("m", what, memory, None, memory, "<= 1024", memory <= 1024)


ROWS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "a": row_a,
    "b": row_b,
    "c": row_c,
    "d": row_d,
    "e": row_e,
    "f": row_f,
    "g": row_g,
    "h": row_h,
    "i": row_i,
    "j": row_j,
    "k": row_k,
    "l": row_l,
    "m": row_m,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default=",".join(ROWS), help="rows, e.g. a,c")
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    rows = []
    print(f"{'':2} {'':<42} {'ours':>9} {'peer':>9} {'ratio':>6}  target")
    for name in given.only.split(","):
        for row in ROWS[name](given.full):
            rows.append(row)
            beside = f"{row.peer:>9.2f} {row.ours / row.peer:>6.2f}" if row.peer else f"{'':>9} {'':>6}"
            verdict = "met" if row.met else "MISSED"
            note = f"  ({row.note})" if row.note else ""
            print(f"{row.row:2} {row.what:<42} {row.ours:>9.2f} {beside}  {row.target}: {verdict}{note}", flush=True)
    machine = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cdk": version("airbyte-cdk"),
    }
    print(f"\nOn {machine['cores']} cores ({machine['machine']}), Python {machine['python']}, CDK {machine['cdk']}.")
    result = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (FOLDER / "result.json").write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
