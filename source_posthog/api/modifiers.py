"""The modifiers of a query: servers until 2024 do not know all of them, and refuse the whole query for one.

What such a server answers is in docs/posthog-server.md, "HogQL queries".
"""

import json
from collections.abc import Mapping
from typing import Any

import requests

from source_posthog.api.answers import Answers
from source_posthog.api.errors import PostHogError

MODIFIERS = "modifiers"


def are_in(body: Any) -> bool:
    """Whether `body`, decoded, is a request to the query API with modifiers."""
    query = body.get("query") if isinstance(body, Mapping) else None
    return isinstance(query, Mapping) and MODIFIERS in query


def without(body: Mapping[str, Any]) -> dict[str, Any]:
    """`body`, a request to the query API, without the modifiers of its query."""
    return {**body, "query": {name: value for name, value in body["query"].items() if name != MODIFIERS}}


def are_refused(response: requests.Response | Exception | None, answers: Answers) -> bool:
    """Whether `response` refuses a query with modifiers for its form; faults of the HogQL in it are no `parse_error`.

    The server names whatever it would not take in any kind of query, so modifiers are named with other faults too.
    """
    if not isinstance(response, requests.Response) or response.status_code != requests.codes.bad_request:
        return False
    try:
        body = answers.body(response)
    except PostHogError:
        return False
    posted = response.request.body
    is_form = body.get("code") == "parse_error" and MODIFIERS in str(body.get("detail"))
    return is_form and isinstance(posted, bytes) and are_in(json.loads(posted))
