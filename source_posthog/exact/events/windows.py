"""How a project's time is cut into windows, and how empty history is skipped."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import chain
from typing import TypeVar

from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.instants import EARLIEST, MILLISECOND, instant

T = TypeVar("T")
Range = tuple[datetime, datetime]

# An empty window moves the state only when it ended this long ago: events of the last hours may still be on their way.
SETTLING = timedelta(days=1)

# PostHog refuses a range of more than 366 days.
LONGEST_QUESTION = timedelta(days=365)


@dataclass(frozen=True)
class Window:
    """A range [start, end) of a project's time to read; `arrived_from` as in `Query`."""

    start: datetime
    end: datetime
    arrived_from: datetime | None = None


@dataclass(frozen=True)
class Plan:
    """The windows of a stream, as its manifest declares them: half-open, `step` long, from `start` to `end`.

    Attributes:
        start: None where nothing bounds them but the state.
        end: no event at or after it is read, late ones included.
        present: when the sync began, by the server's clock.
        lookback: how much before the state's timestamp is read again; with `late`, how much before the last sync's
            start an event may have arrived and not be visible yet.
        late: so far before the state's timestamp events are looked for that arrived since the last sync; none is where
            that is zero.
    """

    start: datetime | None
    end: datetime
    present: datetime
    step: timedelta
    lookback: timedelta
    late: timedelta = timedelta(0)

    @property
    def settled(self) -> datetime:
        """Up to here an empty window moves the state."""
        return self.present - SETTLING

    def start_of(self, timestamp: datetime | None) -> datetime | None:
        """Where reading begins for a project whose state is at `timestamp`; None where nothing says so."""
        if timestamp is None:
            return self.start
        begin = timestamp if self.late else max(timestamp, EARLIEST) - self.lookback
        return begin if self.start is None else max(self.start, begin)


def lay_out(ledger: Ledger, project: str, plan: Plan, *, by_hand: bool = False) -> Iterator[Window]:
    """Plan the reading of `project` in `ledger`, and give its windows in the order in which to read them.

    From the state's timestamp on, or from the start where there is none. `by_hand`: write nothing but timestamps into
    the state.
    """
    if not by_hand and plan.start is not None:
        ledger.turn_to(project, plan.end)
    text = ledger.timestamp(project)
    timestamp = instant(text) if text else None
    start = plan.start_of(timestamp)
    if start is None:
        return iter(())
    if by_hand or plan.start is None:
        ledger.plan(project, start, plan.end, plan.settled)
        return _windows(start, plan.end, plan.step)
    if timestamp is None:
        ledger.plan(project, start, plan.end, plan.settled, plan.start, plan.present)
        return _windows(start, plan.end, plan.step)
    return _resumed(ledger, project, plan, plan.start, timestamp)


def _resumed(ledger: Ledger, project: str, plan: Plan, start_date: datetime, timestamp: datetime) -> Iterator[Window]:
    """The windows of a project whose state is at `timestamp`: first what arrived late before it, then all that is new,
    then the backfill.

    An entry that does not say since when it covers (of an earlier version) is taken to begin at the start, and one that
    does not say when its last sync began, to have begun at its timestamp. An instant in the future does not say it: the
    state was edited, or written when a clock was ahead.
    """
    if (stated := ledger.arrived(project)) and stated > plan.present:
        ledger.forget_arrived(project)
    since, start = ledger.since(project), plan.start_of(timestamp) or timestamp
    backfill: Iterator[Window] = iter(())
    if since is not None and start_date < since:
        start = max(start, since)
        backfill = _backfill(ledger, project, plan, start_date, since)
    looked_from = _late_start(plan, start, timestamp, max(start_date, since or start_date))
    is_new = start_date > timestamp
    # Where start_date cuts off what is looked for before the timestamp, late events before it are not covered.
    begins = start_date if is_new or since is None or since <= start_date == looked_from else None
    late = list(_late(ledger, project, plan, looked_from, timestamp, begins))
    if late:
        arrived: datetime | None = None if ledger.arrived(project) else timestamp
    else:  # all that the state covers then is read in this sync, unless nobody looks for late events
        arrived = plan.present if is_new or plan.late else None
    ledger.plan(project, start, plan.end, plan.settled, begins, arrived)
    return chain(late, _windows(start, plan.end, plan.step), backfill)


def _backfill(ledger: Ledger, project: str, plan: Plan, start_date: datetime, since: datetime) -> Iterator[Window]:
    """The windows before what the state covers, where start_date was moved there: newest first, so that `since` can
    follow."""
    ledger.plan_backfill(project, start_date, since)
    return reversed(list(_windows(start_date, since, plan.step)))


