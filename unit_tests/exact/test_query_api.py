"""What an answer of the query API proves: the table of what it can say, and what is believed of it."""

import itertools
from typing import Any

import pytest

from source_posthog.exact.errors import TooDeep, UntrueAnswer
from source_posthog.exact.query_api import is_whole, limit_in_force


@pytest.mark.parametrize("more", [None, False, True])
@pytest.mark.parametrize(("rows", "echoed"), itertools.product([1, 4, 5, 6, 9, 10, 11], [None, 5, 10, 50_000]))
def test_fewer_rows_than_the_limit_in_force_are_all_unless_it_says_that_there_is_more(
    rows: int, echoed: int | None, more: bool | None
) -> None:
    answer = {"results": [[1]] * rows, "limit": echoed, "hasMore": more}
    assert is_whole(answer, 10) == (not more and rows < min(10, echoed or 10))


def test_no_rows_are_all() -> None:
    assert is_whole({"results": []}, 10)
    assert is_whole({"results": [], "hasMore": False, "limit": 10, "error": None, "is_cached": False}, 10)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"results": [], "error": "a  fault\nof two lines"}, r"answers with an error \(a fault of two lines\)$"),
        ({"results": [], "error": "x" * 999}, r"error \(x{300}\)$"),
        ({"results": [[1]], "is_cached": True}, "an earlier answer"),
        ({"results": None}, "no list of `results`"),
        ({}, "no list of `results`"),
        ({"results": [], "hasMore": True}, "an empty page says that there is more"),
        ({"results": [], "hasMore": "no"}, "does not say whether there is more"),
        *(({"results": [], "limit": limit}, "is not a number of rows") for limit in (0, -1, "10", True, 1.5)),
    ],
)
def test_an_answer_that_cannot_be_believed_is_an_error(answer: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UntrueAnswer, match=sentence):
        is_whole(answer, 10)


def test_where_it_must_say_whether_there_is_more_silence_is_an_error() -> None:
    assert is_whole({"results": []}, 10)
    with pytest.raises(UntrueAnswer, match="does not say whether there is more"):
        is_whole({"results": []}, 10, must_say=True)


def test_the_limit_in_force_is_the_smaller_one() -> None:
    assert [limit_in_force({"limit": echoed}, 10) for echoed in (None, 5, 10, 20)] == [10, 5, 10, 10]


def test_what_is_nested_too_deeply_says_how_deeply() -> None:
    assert str(TooDeep(3)) == "it is nested more than 3 levels deep"
