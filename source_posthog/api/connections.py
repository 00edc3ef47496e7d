"""What went wrong on the way to PostHog, in words: with which host, and why."""

import socket
import ssl
from collections.abc import Iterator
from http.client import RemoteDisconnected
from urllib.parse import urlsplit

import requests

# The first that an exception is an instance of; more special ones come first. requests-mock and others have their own.
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (requests.ReadTimeout, "{host} did not answer in time"),
    (requests.ConnectTimeout, "{host} could not be reached in time"),
    (requests.Timeout, "the answer of {host} came too slowly"),
    (requests.exceptions.ProxyError, "the proxy in front of {host} could not be reached"),
    (requests.exceptions.SSLError, "no encrypted connection to {host} could be made"),
    (requests.exceptions.ChunkedEncodingError, "the connection to {host} ended in the middle of an answer"),
    (requests.exceptions.ContentDecodingError, "an answer of {host} that cannot be decompressed"),
    (requests.TooManyRedirects, "{host} redirects in circles"),
    (requests.ConnectionError, "the connection to {host} failed"),
)


def fault_in_words(error: Exception | None) -> str:
    """Why a request got no answer, or not all of one: "127.0.0.1:8000 refused the connection".

    Of an exception that nobody foresaw its class alone; None is one too.
    """
    kind, words = next(((kind, words) for kind, words in _WORDS if isinstance(error, kind)), (None, ""))
    if error is None or kind is None:
        return type(error).__name__
    cause = _cause(error)
    if kind is requests.ConnectionError and isinstance(cause, socket.gaierror):
        words, cause = f"the name {{host}} could not be resolved ({cause.strerror})", None
    elif kind is requests.ConnectionError and isinstance(cause, ConnectionRefusedError):
        words, cause = "{host} refused the connection", None
    why = _why(cause)
    return words.format(host=_host(error)) + (f" ({why})" if why else "")


def certificate_fault(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Why a certificate was refused, if that is what is behind `error`."""
    return next((one for one in _chain(error) if isinstance(one, ssl.SSLCertVerificationError)), None)


def _host(error: Exception) -> str:
    """The host that was asked, with its port where the address names one."""
    url = getattr(getattr(error, "request", None), "url", None) or ""
    return urlsplit(str(url)).netloc.rpartition("@")[2] or "PostHog"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """`error` and what is behind it; urllib3 and requests wrap a fault of the network several times."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _cause(error: Exception) -> OSError | None:
    """The fault of the network behind `error`. The exceptions of requests are OSErrors too, but say nothing of it."""
    faults = (one for one in _chain(error) if isinstance(one, OSError) and one is not error)
    return next((one for one in faults if _why(one)), None)


def _why(cause: OSError | None) -> str:
    """The reason that `cause` has, in a few words; "" where it adds nothing."""
    if isinstance(cause, ssl.SSLError):
        return str(cause.reason or "").lower().replace("_", " ")
    if isinstance(cause, RemoteDisconnected):
        return "it was closed without an answer"
    return "" if cause is None or isinstance(cause, TimeoutError) else cause.strerror or ""