def _late(
    ledger: Ledger, project: str, plan: Plan, start: datetime, timestamp: datetime, begins: datetime | None
) -> Iterator[Window]:
    """The window of what arrived since the last sync for the time before the timestamp, from `start` on, if any.

    Where an end_date lies before the timestamp, what arrived late before it is emitted, and the state stays: without
    that end, the next sync finds all that arrived since. Where it lies before all that the entry covers, or that begins
    in the future, all of this goes by the entry's `before`.
    """
    end = min(timestamp, plan.end)
    if not plan.late or start >= end:
        return
    known = ledger.arrived(project) or timestamp
    # Where the end cuts something off, late events there are not looked for, so that `arrived` stays.
    ledger.plan_late(project, start, end, plan.present if end == timestamp else known, begins)
    yield Window(start, end, max(known, EARLIEST) - plan.lookback)


def _late_start(plan: Plan, start: datetime, timestamp: datetime | None, least: datetime) -> datetime:
    """From where on late events are looked for; `start` where nowhere before it."""
    if timestamp is None or not plan.late:
        return start
    return min(start, max(least, max(timestamp, EARLIEST) - plan.late))


def _windows(start: datetime, end: datetime, step: timedelta) -> Iterator[Window]:
    return (Window(*bounds) for bounds in cut(start, end, step))


def cut(start: datetime, end: datetime, step: timedelta) -> Iterator[Range]:
    """The windows of [start, end), oldest first; each begins where the one before ended."""
    while start < end:
        stop = min(start + step, end)
        yield start, stop
        start = stop


def in_turns(series: Iterable[Iterator[T]]) -> Iterator[T]:
    """One of each of `series`, then the next of each, until all are at their end."""
    waiting = deque(series)
    while waiting:
        one = waiting.popleft()
        for item in one:
            yield item
            waiting.append(one)
            break


def is_long(start: datetime, end: datetime, step: timedelta) -> bool:
    """Whether asking for the first event of [start, end) takes fewer requests than reading it may."""
    end -= SETTLING
    return (end - start) / step >= 3 * (1 + (end - start) / LONGEST_QUESTION)


def last_event(
    start: datetime, end: datetime, step: timedelta, newest: Callable[[datetime, datetime], datetime | None]
) -> datetime:
    """The instant from which on [start, end) holds nothing but what its last day (`SETTLING`) may hold.

    `newest` as in `first_event`. The last days are asked for first: there it costs the server little to find one.
    What is left after the event that was found is asked for only if that saves windows of `step`.
    """
    stop, length = end - SETTLING, SETTLING
    while start < stop:
        begin = max(start, stop - length)
        last = newest(begin, stop)
        if last is not None:
            after = last + MILLISECOND  # it may be shown more coarsely than it is stored
            is_worth_it = begin < after < stop - 2 * step
            return after if is_worth_it and newest(after, stop) is None else stop
        stop, length = begin, LONGEST_QUESTION
    return start


def first_event(
    start: datetime,
    end: datetime,
    oldest: Callable[[datetime, datetime], datetime | None],
    newest: Callable[[datetime, datetime], datetime | None],
) -> datetime:
    """The instant before which [start, end) holds nothing, as far as a few questions can prove it.

    `oldest` and `newest` ask for the instant of one event of a range, None where it holds none. The last day is never
    skipped (`SETTLING`).
    """
    end -= SETTLING
    while start < end:
        stop = min(start + LONGEST_QUESTION, end)
        first = oldest(start, stop)
        if first is not None:
            # A server that does not know the order gives the newest event, with others before it.
            is_first = start < first < stop and newest(start, first) is None
            return first if is_first else start
        start = stop
    return max(start, end)


def empty_ends(
    start: datetime,
    end: datetime,
    days: Mapping[date, int],
    newest: Callable[[datetime, datetime], datetime | None],
) -> Range:
    """The instants before which and from which on [start, end) holds nothing: where PostHog counts none in `days`, and
    has none. The last day is never skipped (`SETTLING`).

    `newest` as in `first_event`: what is counted is no proof, so the empty ends are asked for as well.
    """
    end = max(start, end - SETTLING)
    counted = sorted(datetime(day.year, day.month, day.day, tzinfo=timezone.utc) for day in days if days[day])
    first = min(max(counted[0], start), end) if counted else end
    last = max(min(counted[-1] + timedelta(days=1), end), first) if counted else end
    questions = [*cut(start, first, LONGEST_QUESTION)]
    if any(newest(*one) is not None for one in questions):
        first = start
    if any(newest(*one) is not None for one in cut(last, end, LONGEST_QUESTION)):
        last = end
    return first, last
