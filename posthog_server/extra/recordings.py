"""Recordings of sessions: which of them the list shows, and how much of each."""

import random
from datetime import timedelta

from ..row_lists import window
from ..rows import any_time
from ..traffic import invalid
from ..values import DAY, EPOCH, SECOND, Row, encode, microseconds, random_uuid
from .objects import Asked, ExtraObject

DEFAULT_LIMIT = 20
DEFAULT_DAYS = 3  # that are listed where `date_from` is not sent
COUNTS = ("click_count", "keypress_count", "mouse_activity_count", "console_log_count")


def is_deleted(row: Row) -> bool:
    return bool(row.get("deleted"))


def newest_first(rows: list[Row], asked: Asked) -> bytes:
    """A page of `rows`, those that began last first. Whether there is more, it says; how many, it does not.

    Deleted ones take a place on their page and are not shown. A recording is stored in pieces, and the bounds, both
    inclusive, choose pieces: one that crosses a bound is shown as if it began or ended there, with fewer clicks.
    Raises Refusal (400) for a bound that is no date.
    """
    after = _bound(asked.query.get("date_from", ""), asked.now - DEFAULT_DAYS * DAY)
    before = _bound(asked.query.get("date_to", ""), asked.now)
    found = sorted((part for row in rows if (part := _inside(row, after, before))), key=lambda row: str(row["id"]))
    found = sorted(asked.moved(found), key=lambda row: microseconds(row["start_time"]), reverse=True)
    limit, offset = window({"limit": str(DEFAULT_LIMIT), **asked.query})
    limit = min(limit, asked.cap or limit)
    shown = [
        {name: value for name, value in row.items() if name != "deleted"}
        for row in found[offset : offset + limit]
        if not is_deleted(row)
    ]
    return encode(
        {"results": shown, "has_next": offset + limit < len(found), "version": 3 if asked.age.is_of_2024 else 4}
    )


def _bound(text: str, default: int) -> int:
    try:
        return microseconds(text) if text else default
    except ValueError:
        raise invalid(f"{text!r} is not a date") from None


def _inside(row: Row, after: int, before: int) -> Row | None:
    """What of a recording lies in [after, before]; None where nothing does."""
    began = microseconds(row["start_time"])
    ended = microseconds(row.get("end_time") or row["start_time"])
    if not began <= ended < began + DAY:  # no session
        ended = began
    if ended < after or began > before:
        return None
    if after <= began and ended <= before:
        return row
    start, end = max(began, after), min(ended, before)
    part = (end - start) / max(ended - began, 1)
    return {
        **row,
        "start_time": in_milliseconds(start),
        "end_time": in_milliseconds(end),
        "recording_duration": (end - start) // SECOND,
        **{name: int(row[name] * part) for name in COUNTS},
    }


def in_milliseconds(at: int) -> str:
    """`at` (microseconds) as the list writes it."""
    return (EPOCH + timedelta(milliseconds=at // 1000)).isoformat().replace("+00:00", "Z")


def recording(at: int, id: str, *, seconds: int = 600, **fields: object) -> Row:
    """One that began at `at` (microseconds) and took so many seconds."""
    return {
        "id": id,
        "distinct_id": "user-1-0",
        "viewed": False,
        "viewers": ["staff1@example.com"],
        "recording_duration": seconds,
        "active_seconds": seconds // 2,
        "inactive_seconds": seconds - seconds // 2,
        "start_time": in_milliseconds(at),
        "end_time": in_milliseconds(at + seconds * SECOND),
        **dict.fromkeys(COUNTS, 100),
        "console_warn_count": 0,
        "console_error_count": 2,
        "start_url": "https://example.com/?q=日本",
        "person": {"id": 1, "name": "Ada", "distinct_ids": ["user-1-0"], "properties": {"plan": "paid"}},
        "storage": "object_storage",
        "retention_period_days": 30,
        "expiry_time": in_milliseconds(at + 30 * DAY),
        "recording_ttl": 30,
        "snapshot_source": "web",
        "snapshot_library": None,
        "ongoing": False,
        "activity_score": 12.5,
        "external_references": [],
        **fields,
    }


def _made(number: int, rng: random.Random) -> Row:
    at = microseconds(any_time(rng))
    return recording(at, random_uuid(rng), start_url=rng.choice((None, f"https://example.com/{number}")))


OBJECTS = {
    "session_recordings": ExtraObject(
        path="session_recordings",
        scope="session_recording:read",
        make=_made,
        cursor="start_time",
        shown=lambda row: True,
        answer=newest_first,
        dropped=is_deleted,
        fields={
            "text": "distinct_id start_url storage snapshot_source snapshot_library summary_outcome",
            "number": "recording_duration active_seconds inactive_seconds click_count keypress_count "
            "mouse_activity_count console_log_count console_warn_count console_error_count retention_period_days "
            "recording_ttl",
            "float": "activity_score",
            "flag": "viewed ongoing has_summary",
            "time": "start_time end_time expiry_time",
            "list of object": "external_references",
        },
    ),
}
