"""Instants as PostHog and states write them."""

from datetime import datetime, timedelta, timezone

import pytest

from source_posthog.exact.instants import EARLIEST, duration, earlier, instant, iso


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T02:00:00.5+02:00",
        "2026-01-01T02:00:00.5+0200",
        "2025-12-31T16:00:00.5-08:00",
        "2026-01-01T00:00:00.500000Z",
        "2026-01-01T00:00:00.500000+00:00",
        "2026-01-01T00:00:00.5000000009Z",
        "2026-01-01T00:00:00.5",
        "20260101T000000.500000Z",
        "2026-01-01 00:00:00.5",
        "2026-01-01 00:00:00.5+00:00",
    ],
)
def test_every_form_of_iso_8601_names_the_same_instant(text: str) -> None:
    at = instant(text)
    assert at == datetime(2026, 1, 1, microsecond=500_000, tzinfo=timezone.utc)
    assert type(at) is datetime


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00"])
def test_an_instant_without_a_fraction_is_understood(text: str) -> None:
    assert instant(text) == datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-01-01", "12:00", "P1D", "2026-13-01T00:00:00Z", "2026-01-01/2026-02-01", None, 5, b"x"]
)
def test_what_is_no_instant_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r".*"):
        instant(text)


def test_an_instant_is_written_in_utc_without_a_plus_that_could_go_unencoded() -> None:
    zone = timezone(timedelta(hours=2))
    assert iso(datetime(2026, 1, 1, 2, tzinfo=zone)) == "2026-01-01T00:00:00.000000Z"
    assert instant(iso(datetime(2026, 1, 1, 2, 3, 4, 5, tzinfo=zone))) == datetime(2026, 1, 1, 2, 3, 4, 5, tzinfo=zone)


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01"])
def test_an_instant_that_utc_has_no_year_for_is_not_written(text: str) -> None:
    with pytest.raises(ValueError, match="is no instant that can be written in UTC"):
        iso(instant(text))


@pytest.mark.parametrize(
    ("text", "expected"), [("P2D", timedelta(days=2)), ("PT1H", timedelta(hours=1)), ("", timedelta(0))]
)
def test_a_duration_is_read(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


def test_what_names_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an ISO 8601 duration"):
        duration("2026-01-01")


def test_nothing_is_earlier_than_what_posthog_can_store() -> None:
    hour = timedelta(hours=1)
    assert earlier(EARLIEST + 2 * hour, hour) == EARLIEST + hour
    assert earlier(EARLIEST + hour / 2, hour) == EARLIEST
