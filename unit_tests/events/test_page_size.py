"""How many rows a query asks for."""

import pytest

from source_posthog.events.page_size import PageSize

SMALL, LARGE = 300, 5000  # bytes an event


def after_full_pages(number: int, bytes_of_an_event: int, seconds: float = 1.0, size: PageSize | None = None) -> int:
    """The limit after so many full pages."""
    size = size or PageSize()
    for _ in range(number):
        size.answered(size.limit, size.limit, size.limit, size.limit * bytes_of_an_event, seconds)
    return size.limit


def test_it_begins_with_ten_thousand_rows_and_grows_while_pages_are_small_and_come_fast() -> None:
    assert [after_full_pages(pages, SMALL) for pages in (0, 2, 3, 6, 9, 12)] == [
        *(10_000, 10_000, 20_000),
        *(40_000, 50_000, 50_000),
    ]


def test_it_does_not_grow_where_pages_take_long_or_weigh_much() -> None:
    assert after_full_pages(20, SMALL, seconds=5.0) == 10_000
    assert after_full_pages(20, 1600) == 10_000


def test_large_events_come_in_pages_that_weigh_no_more_than_16_mb_but_of_no_fewer_than_a_thousand_rows() -> None:
    assert after_full_pages(1, LARGE) == 3200
    assert after_full_pages(1, 100_000) == 1000


def test_pages_that_are_not_full_change_nothing() -> None:
    size = PageSize()
    for _ in range(20):
        size.answered(10_000, 10_000, 9_999, 1, 0.1)
    assert size == PageSize()


def test_it_shrinks_to_a_thousand_rows_before_less_time_is_to_be_asked_for_and_grows_again() -> None:
    size = PageSize()
    assert [(size.too_slow(limit), size.limit) for limit in (10_000, 2500, 1000)] == [
        *((True, 2500), (True, 1000)),
        (False, 1000),
    ]
    assert after_full_pages(12, SMALL, size=size) == 16_000


def test_pages_that_were_asked_for_at_the_same_time_and_are_too_slow_shrink_it_once() -> None:
    size = PageSize()
    assert [size.too_slow(10_000) for _ in range(3)] == [True] * 3
    assert size.limit == 2500


@pytest.mark.parametrize("echoed", [100, 5000])
def test_a_smaller_limit_of_the_servers_is_the_most(echoed: int) -> None:
    size = PageSize()
    size.answered(10_000, echoed, echoed, echoed * SMALL, 0.1)
    assert size.limit == echoed
    assert after_full_pages(20, SMALL, size=size) == echoed
    assert size.too_slow(echoed) is (echoed > 1000)


@pytest.mark.parametrize("echoed", [None, "100", 0, 10_000, 60_000])
def test_what_is_no_smaller_limit_is_not_taken_for_one(echoed: object) -> None:
    size = PageSize()
    size.answered(10_000, echoed, 10_000, 10_000 * 1600, 0.1)
    assert size.limit == 10_000
