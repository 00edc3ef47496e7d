"""A table of events in PostHog's order of storage, as what is asked for its ranges; without HTTP and hashing."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from source_posthog.exact.errors import TooSlow
from source_posthog.exact.events.port import HASHES, Page, Query, identity
from source_posthog.exact.events.storage_order import ByHash
from unit_tests.exact.events.support import START, US, text

Row = dict[str, Any]


@dataclass
class Stored:
    """The events of one day; rows have the hashes of their distinct_id and id as `h` and `u`, which no answer shows.

    Attributes:
        cap: the most rows of an answer.
        largest: a range of more events is too slow.
        meanwhile: called before each question; may add and take away events.
    """

    rows: list[Row]
    cap: int = 100
    largest: int | None = None
    meanwhile: Any = None
    asked: list[Query] = field(default_factory=list)
    counted: int = 0

    def ask(self, query: Query) -> Page:
        self.asked.append(query)
        assert len(self.asked) < 5_000, "it does not get on"
        if self.meanwhile:
            self.meanwhile(self)
        found = self._found(query)
        if self.largest is not None and len(found) > self.largest:
            raise TooSlow
        found.sort(key=lambda row: row["at"], reverse=True)
        shown = [{name: row[name] for name in ("id", "event", "distinct_id", "timestamp")} for row in found[: self.cap]]
        return Page(shown, len(found) < self.cap)

    def count(self, query: Query, by: ByHash | None) -> Mapping[Any, int]:
        self.counted += 1
        found = self._found(query)
        if by is None:
            return Counter(row["event"] for row in found)
        return Counter(row["h" if by.column == "distinct_id" else "u"] // by.width for row in found)

    def _found(self, query: Query) -> list[Row]:
        return [
            row
            for row in self.rows
            if query.start <= row["at"] < query.end
            and within(row, query)
            and row["id"] not in query.unlike
            and query.names.may_have(row["event"])
            and (query.arrived_from is None or row["created"] >= query.arrived_from)
        ]


def within(row: Row, query: Query) -> bool:
    key = row["event"].encode(), row["h"], row["u"]
    low, high = query.keys.low, query.keys.high
    return (low is None or low.order() <= key) and (high is None or key < high.order())


NAMES = [
    "$pageview",
    "$autocapture",
    "",
    "a",
    "a\x01",
    "ab",
    "b'",
    "c\\",
    "{d}",
    "é",
    "😀",
    "\uffee",
    "x" * 200,
    "Z",
    "~",
]


def random_rows(rng: random.Random, number: int) -> list[Row]:
    """Rows of a day with few names or many, of one distinct_id or many, whose hashes are spread or crowded."""
    names = rng.sample(NAMES, rng.randint(1, len(NAMES)))
    weights = [rng.random() ** 4 + 0.001 for _ in names]
    hashes = [rng.choice((0, 1, HASHES - 1, rng.randrange(HASHES), rng.randrange(1000))) for _ in range(9)]
    crowd = rng.choice((0.0, 0.0, 0.5, 0.95, 1.0))
    moments = rng.choice((1, 50, 86_400_000_000))
    rows = []
    for place in range(number):
        h = rng.choice(hashes) if rng.random() < crowd else rng.randrange(HASHES)
        u = rng.choice((rng.randrange(HASHES), rng.randrange(HASHES), rng.randrange(3), HASHES - 1 - rng.randrange(3)))
        at = START + rng.randrange(moments) * US
        rows.append(new_row(f"{rng.choice('ab')}{place}", rng.choices(names, weights)[0], h, u, at))
    copies = [dict(row) for row in rng.choices(rows, k=rng.choice((0, 0, 1, 5)))] if rows else []
    return rows + copies


def new_row(id: str, event: str, h: int, u: int, at: datetime) -> Row:
    created = at + timedelta(seconds=1)
    return {
        "id": id,
        "event": event,
        "distinct_id": f"d{h}",
        "timestamp": text(at),
        "at": at,
        "h": h,
        "u": u,
        "created": created,
    }


def keys_of(rows: list[Row]) -> set[Any]:
    return {identity(row) for row in rows}
