"""Recordings are read exactly from any list that is newest first, whatever it hides, moves, cuts and clamps."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.events.windows import cut
from source_posthog.exact.instants import instant
from source_posthog.exact.recordings import LEAST_PAGE, RecordingPages

START = datetime(2026, 6, 1, tzinfo=timezone.utc)
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)


@dataclass
class Recordings:
    """A list of recordings, (id, begins, ends, is deleted), which shows of each what lies within the bounds."""

    rows: list[tuple[int, datetime, datetime, bool]]
    rng: random.Random
    cap: int

    def page(self, pages: RecordingPages, limit: int) -> tuple[list[tuple[str | int, datetime]], bool]:
        asked = pages.asked()
        after, before = instant(asked["date_from"]), instant(asked["date_to"])
        shown = [(max(row[1], after), row) for row in self.rows if row[2] >= after and row[1] <= before]
        self.rng.shuffle(shown)
        shown.sort(key=lambda one: one[0], reverse=True)
        offset = int(asked.get("offset", 0))
        stop = offset + min(limit, self.cap)
        return [(row[0], at) for at, row in shown[offset:stop] if not row[3]], stop < len(shown)

    def read(self, start: datetime, end: datetime, limit: int) -> list[str | int]:
        got: list[str | int] = []
        for window in cut(start, end, WEEK):
            pages = RecordingPages(*window)
            while pages.offset is not None:
                rows, has_next = self.page(pages, limit)
                got += pages.add(rows, limit, has_next)
        return got


def some(rng: random.Random, number: int, deleted: float) -> list[tuple[int, datetime, datetime, bool]]:
    """Recordings of three weeks, of which some share their instant, and some cross the bounds of windows."""
    rows = []
    for id in range(number):
        begins = START + rng.choice((rng.randrange(21 * 24) * HOUR, rng.randrange(4) * WEEK))
        rows.append((id, begins, begins + rng.random() * 23 * HOUR, rng.random() < deleted))
    return rows


@pytest.mark.parametrize("seed", range(300))
def test_every_recording_of_the_range_comes_once(seed: int) -> None:
    rng = random.Random(seed)
    rows = some(rng, rng.choice((0, 3, 40, 150)), 0.0)
    # A server gives LEAST_PAGE rows at least; so many never begin at one instant here.
    rows = [row for row in rows if sum(row[1] == other[1] for other in rows) < LEAST_PAGE - 1]
    start, end = START + rng.randrange(9) * HOUR, START + WEEK * rng.choice((1, 2, 3))
    list_ = Recordings(rows, rng, cap=rng.choice((LEAST_PAGE, 33, 1000)))
    got = list_.read(start, end, limit=rng.choice((LEAST_PAGE, 50, 100)))
    assert sorted(map(int, got)) == [id for id, begins, _, _ in rows if start <= begins < end]


@pytest.mark.parametrize("seed", range(100))
def test_deleted_ones_make_pages_short_or_empty_and_hide_no_other(seed: int) -> None:
    rng = random.Random(seed)
    rows = [
        (id, START + id * HOUR / 2, START + id * HOUR / 2 + HOUR, rng.random() < 0.6 or 90 < id < 140)
        for id in range(200)
    ]
    got = Recordings(rows, rng, cap=1000).read(START, START + WEEK, limit=rng.choice((10, LEAST_PAGE, 35)))
    assert sorted(map(int, got)) == [id for id, _, _, is_deleted in rows if not is_deleted]


def test_a_page_that_begins_at_one_instant_throughout_is_followed_by_the_next() -> None:
    rows = [(id, START, START + HOUR, False) for id in range(50)]
    pages = RecordingPages(START, START + WEEK)
    list_ = Recordings(rows, random.Random(1), cap=1000)
    offsets = []
    while pages.offset is not None:
        offsets.append(pages.offset)
        rows_of_page, has_next = list_.page(pages, 20)
        pages.add(rows_of_page, 20, has_next)
    assert offsets == [0, 20, 40]


@pytest.mark.parametrize("days", [-3, 10])
def test_a_recording_far_from_what_was_asked_for_shows_that_the_bounds_were_not_known(days: int) -> None:
    pages = RecordingPages(START, START + WEEK)
    with pytest.raises(UntrueAnswer, match=r"the recording a of 2026-.* is not in the range that was asked for"):
        pages.add([("a", START + timedelta(days=days))], 20, False)
