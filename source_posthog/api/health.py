"""What was wrong with an answer, and whether PostHog still gives any that are of use."""

import re
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum

import requests

from source_posthog.api import clock
from source_posthog.api.answers import Answers
from source_posthog.api.connections import fault_in_words
from source_posthog.api.errors import THEN_TRY_AGAIN, Outage

TOO_MANY_QUERIES = "Too many queries are running"
CROWDED = "Other queries of the project occupy all of PostHog's query slots: run the sync when there are fewer."

# Codes of errors that are told apart (docs/posthog-server.md).
BUDGET_EXCEEDED = "api_queries_budget_exceeded"
TOO_MANY_BYTES = "too_many_bytes"
DATABASE_UNAVAILABLE = "database_unavailable"
OVER_BUDGET = (
    "The project has used up the bytes that PostHog lets API queries read in an hour, whoever asked them: run the sync "
    "later or for fewer projects, let your own in `queries` read less, set `events_api` to list, which that budget "
    "does not count, or choose a larger plan."
)
UNDER_LOAD = "PostHog's database is under heavy load: run the sync when it is less busy."
UNAVAILABLE = "PostHog's database is not available: run the sync later; if this persists, ask whoever runs PostHog."
TOO_HEAVY = (
    "PostHog refuses to read so many bytes, however little is asked for at a time: let your own in `queries` read "
    "less; for events set `events_api` to list, which has no such limit."
)


@dataclass(frozen=True)
class Trouble:
    """An answer that is of no use, for now.

    Attributes:
        words: what was wrong, to stand after "the last one:".
        throttled: PostHog is up, and refuses for a time.
        too_slow: PostHog is up, and needs to be asked for less.
        unreachable: nothing answered at all.
        requested: seconds to wait, as the answer says; None where it does not say.
        crowded: too many queries are running, which passes soon.
        over_budget: the bytes that queries may read in an hour are used up.
        own_advice: what to do where it does not pass, if that is not what one does otherwise.
    """

    words: str
    throttled: bool = False
    too_slow: bool = False
    unreachable: bool = False
    requested: float | None = None
    crowded: bool = False
    over_budget: bool = False
    own_advice: str = ""

    @property
    def advice(self) -> str:
        """What to do where it does not pass."""
        return self.own_advice or THEN_TRY_AGAIN


def meant_status(response: requests.Response, answers: Answers) -> int:
    """The status of `response` by what it means: PostHog also says that it is busy with that of "too much", and that it
    would be too much with that of "wrong"."""
    if response.status_code == 400 and answers.code(response) == TOO_MANY_BYTES:
        return 513
    if response.status_code == 513 and "heavy load" in answers.detail(response).lower():
        return 503
    return response.status_code


def is_success(response: requests.Response) -> bool:
    """Whether `response` is an answer. A 3xx, which `ok` of requests takes for one, is none."""
    return 200 <= response.status_code < 300


def trouble_of(response_or_exception: requests.Response | Exception | None, answers: Answers) -> Trouble:
    """What was wrong with an answer that is going to be asked for again."""
    if isinstance(response_or_exception, requests.Response):
        response = response_or_exception
        detail = answers.detail(response)
        words = f"HTTP {response.status_code}" + (f", {detail.rstrip('.')}" if detail else "")
        throttled = response.status_code == requests.codes.too_many_requests
        crowded = throttled and TOO_MANY_QUERIES in detail
        over_budget = answers.code(response) == BUDGET_EXCEEDED
        return Trouble(
            words="an answer that is not a JSON object" if is_success(response) else words,
            throttled=throttled,
            requested=_requested_wait(response, detail),
            crowded=crowded,
            over_budget=over_budget,
            own_advice=CROWDED if crowded else _own_advice(response, answers),
        )
    unreachable = isinstance(response_or_exception, requests.ConnectionError)
    return Trouble(fault_in_words(response_or_exception), unreachable=unreachable)


def _own_advice(response: requests.Response, answers: Answers) -> str:
    by_code = {BUDGET_EXCEEDED: OVER_BUDGET, TOO_MANY_BYTES: TOO_HEAVY, DATABASE_UNAVAILABLE: UNAVAILABLE}
    is_loaded = meant_status(response, answers) == 503 != response.status_code
    return by_code.get(answers.code(response), UNDER_LOAD if is_loaded else "")


