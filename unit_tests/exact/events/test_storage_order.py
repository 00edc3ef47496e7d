"""A day that is read in the order of storage: every event once, whatever its keys and whatever happens meanwhile."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from source_posthog.exact.errors import TooSlow, Uncut, UntrueAnswer
from source_posthog.exact.events.names import Names
from source_posthog.exact.events.port import HASHES, Cut, Keys, Page, Query, identity
from source_posthog.exact.events.storage_order import (
    BUCKETS,
    LONGEST_SEGMENT,
    Part,
    cuts_by_name,
    ranges,
    read_day,
    segments,
)
from tools.proof import cases
from unit_tests.exact.events.stored import NAMES, Stored, keys_of, new_row, random_rows
from unit_tests.exact.events.support import DAY, HOUR, START, US

DAYS = cases("WINDOWS", 500, 10_000)
TODAY = Query(7, START, START + DAY)


def read(stored: Stored, query: Query = TODAY, rows: int | None = None) -> list[Part]:
    return list(read_day(query, stored.ask, stored.count, lambda: rows or stored.cap))


def emitted(parts: list[Part]) -> Counter[object]:
    return Counter(identity(row) for part in parts for row in part.rows)


# --- random days


@pytest.mark.parametrize("seed", range(10))
def test_every_event_of_a_random_day_is_read_once(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(DAYS // 10):
        stored = Stored(random_rows(rng, rng.randrange(400)), cap=rng.randint(10, 120))
        few = Names(frozenset(rng.sample(NAMES, 4)), left_out=rng.random() < 0.5)
        names = rng.choice((Names(), few))
        parts = read(stored, replace(TODAY, names=names))
        assert emitted(parts) == Counter(keys_of([row for row in stored.rows if names.may_have(row["event"])]))
        assert parts[-1].reached is None
        places = [part.reached.order() for part in parts[:-1] if part.reached]
        assert places == sorted(places)


@pytest.mark.parametrize("seed", range(5))
def test_a_day_is_gone_on_with_from_wherever_it_was_left(seed: int) -> None:
    rng = random.Random(f"left {seed}")
    for _ in range(DAYS // 20):
        stored = Stored(random_rows(rng, rng.randrange(1, 300)), cap=rng.randint(10, 60))
        parts = read(stored)
        stop = rng.randrange(len(parts))
        first, reached = parts[: stop + 1], parts[stop].reached
        rest = read(stored, replace(TODAY, keys=Keys(reached))) if reached else []
        assert emitted(first) + emitted(rest) == Counter(keys_of(stored.rows))


@pytest.mark.parametrize("seed", range(5))
def test_what_was_there_all_the_time_is_read_once_whatever_arrives_or_goes(seed: int) -> None:
    rng = random.Random(f"meanwhile {seed}")
    for _ in range(DAYS // 20):
        rows = random_rows(rng, rng.randrange(50, 300))
        gone: list[object] = []

        def change(stored: Stored, rng: random.Random = rng, gone: list[object] = gone) -> None:
            if stored.rows and rng.random() < 0.3:
                at = START + rng.randrange(86_400) * timedelta(seconds=1)
                key = rng.choice(NAMES), rng.randrange(HASHES), rng.randrange(HASHES)
                stored.rows.append(new_row(f"new {len(stored.asked)}", *key, at))
            if stored.rows and rng.random() < 0.3:
                gone.append(identity(stored.rows.pop(rng.randrange(len(stored.rows)))))

        there, stored = keys_of(rows), Stored(rows, cap=rng.randint(10, 60), meanwhile=change)
        found = emitted(read(stored))
        assert set(found.values()) <= {1}
        assert there - set(gone) <= set(found)


def test_a_server_that_is_too_slow_for_many_is_asked_for_fewer() -> None:
    rng = random.Random("slow")
    for _ in range(max(DAYS // 50, 5)):
        stored = Stored(random_rows(rng, 300), cap=200, largest=rng.randint(7, 60))
        try:
            parts = read(stored)
        except TooSlow:
            keys = Counter((row["event"], row["h"], row["u"]) for row in stored.rows)
            assert max(keys.values()) > (stored.largest or 0)
            continue
        assert emitted(parts) == Counter(keys_of(stored.rows))


# --- ranges


@pytest.mark.parametrize("seed", range(20))
def test_ranges_hold_every_key_once(seed: int) -> None:
    rng = random.Random(seed)
    names = {name: rng.choice((1, 10, 500, 10_000)) for name in rng.sample(NAMES, 9)}
    found = ranges(Keys(), cuts_by_name(Keys(), names, 100.0))
    assert found[0].low is None
    assert found[-1].high is None
    assert all(one.high == other.low for one, other in pairwise(found))
    orders = [one.high.order() for one in found if one.high]
    assert orders == sorted(set(orders))
    assert len(found) < 2 + sum(1 + number // 50 for number in names.values())


def test_names_fill_one_range_after_the_other_and_only_small_ones_are_not_cut() -> None:
    assert cuts_by_name(Keys(), {"a": 40, "b": 40}, 100.0) == []
    assert cuts_by_name(Keys(), {"a": 80, "b": 40}, 100.0) == [Cut("b", HASHES // 2)]
    assert cuts_by_name(Keys(), {"a": 95, "b": 10}, 100.0) == [Cut("b")]
    assert cuts_by_name(Keys(), {"a": 400, "b": 5}, 100.0) == [
        *(Cut("a", place * HASHES // 4) for place in (1, 2, 3)),
        Cut("b"),
    ]


def test_names_are_in_the_order_of_their_bytes() -> None:
    names = ["\uffee", "😀", "Z", "a"]  # in Python's order of characters the emoji comes last as well, not in UTF-16's
    assert [cut.event for cut in cuts_by_name(Keys(), dict.fromkeys(names, 100), 100.0)] == ["a", "\uffee", "😀"]


def test_names_that_cannot_be_sent_are_no_place_to_cut() -> None:
    assert cuts_by_name(Keys(), {"a\ud800": 100, "b\ufffd": 100, "b\0": 100, "c": 80, "d": 40}, 100.0) == [
        Cut("d", HASHES // 2)
    ]


def test_a_day_of_many_events_with_a_name_that_cannot_be_sent_is_not_read_in_this_order() -> None:
    stored = Stored([new_row(str(n), "b\ufffd", n, n, START + n * US) for n in range(50)], cap=20)
    with pytest.raises(Uncut):
        read(stored)


def test_one_busy_distinct_id_takes_few_questions() -> None:
    busy = [new_row(f"a{n}", "x", 12345, n * 10**15, START + n * US) for n in range(1_000)]
    others = [new_row(f"b{n}", "x", n * HASHES // 500, n, START + n * US) for n in range(500)]
    stored = Stored(busy + others, cap=100)
    assert emitted(read(stored)) == Counter(keys_of(stored.rows))
    assert len(stored.asked) + stored.counted < 90


def test_more_copies_of_an_event_than_fit_a_page_are_one() -> None:
    stored = Stored([new_row("a", "x", 5, 5, START)] * 150 + [new_row("b", "x", 5, 5, START)], cap=100)
    assert emitted(read(stored)) == Counter(keys_of(stored.rows))


def test_copies_of_one_key_do_not_move_the_place_until_all_are_read() -> None:
    stored = Stored([new_row("a", "x", 5, 5, START)] * 150 + [new_row("b", "x", 5, 5, START)], cap=100)
    reached = [part.reached for part in read(stored) if part.rows]
    assert reached[0] == Cut("x", 5, 5)


def test_what_is_asked_for_next_is_told_ahead() -> None:
    stored, told = Stored(random_rows(random.Random(1), 400), cap=60), list[Query]()
    list(read_day(TODAY, stored.ask, stored.count, lambda: 60, told.append))
    assert set(stored.asked[1:]) >= {one for one in told if one in stored.asked}
    assert len({*told} & {*stored.asked}) > 3


def test_rows_that_grow_have_the_rest_of_the_day_planned_anew() -> None:
    rows = [new_row(f"{n}", "x", n * HASHES // 1000, n, START + n * US) for n in range(1_000)]
    stored = Stored(rows, cap=200)

    def room() -> int:
        stored.cap = 200 if len(stored.asked) < 2 else 20
        return stored.cap

    assert emitted(list(read_day(TODAY, stored.ask, stored.count, room))) == Counter(keys_of(rows))
    assert stored.counted == 2


# --- answers that cannot be believed


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"event": "z"}, "outside of the requested range"),
        ({"timestamp": "2026-03-01T00:00:00+00:00"}, "outside the requested range"),
    ],
)
def test_a_row_that_was_not_asked_for_is_refused(row: dict[str, str], reason: str) -> None:
    given = {"id": "1", "event": "a", "distinct_id": "d", "timestamp": "2026-01-01T00:00:00+00:00", **row}
    query = replace(TODAY, keys=Keys(None, Cut("b")))
    with pytest.raises(UntrueAnswer, match=reason):
        list(read_day(query, lambda _: Page([given], True), lambda *_: {}, lambda: 10))


def test_a_row_whose_name_is_shown_by_other_signs_is_taken() -> None:
    given = {"id": "1", "event": "\ufffd", "distinct_id": "d", "timestamp": "2026-01-01T00:00:00+00:00"}
    query = replace(TODAY, keys=Keys(None, Cut("b")))
    (part,) = read_day(query, lambda _: Page([given], True), lambda *_: {}, lambda: 10)
    assert part.rows == [given]


def test_more_where_nothing_is_counted_is_no_answer() -> None:
    given = {"id": "1", "event": "a", "distinct_id": "d", "timestamp": "2026-01-01T00:00:00+00:00"}
    with pytest.raises(UntrueAnswer, match="PostHog counts no event"):
        list(read_day(TODAY, lambda _: Page([given], False), lambda *_: {}, lambda: 10))


def test_a_server_that_is_too_slow_for_a_range_without_events_has_told_no_lie() -> None:
    def ask(_: Query) -> Page:
        raise TooSlow

    with pytest.raises(TooSlow, match="cannot be cut"):
        list(read_day(TODAY, ask, lambda *_: {}, lambda: 10))


def test_names_that_are_not_those_of_the_range_make_it_be_read_by_time() -> None:
    given = {"id": "1", "event": "a", "distinct_id": "d", "timestamp": "2026-01-01T00:00:00+00:00"}
    query = replace(TODAY, keys=Keys(None, Cut("b")))
    with pytest.raises(Uncut):
        list(read_day(query, lambda _: Page([given], False), lambda _, by: {} if by else {"zz": 50}, lambda: 10))


def test_a_server_that_ignores_the_range_ends_in_an_error_and_not_in_a_loop() -> None:
    stored = Stored([new_row(f"{n}", "x", n, n, START + n * US) for n in range(50)], cap=20)
    with pytest.raises((UntrueAnswer, Uncut)):
        list(read_day(TODAY, lambda query: stored.ask(TODAY), stored.count, lambda: 20))


# --- segments


@pytest.mark.parametrize("seed", range(50))
def test_segments_follow_on_each_other_and_dense_days_stand_alone(seed: int) -> None:
    rng = random.Random(seed)
    start = START + rng.randrange(24) * HOUR
    end = start + rng.randrange(1, 900) * DAY - rng.randrange(10) * HOUR
    days = {
        (START + n * DAY).date(): rng.choice((0, 0, 1, 30, 90, 101, 5_000)) for n in range(900) if rng.random() < 0.5
    }
    found = list(segments(start, end, days, 100))
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(one.end == other.start for one, other in pairwise(found))
    for one in found:
        number = sum(
            days.get(one.start.date() + timedelta(days=n), 0)
            for n in range((one.end - US - one.start).days + 2)
            if one.start.date() + timedelta(days=n) <= (one.end - US).date()
        )
        assert one.is_dense == (number > 100)
        assert not one.is_dense or (one.end - US).date() == one.start.date()
        assert one.end - one.start <= LONGEST_SEGMENT


def test_sparse_days_are_packed() -> None:
    days = {date(2026, 1, 1 + n): 20 for n in range(30)}
    assert len(list(segments(START, START + 30 * DAY, days, 100))) == 8
    assert len(list(segments(START, START + 365 * DAY, {}, 100))) == 1
    assert len(list(segments(START, START + 800 * DAY, {}, 100))) == 3
    assert BUCKETS > 1
