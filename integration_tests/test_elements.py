"""`elements` of both ways to read events: the list gives them, for a query they are made of `elements_chain`."""

import random

from integration_tests.harness.connector import LIST, QUERY
from integration_tests.harness.in_process import sync_at
from posthog_server import DAY, SECOND, PostHog, account_with, event, microseconds
from posthog_server.elements import random_chain

START = microseconds("2026-01-01T00:00:00Z")


def test_a_thousand_random_chains_have_the_same_elements_in_both_ways() -> None:
    rng = random.Random(23)
    events = [event(START + place * SECOND, elements_chain=random_chain(rng)) for place in range(1000)]
    made = account_with({7: events})
    listed, queried = (
        {row["id"]: row for row in sync_at(START + DAY, PostHog(made), way=way)[0].records("events")}
        for way in (LIST, QUERY)
    )
    assert len(listed) == len(queried) == 1000
    seen = 0
    for id, row in listed.items():
        assert queried[id]["elements_chain"] == row["elements_chain"]
        assert len(queried[id]["elements"]) == len(row["elements"])
        for mine, theirs in zip(queried[id]["elements"], row["elements"], strict=True):
            assert {name: mine[name] for name in theirs} == theirs
            assert list(mine) == list(theirs)
            seen += 1
    assert seen > 2000


def test_a_chain_that_makes_the_list_fail_is_read_by_query() -> None:
    made = account_with({7: [event(START, elements_chain='a:nth-child="first"text="b"')]})
    output, _ = sync_at(START + DAY, PostHog(made), way=QUERY)
    (row,) = output.records("events")
    assert [(one["text"], one["nth_child"]) for one in row["elements"]] == [("b", None)]
