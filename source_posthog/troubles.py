"""What was wrong with an answer, or that there was none: in words, and as far as it decides what is done about it."""

import re
import ssl
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import requests

from source_posthog.answers import Answers
from source_posthog.errors import THEN_TRY_AGAIN

TOO_MANY_QUERIES = "Too many queries are running"
CROWDED = "Other queries of the project occupy all of PostHog's query slots: run the sync when there are fewer."

# Codes of errors that are told apart (docs/posthog-server.md).
BUDGET_EXCEEDED = "api_queries_budget_exceeded"
TOO_MANY_BYTES = "too_many_bytes"
OVER_BUDGET = (
    "The project has used up the bytes that PostHog lets API queries read in an hour, whoever asked them: run the sync "
    "when fewer other queries are asked, let your own in `queries` read less, or set `events_api` to list, which that "
    "budget does not count."
)
UNDER_LOAD = "PostHog's database is under heavy load: run the sync when it is less busy."

# The first that an exception is an instance of; more special ones come first. requests-mock and others have their own.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (requests.ReadTimeout, "it did not answer in time"),
    (requests.ConnectTimeout, "it could not be reached in time"),
    (requests.Timeout, "its answer came too slowly"),
    (requests.exceptions.ProxyError, "the proxy could not be reached"),
    (requests.exceptions.SSLError, "no encrypted connection could be made"),
    (requests.exceptions.ChunkedEncodingError, "the connection ended in the middle of an answer"),
    (requests.exceptions.ContentDecodingError, "an answer that cannot be decompressed"),
    (requests.TooManyRedirects, "it redirects in circles"),
    (requests.ConnectionError, "the connection failed"),
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
        own_advice: what to do where it does not pass, if that is not what one does otherwise.
    """

    words: str
    throttled: bool = False
    too_slow: bool = False
    unreachable: bool = False
    requested: float | None = None
    crowded: bool = False
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
        return Trouble(
            words="an answer that is not a JSON object" if is_success(response) else words,
            throttled=throttled,
            requested=_requested_wait(response, detail),
            crowded=crowded,
            own_advice=CROWDED if crowded else _own_advice(response, answers),
        )
    words = next((words for kind, words in _WORDS if isinstance(response_or_exception, kind)), "")
    unreachable = isinstance(response_or_exception, requests.ConnectionError)
    return Trouble(words or type(response_or_exception).__name__, unreachable=unreachable)


def _own_advice(response: requests.Response, answers: Answers) -> str:
    if answers.code(response) == BUDGET_EXCEEDED:
        return OVER_BUDGET
    is_loaded = meant_status(response, answers) == 503 != response.status_code
    return UNDER_LOAD if is_loaded else ""


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


def certificate_fault(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Why a certificate was refused, if that is what is behind `error`; urllib3 and requests wrap it several times."""
    if error is None or isinstance(error, ssl.SSLCertVerificationError):
        return error
    return certificate_fault(error.__cause__) or certificate_fault(error.__context__)
