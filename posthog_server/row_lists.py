"""The lists other than events: which rows, in which order, and where the next page is."""

import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from .data import Account, Project
from .traffic import Refusal, server_error
from .values import Row, encode

DEFAULT_LIMIT = 100
PERSONS_WITH_NEXT = 50_000  # above this limit the persons list gives no `next`


def window(query: Mapping[str, str]) -> tuple[int, int]:
    """`limit` and `offset` of a query. As Django's pager, takes the default for what is not a number."""
    limit, offset = query.get("limit", ""), query.get("offset", "")
    return (
        (int(limit) if limit.isdecimal() else 0) or DEFAULT_LIMIT,
        int(offset) if offset.isdecimal() else 0,
    )


def one_list(rows: list[Row], query: Mapping[str, str], url: str) -> bytes:
    """The page of `rows` that `query` asks for, with the URLs of its neighbours."""
    limit, offset = window(query)
    following = _url(url, query, limit, offset + limit) if offset + limit < len(rows) else None
    return encode(
        {
            "count": len(rows),
            "next": following,
            "previous": _previous(url, query, limit, offset),
            "results": rows[offset : offset + limit],
        }
    )


def persons(project: Project, query: Mapping[str, str], url: str) -> bytes:
    """A page of persons: no count, and short by the rows that are dropped after the limit was applied.

    Raises Refusal (500) for a limit that is no number.
    """
    if not (query.get("limit") or "0").isdecimal():
        raise server_error()
    limit, offset = window(query)
    people = list(project.persons)
    page = people[offset : offset + min(limit, PERSONS_WITH_NEXT)]
    kept = [row for place, row in enumerate(page, offset) if place not in project.dropped_persons]
    more = offset + limit < len(people) and limit <= PERSONS_WITH_NEXT
    return encode(
        {
            "next": _url(url, query, limit, offset + limit) if more else None,
            # The URL of the page itself where the one before is the first.
            "previous": _url(url, query, limit, offset - limit if offset > limit else offset) if offset else None,
            "results": sorted(kept, key=lambda row: row.get("created_at") or "", reverse=True),
        }
    )


def rows_of(account: Account, project: Project, stream: str, query: Mapping[str, str], rng: random.Random) -> list[Row]:
    """All rows of `stream` that the list shows, in the order of this request."""
    if stream == "cohorts":
        return _by(project.cohorts, "-created_at", "deleted")
    if stream == "annotations":
        siblings = [one for one in account.projects.values() if one.organization == project.organization]
        rows = [
            row
            for one in siblings
            for row in list(one.annotations)
            if one is project or row.get("scope") == "organization"
        ]
        return _by(rows, "-date_marker", "deleted")
    rows = list(getattr(project, stream))
    name = query.get("order", "").lstrip("-")
    if rows and name and not any(name in row for row in rows):
        raise Refusal(400, "invalid_input", f"Cannot resolve keyword '{name}' into field.")
    rng.shuffle(rows)  # what the order leaves open differs from request to request
    if stream == "feature_flags":
        hidden = () if query.get("archived") == "true" else ("archived",)
        return _by(rows, query.get("order") or "-created_at", "deleted", *hidden)
    # The default order of insights is by a column that is mostly null, so it leaves nearly all open.
    return _by(rows, query.get("order") or "", "deleted")


def require_sound_insights(project: Project, rows: list[Row], query: Mapping[str, str]) -> None:
    """Raise the Refusal of the first broken insight on the page asked for, since it spoils the whole page."""
    limit, offset = window(query)
    for row in rows[offset : offset + limit]:
        status = project.broken_insights.get(row["id"])
        if status == 400:
            raise Refusal(400, "invalid_input", "Action ID 42 does not exist!")
        if status:
            raise server_error()


def _by(rows: list[Row], order: str, *hidden: str) -> list[Row]:
    """`rows` without those that have a field of `hidden` set, in the `order` of a field."""
    return ordered([row for row in rows if not any(row.get(field) for field in hidden)], order)


def ordered(rows: list[Row], order: str) -> list[Row]:
    """`rows` by the field `order` (null is lowest), downwards with a minus; as they are where it is ""."""
    name = order.lstrip("-")

    def rank(row: Row) -> tuple[bool, Any]:
        value = row.get(name)
        return (False, 0) if value is None else (True, value)

    return sorted(rows, key=rank, reverse=order.startswith("-"))


def _previous(url: str, query: Mapping[str, str], limit: int, offset: int) -> str | None:
    return _url(url, query, limit, max(offset - limit, 0)) if offset else None


def _url(url: str, query: Mapping[str, str], limit: int, offset: int) -> str:
    """The URL of a page; as Django, without an offset of 0, and with the parameters in the order of their names."""
    params: dict[str, Any] = {**query, "limit": limit, "offset": offset}
    if not offset:
        del params["offset"]
    return f"{url}?{urlencode(sorted(params.items()))}"
