"""The activity log: its rows, and its pages, which are asked for by a cursor."""

import base64
import random
from typing import Any
from urllib.parse import parse_qs, urlencode

from ..rows import any_time, deep, make_user, maybe
from ..traffic import Refusal
from ..values import Row, encode, microseconds, random_uuid
from .objects import Asked, ExtraObject

PAGE = 100  # rows where no `page_size` is sent, and on servers that do not know it
LARGEST_PAGE = 1000
MOST_SKIPPED = 1000  # rows of one instant that a cursor can skip


def by_cursor(rows: list[Row], asked: Asked) -> bytes:
    """A page of `rows`: the newest first, or in the order of `ordering`, which older servers do not know.

    A cursor names an instant, and how many rows to skip after it: those that share the instant of the row that comes
    next. So rows that arrive meanwhile move nothing. Raises Refusal (404) for a cursor that is none.
    """
    query = {} if asked.age.is_of_2024 else asked.query
    down = query.get("ordering") != "created_at"
    size = _size(query.get("page_size", ""))
    size = min(size, asked.cap or size)
    position, skipped = _decoded(asked.query["cursor"]) if asked.query.get("cursor") else (None, 0)
    ordered = sorted(sorted(rows, key=lambda row: str(row["id"])), key=_at, reverse=down)
    if position is not None:
        ordered = [row for row in ordered if (_at(row) < position if down else _at(row) > position)]
    page, more = ordered[skipped : skipped + size], ordered[skipped + size : skipped + size + 1]
    following = None
    if more:
        cursor = _encoded(*_place(page, more[0], position, skipped))
        following = f"{asked.url}?{urlencode(sorted({**asked.query, 'cursor': cursor}.items()))}"
    return encode({"next": following, "previous": None, "results": page})


def _at(row: Row) -> int:
    return microseconds(row["created_at"])


def _size(text: str) -> int:
    return min(int(text), LARGEST_PAGE) if text.isdecimal() and int(text) else PAGE


def _place(page: list[Row], following: Row, position: int | None, skipped: int) -> tuple[int | None, int]:
    """The position of the page that begins with `following`, and how many rows to skip after it."""
    tied = 0
    for row in reversed(page):
        if _at(row) != _at(following):
            return _at(row), tied
        tied += 1
    return position, skipped + tied


def _encoded(position: int | None, skipped: int) -> str:
    words = {"o": skipped} if skipped else {}
    if position is not None:
        words["p"] = position
    return base64.b64encode(urlencode(words).encode()).decode()


def _decoded(cursor: str) -> tuple[int | None, int]:
    try:
        words = {name: int(values[0]) for name, values in parse_qs(base64.b64decode(cursor).decode()).items()}
    except ValueError:
        raise Refusal(404, "not_found", "Invalid cursor") from None
    return words.get("p"), min(words.get("o", 0), MOST_SKIPPED)


def activity(at: str, id: str, **fields: Any) -> Row:
    """What was logged at `at`."""
    change = {"type": "FeatureFlag", "action": "changed", "field": "active", "before": True, "after": False}
    return {
        "id": id,
        "user": {"first_name": "Ada", "last_name": "", "email": "staff1@example.com"},
        "activity": "updated",
        "scope": "FeatureFlag",
        "item_id": "17",
        "detail": {"name": "Zoë 🦔", "type": None, "short_id": None, "trigger": None, "changes": [change]},
        "created_at": at,
        "unread": False,
        "organization_id": None,
        "was_impersonated": False,
        "is_system": False,
        **fields,
    }


def _made(number: int, rng: random.Random) -> Row:
    row = activity(any_time(rng), random_uuid(rng), user=maybe(rng, make_user(rng)), item_id=str(number))
    return {**row, "detail": {**row["detail"], "context": maybe(rng, deep(4))}}


OBJECTS = {
    "activity_log": ExtraObject(
        path="activity_log",
        scope="activity_log:read",
        make=_made,
        cursor="created_at",
        answer=by_cursor,
        fields={
            "text": "activity scope item_id organization_id client",
            "flag": "unread was_impersonated is_system",
            "user": "user",
            "object": "detail",
            "time": "created_at",
        },
    ),
}
