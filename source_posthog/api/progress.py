"""Lines for the people who watch a sync: how far it is, what each stream took, and what PostHog counts."""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.logger import PRINT_BUFFER

from source_posthog.api import clock

logger = logging.getLogger("airbyte")

# Follows a line that says that fewer events were emitted than were counted.
WHY_FEWER = (
    "PostHog counts copies of an event until it has merged them, and events can be deleted during a sync; if that does "
    "not explain it, please report it"
)


@dataclass
class Totals:
    """The events of one sync by project, without late ones; its methods are called from many threads.

    Only projects with more than a page of events are counted, and only where PostHog can count (events_api: query).
    """

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted: dict[Any, int] = field(default_factory=dict)
    _emitted: Counter[Any] = field(default_factory=Counter)
    _unread: set[Any] = field(default_factory=set)
    _resumed: set[Any] = field(default_factory=set)

    def count(self, project: Any, events: int, *, is_resumed: bool = False) -> int:
        """PostHog counts so many `events` of `project`. Returns how many the whole stream has, as far as is known.

        `is_resumed`: some of them are emitted already, of a day that an earlier sync has read in part.
        """
        with self._lock:
            self._counted[project] = events
            self._resumed |= {project} if is_resumed else set()
            uncounted = sum(rows for one, rows in self._emitted.items() if one not in self._counted)
            return sum(self._counted.values()) + uncounted

    def emit(self, project: Any, events: int) -> None:
        """So many more `events` of `project` are emitted."""
        with self._lock:
            self._emitted[project] += events

    def failed(self, project: Any) -> None:
        """`project` is not read whole, which is said elsewhere."""
        with self._lock:
            self._unread.add(project)

    def done(self) -> tuple[float, int] | None:
        """The share (0 to 1) of the counted events that is emitted, and their number; None if none are counted."""
        with self._lock:
            total = sum(self._counted.values())
            emitted = sum(min(self._emitted[project], events) for project, events in self._counted.items())
        return (emitted / total, total) if total else None

    def lines(self) -> Iterator[tuple[int, str]]:
        """A line for each counted project, with its level: a warning where fewer events came than were counted."""
        with self._lock:
            found = [(project, events, self._emitted[project]) for project, events in self._counted.items()]
            unread, resumed = set(self._unread), set(self._resumed)
        for project, counted, emitted in found:
            is_short = emitted < counted and project not in unread | resumed
            line = f"Stream events, project {project}: {counted} events counted by PostHog, {emitted} emitted"
            if project in resumed:
                line += ", and some of a day by an earlier sync"
            if is_short:
                line += f", {counted - emitted} fewer. {WHY_FEWER}"
            yield logging.WARNING if is_short else logging.INFO, line


SECONDS_BETWEEN_LINES = 60
BYTES_READ, BYTES_LEFT = "X-PostHog-Query-Bytes-Read", "X-PostHog-Query-Budget-Remaining-Bytes"
SECONDS_BETWEEN_SIGNS = 600  # of life, while all that is going on is a wait
SECONDS_WORTH_A_LINE = 30  # of waiting for our own request budget


