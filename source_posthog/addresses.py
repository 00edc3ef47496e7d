"""What `base_url` may be, and what was meant where it is the address of one of PostHog's pages."""

import re
from urllib.parse import urlsplit

import requests

# What comes after PostHog's own address in a browser, and in the addresses of its API. A number in it is a project's.
_PAGE = re.compile(
    r"/project/(\d+)(?=/|$)"
    r"|/api(?:/?$|/(?:projects|environments)(?:/(\d+))?(?=/|$))"
    r"|/(?:settings|organization|login|signup)(?=/|$)"
)


def meant(base_url: str) -> tuple[str, str]:
    """The address of PostHog itself, where `base_url` is one of a page in it, and the project's number, if it has one.

    "https://us.posthog.com/project/101/insights" -> ("https://us.posthog.com", "101")

    Empty strings where `base_url` is no address of a page, or where it cannot be shown since a password stands in it.
    A server of one's own may be under a path, PostHog's cloud is not.
    """
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    if parts.scheme not in ("http", "https") or "@" in base_url or not is_reachable(f"{parts.scheme}://{parts.netloc}"):
        return "", ""
    page = _PAGE.search(parts.path)
    path = "" if host.endswith(".posthog.com") else parts.path[: page.start()] if page else parts.path
    root = f"{parts.scheme}://{parts.netloc}{path}".rstrip("/")
    if root.lower() == base_url.rstrip("/").lower():
        return "", ""
    return root, next(filter(None, page.groups()), "") if page else ""


def is_reachable(base_url: str) -> bool:
    """Whether host and port of `base_url` can exist; nobody is asked."""
    try:
        host = urlsplit(requests.Request("GET", base_url).prepare().url or "").hostname or ""
        host.encode("idna")  # as the socket does: no label is empty or has more than 63 characters
    except ValueError:  # also requests' InvalidURL, and UnicodeError
        return False
    return "\\" not in base_url and bool(re.fullmatch(r"[\w.-]+|[^/]*:[^/]*", host))
