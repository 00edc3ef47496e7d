"""Dates as people write them."""

import pytest

from source_posthog.inputs.dates import date_fault, utc_date


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00+0200", "2026-01-01T00:00:00Z"),
        ("2025-12-31T20:30:00-03:30", "2026-01-01T00:00:00Z"),
        ("2026-01-01 02:00:00 +02", "2026-01-01T00:00:00Z"),
        ("2026-01-01t00:00:00z", "2026-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_second_with_a_zone_is_converted(written: str, meant: str) -> None:
    assert utc_date(written) == meant


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("2026-02-30T00:00:00Z", "2026-02-30T00:00:00Z does not exist"),
        ("2026-01-01T24:30:00+02:00", "2026-01-01T24:30:00+02:00 does not exist"),
        ("2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+25:00 does not exist"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00+05:00 does not exist"),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z has a fraction of a second: write 2026-01-01T00:00:00Z"),
        (
            "2026-01-01T02:00:00.5+02:00",
            "2026-01-01T02:00:00.5+02:00 has a fraction of a second: write 2026-01-01T00:00:00Z",
        ),
        ("2026-01-01", "2026-01-01 has no time: write 2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00 has no time zone: write 2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00+02:00", "2026-01-01T02:00+02:00 has no seconds: write 2026-01-01T00:00:00Z"),
        ("01/02/2026", "01/02/2026 is in another form"),
        ("1767225600", "1767225600 is in another form"),
        ("٢٠٢٦-01-01T00:00:00Z", ""),
        ("yesterday", ""),
        ("phx_a_key_in_the_wrong_place", ""),
    ],
)
def test_any_other_stays_and_its_fault_is_named(written: str, fault: str) -> None:
    assert utc_date(written) == written
    assert date_fault(written) == fault
