"""How many rows a query asks for."""

import pytest

from source_posthog.exact.events.page_size import BYTES_OF_A_PAGE, BYTES_OF_LIGHT_ROWS, USUAL_LIMIT, PageSize, RowBytes

SMALL, LARGE = 300, 5000  # bytes an event


def after_full_pages(number: int, bytes_of_an_event: int, seconds: float = 1.0, size: PageSize | None = None) -> int:
    """The limit after so many full pages, the first of which is the small one that a new project begins with."""
    size = size or PageSize()
    for _ in range(number):
        size.answered(size.limit, size.limit, size.limit, size.limit * bytes_of_an_event, seconds)
    return size.limit


def known(limit: int = USUAL_LIMIT) -> PageSize:
    """After a first page."""
    return PageSize(stands=limit, is_first=False)


def test_it_begins_small_goes_on_with_ten_thousand_rows_and_grows_while_pages_are_light_and_come_fast() -> None:
    assert [after_full_pages(pages, SMALL) for pages in (0, 1, 2, 3, 6, 9)] == [
        *(2000, 20_000, 20_000, 40_000),
        *(40_000, 40_000),
    ]


def test_it_does_not_grow_where_pages_take_long() -> None:
    assert after_full_pages(20, SMALL, seconds=5.0) == 10_000


@pytest.mark.parametrize("bytes_of_an_event", [LARGE, 100_000, 1_000_000])
def test_events_come_in_pages_of_one_weight_however_large_they_are(bytes_of_an_event: int) -> None:
    assert after_full_pages(1, bytes_of_an_event) == BYTES_OF_A_PAGE // bytes_of_an_event
    assert after_full_pages(9, 10 * BYTES_OF_A_PAGE) == 1
    assert after_full_pages(3, 2_000) == BYTES_OF_LIGHT_ROWS // 2_000


def test_a_project_begins_with_what_is_known_of_another_one() -> None:
    shared = RowBytes()
    after_full_pages(1, 100_000, size=PageSize(others=shared))
    assert PageSize(others=shared).limit == 160
    assert PageSize(others=shared, row_bytes=SMALL).limit == 2000


def test_a_few_rows_say_nothing_of_others_and_a_page_that_is_not_half_full_nothing_of_the_server() -> None:
    size = known()
    for _ in range(20):
        size.answered(10_000, 10_000, 19, 19_000_000, 0.1)
    assert size.limit == 10_000
    for _ in range(20):
        size.answered(10_000, 10_000, 4_999, 4_999 * SMALL, 0.1)
    assert size.limit == 10_000
    for _ in range(3):
        size.answered(10_000, 10_000, 5_000, 5_000 * SMALL, 0.1)
    assert size.limit == 20_000


def test_it_shrinks_to_a_thousand_rows_before_less_time_is_to_be_asked_for_and_grows_again() -> None:
    size = known()
    assert [(size.too_slow(limit), size.limit) for limit in (10_000, 2500, 1000)] == [
        *((True, 2500), (True, 1000)),
        (False, 1000),
    ]
    assert after_full_pages(12, SMALL, size=size) == 16_000


def test_an_answer_that_is_too_large_is_asked_for_with_few_rows_down_to_one() -> None:
    size, asked = known(), list[int]()
    while size.too_large(size.limit):
        asked.append(size.limit)
    assert asked == [1_250, 156, 19, 2, 1]
    size.answered(1, 1, 1, 32_000_000, 0.1)
    assert size.limit == 1


def test_what_seemed_too_large_is_asked_for_with_more_rows_once_it_is_known() -> None:
    size = known()
    size.too_large(10_000)
    size.answered(1_250, 1_250, 1_250, 1_250 * 4_000, 0.1)
    assert size.limit == 4_000


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


def test_what_is_usual_is_known_before_the_first_page() -> None:
    assert (PageSize().usual, known(5_000).usual, PageSize(most=100).usual) == (10_000, 5_000, 100)
