"""Reads a dense day in the order in which PostHog stores it, so that each byte of it is read about once.

Within a UTC day events are stored by name, then by the hash of their distinct_id, then by the hash of their id. A page
by time reads the whole day; a range of that order reads its own bytes only (docs/posthog-server.md, "What a query
costs").

    for part in read_day(Query(7, start, end), ask, count, rows):
        emit(part.rows)
        ledger.cover_in_part("7", HalfDay(start, end, part.reached, ...), len(part.rows))

What PostHog counts is used to choose the ranges and never believed: together they hold every key that there can be, and
a range is read when its answer is complete; until then it is cut again.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from source_posthog.exact.errors import TooSlow, Uncut, UntrueAnswer
from source_posthog.exact.events.port import HASHES, Ask, Cut, Keys, Page, Query, Row
from source_posthog.exact.events.reading import fresh_rows, instants_of
from source_posthog.exact.query_api import BROKEN

# How full a range is planned to be: hashes spread evenly, but not quite, and events arrive meanwhile.
FILLING = 0.9
# So many ranges are asked for while another one is emitted; with it, as many queries of a project as may run at once.
AHEAD = 2
# Into so many equal ranges a range of hashes is cut of which nothing is known.
BUCKETS = 1024
SMALL = 8  # a name of fewer than one in so many events of a range is not cut
NUL = "\0"  # HogQL leaves it out of strings
# No question spans more time; PostHog refuses a range of more than 366 days.
LONGEST_SEGMENT = timedelta(days=365)


@dataclass(frozen=True)
class ByHash:
    """A count of events by buckets of hashes: of their distinct_ids, or of the ids of one distinct_id.

    Attributes:
        column: "distinct_id" or "uuid".
        width: hashes to a bucket, which has the number hash // width.
    """

    column: str
    width: int


# Counts the events of a query: by name where there is no ByHash, else by the number of the bucket.
Count = Callable[[Query, ByHash | None], Mapping[Any, int]]


@dataclass
class Part:
    """Rows to emit now. Once that is done, all events of the day before `reached` are emitted.

    Attributes:
        reached: None at the end of the day.
        newest: the timestamp of the newest row, as the server wrote it; None if there is none.
    """

    rows: list[Row]
    reached: Cut | None
    newest: str | None


@dataclass(frozen=True)
class Segment:
    """A range [start, end) of time with few events, or where it `is_dense` a day, or a part of one, with many."""

    start: datetime
    end: datetime
    is_dense: bool


def segments(start: datetime, end: datetime, days: Mapping[date, int], rows: int) -> Iterator[Segment]:
    """[start, end), both in UTC, in segments, oldest first: of days that have about `rows` together, and dense ones.

    `days`: how many events the days have, as far as is known.
    """
    begin, filled, at = start, 0, start
    while at < end:
        stop = min(at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1), end)
        number = days.get(at.date(), 0)
        if begin < at and (filled + number > FILLING * rows or stop - begin > LONGEST_SEGMENT):
            yield Segment(begin, at, is_dense=False)
            begin, filled = at, 0
        filled += number
        at = stop
        if filled > rows:
            yield Segment(begin, at, is_dense=True)
            begin, filled = at, 0
    if begin < end:
        yield Segment(begin, end, is_dense=False)


def read_day(
    query: Query, ask: Ask, count: Count, rows: Callable[[], int], ahead: Callable[[Query], None] = lambda _: None
) -> Iterator[Part]:
    """Every event of `query`, a range within one UTC day, from its lowest key to its highest.

    `rows`: so many are asked for at a time. `ahead`: takes what is going to be asked for soon.

    Raises Uncut where that is not possible, UntrueAnswer where an answer cannot be believed, TooSlow where the server
    is too slow for a range that cannot be cut, and whatever `ask` and `count` raise.
    """
    rest, room, planned = query.keys, 0.0, deque[Keys]()
    while True:
        if not room / 2 <= FILLING * rows() <= 2 * room:  # rows are larger or smaller than they seemed
            room = FILLING * rows()
            planned = deque(ranges(rest, cuts_by_name(rest, count(replace(query, keys=rest), None), room)))
        part = replace(query, keys=planned.popleft())
        for following in [*planned][:AHEAD] if rest != query.keys else ():  # the first page shows how large rows are
            ahead(replace(query, keys=following))
        page = _page(part, ask)
        if page is not None and page.complete:
            yield _part(part, page)
        elif cuts := _cuts_again(part, page, count, FILLING * rows()):
            smaller = ranges(part.keys, cuts)
            if len(smaller) == 1:  # the names that PostHog shows are not those by which it compares
                raise Uncut
            planned.extendleft(reversed(smaller))
            continue
        elif page is None:
            raise TooSlow("it is too slow for a range that cannot be cut")
        else:
            yield from _copies(part, page, ask)
        if not planned:
            return
        rest = Keys(part.keys.high, query.keys.high)


def ranges(keys: Keys, cuts: Iterable[Cut]) -> list[Keys]:
    """`keys`, cut at those of `cuts` that lie within: each range begins where the one before ends."""
    inside = sorted({cut for cut in cuts if keys.has_inside(cut)}, key=Cut.order)
    lows: list[Cut | None] = [keys.low, *inside]
    return [Keys(low, high) for low, high in zip(lows, [*inside, keys.high], strict=True)]


def cuts_by_name(keys: Keys, names: Mapping[str, int], room: float, *, by_whole_names: bool = False) -> list[Cut]:
    """Where to cut `keys`, so that the ranges have about `room` events each. A name of more is cut by hashes, which
    spread evenly over the distinct_ids, though one of these can have many events.

    `by_whole_names`: cut no name.
    """
    cuts: list[Cut] = []
    filled = 0.0
    for name in sorted(filter(_is_place, names), key=str.encode):
        number, start, end = names[name], *_hashes(keys, name)
        if filled + number > room and (by_whole_names or number <= room / SMALL):
            cuts.append(Cut(name))
            filled = 0.0
        done = 0.0
        while filled + number - done > room and not by_whole_names:
            done += room - filled
            cuts.append(Cut(name, start + int((end - start) * (done / number))))
            filled = 0.0
        filled += number - done
    return [cut for cut in cuts if keys.has_inside(cut)]


def _hashes(keys: Keys, name: str) -> tuple[int, int]:
    """From which hash of a distinct_id to which `keys` has events of `name`."""
    start = keys.low.distinct_id if keys.low and keys.low.event == name else 0
    is_cut = keys.high is not None and keys.high.event == name
    end = keys.high.distinct_id + (keys.high.uuid > 0) if keys.high and is_cut else HASHES
    return start, min(end, HASHES)


def _is_place(name: str) -> bool:
    """Whether `name` is a place to cut. One that HogQL has no string for, or that is shown by other signs than it has,
    is not: its events are read with those around it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return BROKEN not in name and NUL not in name


