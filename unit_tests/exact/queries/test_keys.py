"""Columns that rows are read by."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from source_posthog.exact.errors import UnfitColumns
from source_posthog.exact.queries.keys import DATE, INSTANT, STRING, Key, KeyKind, key_of, no_later, require_names

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
def test_a_time_after_the_present_is_the_present(kind: KeyKind, value: Any, expected: Any) -> None:
    assert no_later(Key("at", kind), value, PRESENT) == expected


def test_without_a_present_no_time_is_changed() -> None:
    assert no_later(Key("at", INSTANT), "9999-01-01T00:00:00Z", None) == "9999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("type_", "value", "microseconds"),
    [
        ("DateTime64(6, 'UTC')", "2026-01-01T00:00:00.123456Z", 0),
        ("DateTime64(6, 'UTC')", "2026-01-01T00:00:00Z", 0),  # cut or not, no fraction is none
        ("DateTime64(6, 'UTC')", "2026-01-01T00:00:00.123Z", 999),
        ("DateTime64(6, 'UTC')", "2026-01-01T00:00:00.000-05:00", 999),
        ("DateTime64(3, 'UTC')", "2026-01-01T00:00:00.123Z", 0),
        ("DateTime", "2026-01-01T00:00:00Z", 0),
        ("String", "1.5", 0),
    ],
)
def test_an_instant_with_fewer_digits_than_are_stored_can_be_later(type_: str, value: str, microseconds: int) -> None:
    key = key_of("at", {"at": type_}, "primary_key")
    assert key.blur(value) == timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (("id", "plan", "Plan"), "has the columns `plan` and `Plan`, which differ only in case"),
        (("id", "ID"), "for example `ID` AS id_2"),
        (("id", "Project_Id"), "has the columns `project_id` and `Project_Id`"),
        (
            ("id", "_airbyte_raw_id"),
            "has a column `_airbyte_raw_id`, .* for example `_airbyte_raw_id` AS airbyte_raw_id",
        ),
        (("id", "_AirbyteMeta"), "has a column `_AirbyteMeta`"),
    ],
)
def test_columns_that_a_destination_would_merge_are_named(columns: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UnfitColumns, match=sentence):
        require_names(dict.fromkeys(columns, "String"))


def test_columns_with_names_of_their_own_are_allowed() -> None:
    require_names(dict.fromkeys(("id", "project_id", "airbyte_id", "_id", "plan", "plan_2"), "String"))
