"""What went wrong on the way to PostHog, in words, from exceptions as requests and urllib3 wrap them."""

import socket
import ssl
from http.client import RemoteDisconnected

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from source_posthog.api.connections import fault_in_words

REQUEST = requests.Request("GET", "https://posthog.example.com:8443/api/projects/?limit=1").prepare()
HOST = "posthog.example.com:8443"


def wrapped(kind: type[requests.RequestException], *inner: BaseException) -> requests.RequestException:
    """`kind`, raised while the first of `inner` was handled, which the second caused, and so on."""
    error = kind(str(inner[:1]), request=REQUEST)
    outer: BaseException = error
    for place, one in enumerate(inner):
        if place % 2:
            outer.__cause__ = one
        else:
            outer.__context__ = one
        outer = one
    return error


def retried(cause: OSError) -> tuple[BaseException, ...]:
    """As urllib3 has it where no connection could be made."""
    return MaxRetryError(None, "/", NewConnectionError(None, "failed")), NewConnectionError(None, "failed"), cause  # type: ignore[arg-type]


SSL = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1002)")
SSL.reason = "WRONG_VERSION_NUMBER"
FAULTS = [
    (
        wrapped(requests.ConnectionError, *retried(socket.gaierror(-2, "Name or service not known"))),
        f"the name {HOST} could not be resolved (Name or service not known)",
    ),
    (
        wrapped(requests.ConnectionError, *retried(ConnectionRefusedError(111, "refused"))),
        f"{HOST} refused the connection",
    ),
    (
        wrapped(requests.ConnectionError, *retried(OSError(101, "Network is unreachable"))),
        f"the connection to {HOST} failed (Network is unreachable)",
    ),
    (
        wrapped(
            requests.ConnectionError, ProtocolError("aborted"), ConnectionResetError(104, "Connection reset by peer")
        ),
        f"the connection to {HOST} failed (Connection reset by peer)",
    ),
    (
        wrapped(requests.ConnectionError, ProtocolError("aborted"), RemoteDisconnected("Remote end closed")),
        f"the connection to {HOST} failed (it was closed without an answer)",
    ),
    (
        wrapped(requests.exceptions.SSLError, SSL),
        f"no encrypted connection to {HOST} could be made (wrong version number)",
    ),
    (
        wrapped(requests.exceptions.ProxyError, *retried(ConnectionRefusedError(111, "Connection refused"))),
        f"the proxy in front of {HOST} could not be reached (Connection refused)",
    ),
    (
        wrapped(requests.exceptions.ProxyError, *retried(socket.gaierror(-2, "Name or service not known"))),
        f"the proxy in front of {HOST} could not be reached (Name or service not known)",
    ),
    (wrapped(requests.ConnectTimeout, TimeoutError(110, "timed out")), f"{HOST} could not be reached in time"),
    (wrapped(requests.ReadTimeout), f"{HOST} did not answer in time"),
    (wrapped(requests.exceptions.ChunkedEncodingError), f"the connection to {HOST} ended in the middle of an answer"),
    (requests.ConnectionError(), "the connection to PostHog failed"),
    (requests.exceptions.InvalidHeader("no\nheader"), "InvalidHeader"),
]


@pytest.mark.parametrize(("error", "words"), FAULTS, ids=[words for _, words in FAULTS])
def test_a_fault_on_the_way_names_the_host_and_the_cause(error: Exception, words: str) -> None:
    assert fault_in_words(error) == words


def test_a_password_in_an_address_is_not_named() -> None:
    request = requests.Request("GET", "https://me:secret@posthog.example.com/").prepare()
    request.url = "https://me:secret@posthog.example.com/"
    assert fault_in_words(requests.ReadTimeout(request=request)) == "posthog.example.com did not answer in time"