def _requested_wait(response: requests.Response, detail: str) -> float | None:
    """Seconds, from `Retry-After` (seconds, or a date) or else PostHog's sentence ("available in 2202 seconds")."""
    header = response.headers.get("Retry-After", "")
    for text in (header, detail):
        if seconds := re.search(r"^\s*([0-9]+)\s*$|available in ([0-9]+) second", text):
            return float(seconds[1] or seconds[2])
        try:
            until = parsedate_to_datetime(text)
            now = datetime.now(timezone.utc)
            return max(0.0, ((until if until.tzinfo else until.replace(tzinfo=timezone.utc)) - now).total_seconds())
        except (TypeError, ValueError, IndexError, OverflowError):
            continue
    return None


MINUTE = 60
HOUR = 3600
ALL = ""  # stands for all streams together


class TroubleKind(Enum):
    """Kinds of trouble, each with the seconds without a single usable answer that it may last."""

    FAULT = 10 * MINUTE
    TOO_SLOW = HOUR  # a long window is halved some twenty times, and each time can take the server a minute or two
    THROTTLE = 6 * HOUR  # a key waits up to an hour for its bucket to refill, and its other users can empty it again

    @classmethod
    def of(cls, trouble: Trouble) -> "TroubleKind":
        """A crowd of queries is a fault: it passes within a minute, unless others never stop to ask."""
        if trouble.throttled and not trouble.crowded:
            return cls.THROTTLE
        return cls.TOO_SLOW if trouble.too_slow else cls.FAULT


class Health:
    """What all requests of a sync know of PostHog.

    Each request has limits of its own. An account with a thousand projects would meet them a thousand times where
    PostHog is down, so the time without a usable answer is counted for all of them together, and for each stream. One
    stream in trouble says nothing of the others, though: those that follow it may not have been asked for yet.

    Its methods are called from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By stream: since when there is trouble of a kind, and when there was last.
        self._spells: dict[str, dict[TroubleKind, tuple[float, float]]] = defaultdict(dict)
        self._in_trouble: set[str] = set()  # streams, since the last usable answer of any
        self._outages: dict[str, str] = {}  # by stream, the sentence

    def recovered(self, stream: str) -> None:
        """There was a usable answer for `stream`."""
        with self._lock:
            self._spells[ALL].clear()
            self._spells[stream].clear()
            self._in_trouble.clear()

    def require(self, stream: str) -> None:
        """Raise Outage if nothing more is to be asked for in `stream`."""
        with self._lock:
            sentence = self._outages.get(ALL) or self._outages.get(stream)
        if sentence:
            raise Outage(sentence)

    def troubled(self, stream: str, trouble: Trouble) -> None:
        """There was an answer of no use for `stream`, or none. Raises Outage where that has lasted for too long."""
        kind = TroubleKind.of(trouble)
        with self._lock:
            self._in_trouble.add(stream)
            for scope in (ALL, stream):
                if self._seconds(self._spells[scope], kind) >= kind.value:
                    ended = scope if len(self._in_trouble) > 1 else stream
                    self._outages.setdefault(ended, _outage_sentence(scope, kind, trouble))
        self.require(stream)

    @staticmethod
    def _seconds(spell: dict[TroubleKind, tuple[float, float]], kind: TroubleKind) -> float:
        """How long there has been trouble of this kind, and no usable answer, as of now."""
        now = clock.seconds()
        since, last = spell.get(kind, (now, now))
        if now - last > kind.value:  # nothing was asked for in between, so nothing is known of that time
            since = now
        spell[kind] = since, now
        if kind is TroubleKind.THROTTLE:
            spell.pop(TroubleKind.FAULT, None)  # it is up
        return now - since


def _outage_sentence(scope: str, kind: TroubleKind, trouble: Trouble) -> str:
    of = f" for the stream {scope}" if scope else ""
    length = f"{kind.value // HOUR} hours" if kind.value > HOUR else f"{kind.value // MINUTE} minutes"
    return (
        f"PostHog has given no usable answer{of} for {length}, the last one: {trouble.words}. No further "
        f"requests are sent. {trouble.advice}"
    )