class SyncLog:
    """Counts of one sync; its methods are called from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.totals = Totals()
        self.requests: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.waited: dict[str, float] = defaultdict(float)  # seconds
        self._waits_end: dict[str, float] = defaultdict(float)  # by stream, when the last of its waits ends
        self.records: Counter[str] = Counter()
        self.windows = self.windows_done = self.events = self.late_events = 0
        self._not_emitted: Counter[str] = Counter()
        self._read: Counter[str] = Counter()  # bytes that PostHog read for a stream, ...
        self._given: Counter[str] = Counter()  # ... and those of the answers
        self._left_of_hour: int | None = None
        self._unreadable = 0
        self._first_unreadable = ""
        self._shares: dict[tuple[Any, Any], float] = {}  # how much was read of each window that is being read
        self.projects = 0  # how many the sync covers
        self._projects_done: Counter[str] = Counter()  # by stream, of those without windows
        self._begun = self._last_sign = clock.seconds()
        self._last_lines: dict[str, float] = defaultdict(lambda: self._begun)  # of progress, by stream
        self._last_retries: dict[str, float] = defaultdict(lambda: -float(SECONDS_BETWEEN_LINES))

    def request(self, stream: str) -> None:
        with self._lock:
            self.requests[stream] += 1

    def answer(self, stream: str, response: requests.Response) -> None:
        """Count the bytes that PostHog says to have read for `response`, a good answer."""
        read, left = (response.headers.get(name, "") for name in (BYTES_READ, BYTES_LEFT))
        if not read.isdecimal():
            return
        with self._lock:
            self._read[stream] += int(read)
            self._given[stream] += len(response.content)
            self._left_of_hour = int(left) if left.lstrip("-").isdecimal() else None

    def retry(self, stream: str, seconds: float, why: str) -> None:
        """A request of `stream` is going to be sent again after `seconds`. Says so, at most once a minute."""
        with self._lock:
            self.retries[stream] += 1
            is_news = _is_due(self._last_retries, stream)
            self._wait(stream, seconds)
        if is_news:
            logger.info(f"Stream {stream}: {why}")

    def budget(self, stream: str, seconds: float) -> None:
        """A request of `stream` waits for `seconds`, since more of them would meet PostHog's throttles."""
        with self._lock:
            is_news = clock.seconds() + seconds - self._waits_end[stream] > SECONDS_WORTH_A_LINE
            self._wait(stream, seconds)
        if is_news and seconds > SECONDS_WORTH_A_LINE:
            logger.info(
                f"Stream {stream}: waiting {round(seconds)} s: the requests that PostHog's cloud allows per minute "
                "or hour are used up"
            )

    def idle(self) -> None:
        """Nothing comes at the moment.

        Shows at once what was printed last, which the CDK holds back until it prints more, and says every ten minutes
        how long the waits still take.
        """
        PRINT_BUFFER.flush()
        with self._lock:
            now = clock.seconds()
            waits = {stream: end - now for stream, end in self._waits_end.items() if end > now}
            if not waits or now - self._last_sign < SECONDS_BETWEEN_SIGNS:
                return
            self._last_sign = now
        for stream, seconds in waits.items():
            logger.info(f"Stream {stream}: still waiting, for another {max(1, round(seconds / 60))} min")

    def _wait(self, stream: str, seconds: float) -> None:
        """Count the part of the wait in which no other request of `stream` is waiting: workers wait side by side."""
        now = clock.seconds()
        end = now + seconds
        self.waited[stream] += max(0.0, end - max(now, self._waits_end[stream]))
        self._waits_end[stream] = max(end, self._waits_end[stream])

    def page(self, window: Mapping[str, Any], events: int, requests_an_hour: int | None, share: float = 0.0) -> None:
        """A page of `events` events of `window` was read, and so `share` (0 to 1) of the window's time.

        Says how far the stream is, at most once a minute. `requests_an_hour`: None where there is no such limit.
        """
        with self._lock:
            self.events += events
            self._shares[_key(window)] = share
            if not _is_due(self._last_lines, "events"):
                return
            span = f"{window['start_time']} to {window['end_time']}"
            line = (
                f"Stream events, project {window['project_id']}, window {span}: "
                f"{self.events} events in {self.requests['events']} requests so far, {self.windows_done} of "
                f"{self.windows} windows done{self._share()}{self._late()}{self._bytes('events')}"
                f"{self._left(requests_an_hour)}"
            )
        logger.info(line)

    def record(self, stream: str, project: Any) -> None:
        """A record of `stream` is emitted; `project` is None where it has none.

        Says how far the stream is, at most once a minute, but for events: `page` knows more of these.
        """
        self.records[stream] += 1
        if stream == "events" or not _is_due(self._last_lines, stream):
            return
        with self._lock:
            line = (
                f"Stream {stream}{f', project {project}' if project else ''}: {self.records[stream]} records in "
                f"{self.requests[stream]} requests so far"
                + (f", {self._projects_done[stream]} of {self.projects} projects done" if project else "")
                + self._bytes(stream)
            )
        logger.info(line)

    def project_done(self, stream: str) -> None:
        """`stream`, one without windows, is read in one more project."""
        with self._lock:
            self._projects_done[stream] += 1

    def late(self, events: int) -> None:
        """`events` events were found that arrived after an earlier sync had read their time."""
        with self._lock:
            self.late_events += events

    def not_emitted(self, stream: str) -> None:
        """A record of `stream` cannot be emitted."""
        with self._lock:
            self._not_emitted[stream] += 1

    def unreadable(self, event: Mapping[str, Any]) -> None:
        """`event` was emitted with properties that could not be read."""
        with self._lock:
            self._unreadable += 1
            self._first_unreadable = self._first_unreadable or f"event {event['id']} of project {event['project_id']}"

    def window_done(self, window: Mapping[str, Any]) -> None:
        with self._lock:
            self.windows_done += 1
            self._shares.pop(_key(window), None)

    def _share(self) -> str:
        done = self.totals.done()
        return f", {100 * done[0]:.0f} % of the {done[1]} events that PostHog counts" if done else ""

    def _left(self, requests_an_hour: int | None) -> str:
        done = self.totals.done()
        share_done = done[0] if done else self._share_of_windows()
        if not share_done:
            return ""
        share = max(0.0, 1 - share_done) / share_done
        seconds = (clock.seconds() - self._begun) * share
        if requests_an_hour:
            seconds = max(seconds, self.requests["events"] * share * 3600 / requests_an_hour)
        return f", about {max(1, round(seconds / 60))} min left"

    def _share_of_windows(self) -> float:
        return (self.windows_done + sum(self._shares.values())) / self.windows if self.windows else 0.0

    def _bytes(self, stream: str) -> str:
        if not self._read[stream]:
            return ""
        left = "" if self._left_of_hour is None else f"; {_large(self._left_of_hour)} of the hour left"
        return f", read {_large(self._read[stream])} for {_large(self._given[stream])} of {stream}{left}"

    def _late(self) -> str:
        return f", {self.late_events} late events" if self.late_events else ""

    def closing_lines(self, stream: str) -> Iterator[tuple[int, str]]:
        """What is said when `stream` ends, each line with its level."""
        if stream == "events":
            yield from self.totals.lines()
            if self._unreadable:
                yield (
                    logging.WARNING,
                    f"Stream events: the properties of {self._unreadable} events are not a JSON object. They were "
                    "emitted with properties null, and the text as it came in _unreadable. The first is "
                    f"{self._first_unreadable}",
                )
        yield (
            logging.INFO,
            f"Stream {stream}: {self.records[stream]} records in {self.requests[stream]} requests "
            f"({self.retries[stream]} retried), {round(self.waited[stream])} s waited"
            + (self._late() if stream == "events" else "")
            + self._bytes(stream)
            + (f", {self._not_emitted[stream]} records not emitted" if self._not_emitted[stream] else ""),
        )


def _is_due(last: dict[str, float], stream: str) -> bool:
    """Whether the last line of `stream`, as noted in `last`, is a minute old; notes the one that follows."""
    now = clock.seconds()
    is_due = now - last[stream] >= SECONDS_BETWEEN_LINES
    if is_due:
        last[stream] = now
    return is_due


def _large(size: int) -> str:
    """`size` (bytes) in words."""
    return f"{size / 1e9:.0f} GB" if size >= 1e10 else f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _key(window: Mapping[str, Any]) -> tuple[Any, Any]:
    return window["project_id"], window["start_time"]
