"""How a project's time is cut into windows, and how empty history is skipped."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar

from source_posthog.events.instants import EARLIEST, instant
from source_posthog.events.ledger import Ledger

T = TypeVar("T")
Range = tuple[datetime, datetime]

# An empty window moves the state only when it ended this long ago: events of the last hours may still be on their way.
SETTLING = timedelta(days=1)

# PostHog refuses a range of more than 366 days.
LONGEST_QUESTION = timedelta(days=365)


@dataclass(frozen=True)
class Plan:
    """The windows of a stream, as its manifest declares them: half-open, `step` long, from `start` to `end`.

    Attributes:
        start: None where nothing bounds them but the state.
        lookback: how much before the state's timestamp is read again.
    """

    start: datetime | None
    end: datetime
    step: timedelta
    lookback: timedelta

    def start_of(self, timestamp: datetime | None) -> datetime | None:
        """Where reading begins for a project whose state is at `timestamp`; None where nothing says so."""
        if timestamp is None:
            return self.start
        begin = max(timestamp, EARLIEST) - self.lookback
        return begin if self.start is None else max(self.start, begin)


def lay_out(ledger: Ledger, project: str, plan: Plan, *, keep_since: bool = True) -> Iterator[Range]:
    """Plan the reading of `project` in `ledger`, and give its windows in the order in which to read them.

    From the state's timestamp on (less the lookback), or from the start where there is none. Where start_date was moved
    before what the state covers, the range between is read as well, newest window first, so that `since` can follow.

    `keep_since`: write into the state where the covered range begins. An entry that does not say (of an earlier
    version) is taken to begin at the start.
    """
    text, since = ledger.timestamp(project), ledger.since(project) if keep_since else None
    timestamp = instant(text) if text else None
    start = plan.start_of(timestamp)
    if start is None:
        return iter(())
    begins = None  # where the covered range begins as of now, if that changes
    backfill: Iterator[Range] = iter(())
    if keep_since and plan.start is not None:
        # Where start_date cuts off the lookback, what arrives late before it is not looked for: nor is it covered.
        if since is None or timestamp is None or since <= plan.start == start:
            begins = plan.start
        elif plan.start < since:
            start = max(start, since)
            ledger.plan_backfill(project, plan.start, since)
            backfill = reversed(list(cut(plan.start, since, plan.step)))
    ledger.plan(project, start, plan.end, plan.end - SETTLING, begins)
    return chain(cut(start, plan.end, plan.step), backfill)


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
