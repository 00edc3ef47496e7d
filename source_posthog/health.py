"""Whether PostHog still gives answers that are of use: one outage for a whole sync, and not one a request."""

import threading
from collections import defaultdict
from enum import Enum

from source_posthog import clock
from source_posthog.errors import Outage
from source_posthog.troubles import Trouble

MINUTE = 60
HOUR = 3600
ALL = ""  # stands for all streams together


class Kind(Enum):
    """Kinds of trouble, each with the seconds without a single usable answer that it may last."""

    FAULT = 10 * MINUTE
    TOO_SLOW = HOUR  # a long window is halved some twenty times, and each time can take the server a minute or two
    THROTTLE = 6 * HOUR  # a key waits up to an hour for its bucket to refill, and its other users can empty it again

    @classmethod
    def of(cls, trouble: Trouble) -> "Kind":
        """A crowd of queries is a fault: it passes within a minute, unless others never stop to ask."""
        if trouble.throttled and not trouble.crowded:
            return cls.THROTTLE
        return cls.TOO_SLOW if trouble.too_slow else cls.FAULT


class Health:
    """What all requests of a sync know of PostHog.

    Each request has limits of its own. An account with a thousand projects would meet them a thousand times where
    PostHog is down, so the time without a usable answer is counted for all of them together, and for each stream.

    Its methods are called from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By stream: since when there is trouble of a kind, and when there was last.
        self._spells: dict[str, dict[Kind, tuple[float, float]]] = defaultdict(dict)
        self._outages: dict[str, str] = {}  # by stream, the sentence

    def answered(self, stream: str) -> None:
        """There was a usable answer for `stream`."""
        with self._lock:
            self._spells[ALL].clear()
            self._spells[stream].clear()

    def require(self, stream: str) -> None:
        """Raise Outage if nothing more is to be asked for in `stream`."""
        with self._lock:
            sentence = self._outages.get(ALL) or self._outages.get(stream)
        if sentence:
            raise Outage(sentence)

    def troubled(self, stream: str, trouble: Trouble) -> None:
        """There was an answer of no use for `stream`, or none. Raises Outage where that has lasted for too long."""
        kind = Kind.of(trouble)
        with self._lock:
            for scope in (ALL, stream):
                if self._seconds(self._spells[scope], kind) >= kind.value:
                    self._outages.setdefault(scope, _sentence(scope, kind, trouble))
        self.require(stream)

    @staticmethod
    def _seconds(spell: dict[Kind, tuple[float, float]], kind: Kind) -> float:
        """How long there has been trouble of this kind, and no usable answer, as of now."""
        now = clock.seconds()
        since, last = spell.get(kind, (now, now))
        if now - last > kind.value:  # nothing was asked for in between, so nothing is known of that time
            since = now
        spell[kind] = since, now
        if kind is Kind.THROTTLE:
            spell.pop(Kind.FAULT, None)  # it is up
        return now - since


def _sentence(scope: str, kind: Kind, trouble: Trouble) -> str:
    of = f" for the stream {scope}" if scope else ""
    length = f"{kind.value // HOUR} hours" if kind.value > HOUR else f"{kind.value // MINUTE} minutes"
    return (
        f"PostHog has given no usable answer{of} for {length}, the last one: {trouble.words}. No further "
        f"requests are sent. {trouble.advice}"
    )
