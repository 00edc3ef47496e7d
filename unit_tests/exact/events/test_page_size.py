"""How many rows a query asks for."""

from dataclasses import replace

import pytest

from source_posthog.exact.events.page_size import USUAL_LIMIT, PageSize

SMALL, LARGE = 300, 5000  # bytes an event


def after_full_pages(number: int, bytes_of_an_event: int, seconds: float = 1.0, size: PageSize | None = None) -> int:
    """The limit after so many full pages, the first of which is the small one that a new project begins with."""
    size = size or PageSize()
    for _ in range(number):
        size.answered(size.limit, size.limit, size.limit, size.limit * bytes_of_an_event, seconds)
    return size.limit


def known(limit: int = USUAL_LIMIT) -> PageSize:
    """After a first page."""
    return PageSize(limit=limit, is_first=False)


def test_it_begins_small_goes_on_with_ten_thousand_rows_and_grows_while_pages_are_light_and_come_fast() -> None:
    assert [after_full_pages(pages, SMALL) for pages in (0, 1, 2, 3, 6, 9)] == [
        *(2000, 10_000, 10_000, 20_000),
        *(20_000, 20_000),
    ]


def test_it_does_not_grow_where_pages_take_long_or_weigh_much() -> None:
    assert after_full_pages(20, SMALL, seconds=5.0) == 10_000
    assert after_full_pages(20, 1400) == 10_000


def test_large_events_come_in_pages_that_weigh_no_more_than_14_mb_but_of_no_fewer_than_a_thousand_rows() -> None:
    assert after_full_pages(1, LARGE) == 2800
    assert after_full_pages(1, 100_000) == 1000


def test_pages_that_are_not_full_change_nothing() -> None:
    for size in (PageSize(), known()):
        before = replace(size)
        for _ in range(20):
            size.answered(size.limit, size.limit, size.limit - 1, 1, 0.1)
        assert size == before


def test_it_shrinks_to_a_thousand_rows_before_less_time_is_to_be_asked_for_and_grows_again() -> None:
    size = known()
    assert [(size.too_slow(limit), size.limit) for limit in (10_000, 2500, 1000)] == [
        *((True, 2500), (True, 1000)),
        (False, 1000),
    ]
    assert after_full_pages(12, SMALL, size=size) == 16_000


def test_a_first_page_that_is_too_slow_is_not_followed_by_a_larger_one() -> None:
    size = PageSize()
    assert size.too_slow(2000)
    assert after_full_pages(1, SMALL, size=size) == 1000


def test_pages_that_were_asked_for_at_the_same_time_and_are_too_slow_shrink_it_once() -> None:
    size = known()
    assert [size.too_slow(10_000) for _ in range(3)] == [True] * 3
    assert size.limit == 2500


@pytest.mark.parametrize("echoed", [100, 5000])
def test_a_smaller_limit_of_the_servers_is_the_most(echoed: int) -> None:
    size = known()
    size.answered(10_000, echoed, echoed, echoed * SMALL, 0.1)
    assert size.limit == echoed
    assert after_full_pages(20, SMALL, size=size) == echoed
    assert size.too_slow(echoed) is (echoed > 1000)


@pytest.mark.parametrize("echoed", [None, "100", 0, 10_000, 60_000])
def test_what_is_no_smaller_limit_is_not_taken_for_one(echoed: object) -> None:
    size = known()
    size.answered(10_000, echoed, 10_000, 10_000 * 1400, 0.1)
    assert size.limit == 10_000


def test_an_old_page_that_is_too_slow_does_not_enlarge_it_again() -> None:
    size = known()
    assert [size.too_slow(limit) for limit in (10_000, 2500, 10_000)] == [True] * 3
    assert size.limit == 1000
