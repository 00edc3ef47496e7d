"""How many rows of a list are asked for."""

import random

from source_posthog.streams.lists import MOST_PATIENCE, RowLimit


def asked_for(limit: RowLimit, answers: str) -> list[int]:
    """What is asked for where PostHog cannot answer ("-") and where it can ("+")."""
    rows = []
    for answer in answers:
        rows.append(limit.rows)
        limit.answered() if answer == "+" else limit.failed()
    return rows


def test_a_page_that_is_too_much_is_followed_by_a_quarter_of_it_down_to_one() -> None:
    assert asked_for(RowLimit(1000, 1000), "-------") == [1000, 250, 62, 15, 3, 1, 1]


def test_a_larger_page_that_fails_is_tried_less_and_less_often() -> None:
    answers = "-+-++-++++-++++++++-"
    rows = asked_for(RowLimit(1000, 1000), answers)
    assert [one for one, answer in zip(rows, answers, strict=True) if answer == "-"] == [1000] * 5
    assert {one for one, answer in zip(rows, answers, strict=True) if answer == "+"} == {250}


def test_a_larger_page_that_is_answered_is_followed_by_larger_ones_at_once() -> None:
    limit = RowLimit(1000, 1000)
    asked_for(limit, "---+-++-")  # two tries of 60 have failed
    assert asked_for(limit, "+++++++") == [15, 15, 15, 15, 60, 240, 960]
    assert limit.rows == 1000


def test_it_never_asks_for_more_than_the_most_or_less_than_one_row() -> None:
    rng = random.Random(1)
    for _ in range(200):
        most = rng.randrange(1, 1200)
        limit = RowLimit(most, most)
        rows = asked_for(limit, "".join(rng.choice("+++--") for _ in range(200)))
        assert 1 <= min(rows) <= max(rows) == most
        assert limit.patience <= MOST_PATIENCE
        asked_for(limit, "+" * (6 * MOST_PATIENCE))
        assert limit.rows == most