def _page(part: Query, ask: Ask) -> Page | None:
    """The page of `part`; None where the server is too slow for it."""
    try:
        return ask(part)
    except TooSlow:
        return None


def _part(part: Query, page: Page) -> Part:
    """The rows of `page`, each event once. Raises UntrueAnswer for one that was not asked for."""
    instants_of(part, page)
    for row in page.rows:
        if not part.keys.may_have(row.get("event")):
            raise UntrueAnswer(f"event {row['id']} has a name outside of the requested range")
    newest = page.rows[0]["timestamp"] if page.rows else None
    return Part(fresh_rows(page.rows, set()), part.keys.high, newest)


def _cuts_again(part: Query, page: Page | None, count: Count, room: float) -> list[Cut]:
    """Where to cut `part`, of which the answer, `page`, was not complete; nowhere if it has a single key, or none."""
    names = count(part, None)
    if not names and page is not None:
        raise UntrueAnswer("it says that there is more where PostHog counts no event")
    if not names:
        return []
    if cuts := cuts_by_name(part.keys, names, room, by_whole_names=True):
        return cuts
    by_size = sorted(filter(_is_place, names), key=lambda name: (names[name], name.encode()))
    if not by_size:
        raise Uncut
    name = by_size[-1]
    around = [cut for cut in (Cut(name), Cut(name, HASHES)) if part.keys.has_inside(cut)]
    return around or _cuts_by_hash(part, name, count, room)


def _cuts_by_hash(part: Query, name: str, count: Count, room: float) -> list[Cut]:
    """Where to cut `part`, whose events have the one `name`: by the hashes of their distinct_ids, or where they have a
    single one of these, by those of their ids."""
    low, high = part.keys.low or Cut(name), part.keys.high or Cut(name, HASHES)
    start, end = _hashes(part.keys, name)
    if by_ids := end - start <= 1:
        start, end = low.uuid, high.uuid if high.event == name and high.uuid else HASHES
    if end - start <= 1:
        return []
    width = -(-(end - start) // BUCKETS)
    buckets = count(part, ByHash("uuid" if by_ids else "distinct_id", width))
    cuts, filled = [], 0.0
    for bucket in sorted(buckets):
        number = buckets[bucket]
        if filled + number > room:
            cuts.append(bucket * width)
            filled = 0.0
        filled += number
        if number > room:  # by itself, and cut again
            cuts.append((bucket + 1) * width)
            filled = 0.0
    places = [place for place in cuts if start < place < end] or [(start + end) // 2]
    return [Cut(name, low.distinct_id, place) if by_ids else Cut(name, place) for place in places]


def _copies(part: Query, page: Page, ask: Ask) -> Iterator[Part]:
    """The events of the single key of `part`, more than fit `page`: copies of one event, mostly."""
    ids: tuple[str, ...] = ()
    while True:
        found = _part(replace(part, unlike=ids), page)
        yield replace(found, reached=part.keys.high if page.complete else part.keys.low)
        if page.complete:
            return
        ids += tuple({row["id"] for row in page.rows})
        page = ask(replace(part, unlike=ids))
