"""How PostHog's query API is asked, and what its answer proves, whatever kind of query it is.

What is relied on here is in docs/posthog-server.md, "HogQL queries".
"""

from collections.abc import Mapping
from typing import Any

from source_posthog.exact.errors import UntrueAnswer

BROKEN = "\ufffd"  # what PostHog shows for bytes that are no UTF-8; text can have it too
LONGEST_ERROR = 300  # characters of PostHog's own words that are shown


def posted(query: Mapping[str, Any]) -> dict[str, Any]:
    """What to post for `query`. Instants in its answer are in UTC, and no answer is an old one."""
    modifiers = {"convertToProjectTimezone": False}
    return {"query": {**query, "modifiers": modifiers}, "refresh": "force_blocking"}


def is_whole(answer: Mapping[str, Any], limit: int, *, must_say: bool = False) -> bool:
    """Whether the `results` of `answer`, a decoded body, are all that there is to a question for `limit` rows.

    As many rows as the limit in force are never all: at its most rows the server says `hasMore: false` with more to
    come.

    `must_say`: the answer must have `hasMore`, which PostHog leaves out where the SQL has a LIMIT.

    Raises UntrueAnswer where it contradicts itself, is an error, or may be older than the question.
    """
    if error := answer.get("error"):
        raise UntrueAnswer(f"PostHog answers with an error ({_line(error)})")
    if answer.get("is_cached") is True:
        raise UntrueAnswer("it is an earlier answer (`is_cached`), although a new one was asked for")
    rows, more = answer.get("results"), answer.get("hasMore")
    if not isinstance(rows, list):
        raise UntrueAnswer("it has no list of `results`")
    if not isinstance(more, bool) and (must_say or more is not None):
        raise UntrueAnswer("it does not say whether there is more (`hasMore`)")
    if more and not rows:
        raise UntrueAnswer("an empty page says that there is more")
    return not more and len(rows) < limit_in_force(answer, limit)


def limit_in_force(answer: Mapping[str, Any], limit: int) -> int:
    """The most rows that `answer` can have, to a question for `limit`: the server echoes a smaller limit of its own.

    Raises UntrueAnswer where it names one that is none.
    """
    echoed = answer.get("limit")
    if echoed is None:
        return limit
    if type(echoed) is not int or echoed < 1:
        raise UntrueAnswer(f"its `limit` ({_line(echoed)}) is not a number of rows")
    return min(limit, echoed)


def _line(value: Any) -> str:
    return " ".join(str(value).split())[:LONGEST_ERROR]
