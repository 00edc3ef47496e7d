"""Columns that rows are read by."""

from datetime import datetime, timezone
from typing import Any

import pytest

from source_posthog.queries.keys import DATE, INSTANT, STRING, Key, Kind, no_later

PRESENT = datetime(2026, 1, 2, 3, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (INSTANT, "2026-01-02T02:59:59.999999Z", "2026-01-02T02:59:59.999999Z"),
        (INSTANT, "2026-01-02T03:00:00Z", "2026-01-02T03:00:00Z"),
        (INSTANT, "2026-01-02T03:00:00.000001Z", "2026-01-02T03:00:00.000000Z"),
        (INSTANT, "2026-01-02T04:30:00+02:00", "2026-01-02T04:30:00+02:00"),
        (DATE, "2026-01-01", "2026-01-01"),
        (DATE, "2026-01-02", "2026-01-02"),
        (DATE, "2026-01-03", "2026-01-02"),
        (STRING, "9999", "9999"),
    ],
)
def test_a_time_after_the_present_is_the_present(kind: Kind, value: Any, expected: Any) -> None:
    assert no_later(Key("at", kind), value, PRESENT) == expected


def test_without_a_present_no_time_is_changed() -> None:
    assert no_later(Key("at", INSTANT), "9999-01-01T00:00:00Z", None) == "9999-01-01T00:00:00Z"
