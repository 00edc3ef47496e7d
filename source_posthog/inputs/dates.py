"""The dates of a configuration as people write them: what is meant, and what is wrong with one."""

import re
from datetime import datetime, timedelta, timezone

# A date, a time with or without seconds, a fraction and a zone; all but the date may be missing.
_DATE = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<time>\d\d:\d\d(?P<seconds>:\d\d)?)(?P<fraction>[.,]\d+)?"
    r" ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?)?)?",
    re.ASCII,
)
# What no key and no password is: either can stand in the wrong place.
_MAY_BE_SHOWN = re.compile(r"[\d/.:, TZ+-]{1,40}", re.ASCII)


def utc_date(text: str) -> str:
    """`text` as `start_date` is written, where it names a second of UTC in any other form; else as it is.

    "2026-01-01T02:00:00+02:00" -> "2026-01-01T00:00:00Z"
    """
    found = _DATE.fullmatch(text)
    if not found or not found["seconds"] or not found["zone"] or found["fraction"]:
        return text
    return _second(found) or text


def date_fault(text: str) -> str:
    """Why `text` is no date as `start_date` is written, and what to write: "2026-02-30T00:00:00Z does not exist".

    "" where it cannot be shown.
    """
    if not _MAY_BE_SHOWN.fullmatch(text):
        return ""
    found = _DATE.fullmatch(text)
    if not found:
        return f"{text} is in another form"
    second = _second(found)
    if not second:
        return f"{text} does not exist"
    if found["fraction"]:
        reason = "has a fraction of a second"
    elif not found["time"]:
        reason = "has no time"
    elif not found["zone"]:
        reason = "has no time zone"
    else:
        reason = "has no seconds"
    return f"{text} {reason}: write {second}"


def _second(found: re.Match[str]) -> str:
    """The second of UTC, which is the zone where there is none, that lies at or before the instant; "" if none does."""
    sign = -1 if found["sign"] == "-" else 1
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    try:
        at = datetime.fromisoformat(f"{found['date']}T{found['time'] or '00:00'}")
        at = at.replace(tzinfo=timezone(sign * offset)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return ""
    return at.replace(tzinfo=None).isoformat() + "Z"
