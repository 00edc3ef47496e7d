"""The events list: what is asked, and when its `next: null` is true."""

import json
from datetime import datetime, timedelta

import pytest

from source_posthog.exact.events import event_list
from source_posthog.exact.events.port import Query, Row
from unit_tests.exact.events.support import DAY, HOUR, LIMIT, MINUTE, MONTH, SECOND, START, US, text

END = START + MONTH
SPANS = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)


def rows(number: int, oldest: datetime) -> list[Row]:
    """`number` rows, the last of them at `oldest`."""
    return [{"id": f"{place}", "timestamp": text(END - US)} for place in range(number - 1)] + [
        {"id": "oldest", "timestamp": text(oldest)}
    ]


def is_complete(number: int, oldest: datetime, length: timedelta = MONTH, following: str | None = None) -> bool:
    return event_list.page(Query(7, END - length, END), LIMIT, rows(number, oldest), following).complete


@pytest.mark.parametrize("span", SPANS, ids=str)
@pytest.mark.parametrize(("shift", "expected"), [(0 * US, False), (US, True)], ids=["at the span", "below it"])
def test_next_null_is_believed_only_where_the_oldest_row_lies_below_the_longest_span(
    span: timedelta, shift: timedelta, expected: bool
) -> None:
    """The range is of the longest span shorter than it: for 5 minutes, of more than 5 and at most 15."""
    longer = next((one for one in SPANS if one > span), MONTH)
    assert is_complete(500, END - span - shift, length=longer - US) is expected


@pytest.mark.parametrize("span", SPANS, ids=str)
def test_the_server_looks_at_a_span_only_if_it_is_shorter_than_the_range_between_the_exclusive_bounds(
    span: timedelta,
) -> None:
    """`after` lies a microsecond before the range, so a range of just the span is longer than it for the server."""
    below = [one for one in SPANS if one < span]
    oldest = END - max(below) - US if below else END - US
    assert is_complete(500, oldest, length=span - US) is True
    assert is_complete(500, oldest, length=span) is False


def test_a_page_within_the_last_minute_of_a_long_range_is_not_believed() -> None:
    assert not is_complete(500, END - SECOND)
    assert not is_complete(999, END - US)


@pytest.mark.parametrize(("number", "expected"), [(1, True), (49, True), (50, False), (51, False), (99, False)])
def test_a_page_of_fewer_rows_than_half_of_the_smallest_page_is_believed(number: int, expected: bool) -> None:
    assert is_complete(number, END - SECOND) is expected


def test_an_empty_page_is_believed() -> None:
    assert event_list.page(Query(7, START, END), LIMIT, [], None).complete


@pytest.mark.parametrize("number", [1, 49, 50, 1000])
def test_a_page_with_next_is_never_the_whole(number: int) -> None:
    assert not is_complete(number, START, following="https://posthog/?before=...")


@pytest.mark.parametrize("oldest", [{"id": "x"}, {"id": "x", "timestamp": "yesterday"}, {"id": "x", "timestamp": None}])
def test_a_page_whose_oldest_row_has_no_instant_proves_nothing(oldest: Row) -> None:
    page = event_list.page(Query(7, START, END), LIMIT, [*rows(60, END - SECOND), oldest], None)
    assert not page.complete
    assert page.rows[-1] == oldest


def test_the_bounds_asked_for_are_exclusive_at_microseconds() -> None:
    assert event_list.parameters(Query(7, START, END), LIMIT) == {
        "after": "2025-12-31T23:59:59.999999Z",
        "before": "2026-01-31T00:00:00.000000Z",
        "limit": "1000",
    }


def test_where_fewer_rows_are_asked_for_than_any_server_gives_half_of_them_prove_nothing() -> None:
    def is_whole(number: int) -> bool:
        return event_list.page(Query(7, START, END), 20, rows(number, END - SECOND), None).complete

    assert [is_whole(number) for number in (9, 10, 20)] == [True, False, False]


def test_the_first_event_is_asked_for_from_the_other_end() -> None:
    assert event_list.parameters(Query(7, START, END), 1, oldest_first=True)["orderBy"] == '["timestamp"]'


def test_ties_are_asked_for_by_the_digits_of_their_ids() -> None:
    asked = event_list.parameters(Query(7, START, START + US, like="__a3", unlike=("12a3", "13a3")), LIMIT)
    assert json.loads(asked["properties"]) == [
        {"type": "hogql", "key": "toString(uuid) like '__a3'"},
        {"type": "hogql", "key": "toString(uuid) != '12a3'"},
        {"type": "hogql", "key": "toString(uuid) != '13a3'"},
    ]


def test_what_arrived_from_an_instant_on_is_asked_for_by_created_at() -> None:
    asked = event_list.parameters(Query(7, START, END, like="_f", arrived_from=START + SECOND / 2), LIMIT)
    assert json.loads(asked["properties"]) == [
        {"type": "hogql", "key": "toString(uuid) like '_f'"},
        {"type": "hogql", "key": "created_at >= toDateTime('2026-01-01T00:00:00.500000Z')"},
    ]
