"""`events_api: list` where PostHog no longer has that list: events are read by queries, from wherever the sync is."""

import random
from collections import Counter
from typing import Any
from unittest.mock import ANY

import pytest

from integration_tests.harness.connection import LATER, NOW, START, connection, late
from integration_tests.harness.connector import LIST, QUERY, Output, config, expected_keys, run
from integration_tests.harness.in_process import answers_from, now_is, sync, sync_at, unread_states
from posthog_server import (
    DAY,
    SECOND,
    Account,
    Event,
    EventTable,
    Fault,
    Key,
    PostHog,
    PostHogServer,
    Project,
    account_with,
    event,
    make_events,
    missing_scope,
)

HOUR = 3600 * SECOND
SAID = "PostHog no longer has its events list"


def gone_after(posthog: PostHog, requests: int) -> PostHog:
    """The list answers so many requests, and then is gone."""
    see = posthog._see

    def seen(*arguments: Any) -> Any:
        one = see(*arguments)
        posthog.without_event_list = posthog.count("events") > requests
        return one

    posthog._see = seen  # type: ignore[method-assign, assignment]
    return posthog


def varied(seed: int) -> Account:
    """Two projects of bursts and ties, more than a page of each, and one of a few events."""
    rng = random.Random(seed)
    events: dict[int, list[Event]] = {9: [event(START + DAY)]}
    for project in (7, 8):
        events[project] = make_events(900, rng, start=START, span=59 * DAY, project=project)
        events[project] += make_events(230, rng, start=START + rng.randrange(50) * DAY, span=1, project=project)
        events[project] += make_events(400, rng, start=START + rng.randrange(50) * DAY, span=9 * SECOND)
    return account_with(events)


def read(posthog: PostHog, **options: Any) -> Output:
    return sync_at(NOW, posthog, way=LIST, **{"start_date": "2026-01-01T00:00:00Z", **options})[0]


@pytest.mark.parametrize(
    "seed", [seed if seed < 6 else pytest.param(seed, marks=pytest.mark.only_long) for seed in range(12)]
)
def test_wherever_the_list_goes_every_event_is_emitted_once_and_it_is_said_once(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    made = varied(seed)
    requests = 0 if seed == 0 else rng.choice((1, 2, 5, 10, 20, 40))
    posthog = gone_after(PostHog(made, cap=100, query_cap=100, any_tie_order=seed % 2 == 0), requests)
    output = read(posthog, num_workers=rng.choice((2, 10)), events_time_step=rng.choice((7, 30)))
    assert output.status == 0, output.errors
    assert output.keys("events") == expected_keys(made)["events"]
    assert unread_states(output.messages, {one.id: list(one.events) for one in made.projects.values()}, {}) == []
    assert caplog.text.count(SAID) == 1
    assert posthog.count("query") > 10
    assert all(most <= 3 for most in posthog.max_queries_at_once.values())


def test_a_list_that_is_gone_from_the_start_is_read_as_queries_read_it_best() -> None:
    """By the map of days, and days of many events in the order of storage; the list is asked for once."""
    made = account_with({7: [event(NOW - DAY + place * SECOND) for place in range(700)]})
    posthogs = [PostHog(made, cap=100, query_cap=100, without_event_list=True) for _ in range(2)]
    options = {"start_date": "2026-02-25T00:00:00Z", "num_workers": 2}
    outputs = [sync_at(NOW, one, way=way, **options)[0] for one, way in zip(posthogs, (LIST, QUERY), strict=True)]
    assert [output.keys("events") for output in outputs] == [expected_keys(made)["events"]] * 2
    assert outputs[0].states[-1] == outputs[1].states[-1]
    assert [posthog.count("events") for posthog in posthogs] == [1, 0]
    assert [kinds(posthog) for posthog in posthogs] == [{"HogQLQuery": 1, "EventsQuery": ANY}] * 2
    assert abs(posthogs[0].count("query") - posthogs[1].count("query")) <= 1


def kinds(posthog: PostHog) -> Counter[str]:
    return Counter(seen.body["query"]["kind"] for seen in posthog.requests if seen.stream == "query")


def test_the_state_of_either_way_is_gone_on_with() -> None:
    connected = connection(events_lookback_hours=0)
    connected.sync(NOW)
    seen = {*expected_keys(connected.account)["events"]}
    connected.posthog.without_event_list = True
    for place in range(3):
        at = LATER + place * 6 * HOUR
        new = connected.add(late(3 * DAY, arrives=at - HOUR), event(at - 2 * HOUR), event(at - 2 * HOUR + 1))
        output = connected.sync(at)
        assert output.status == 0, output.errors
        assert {*new} <= {*output.keys("events")}
        assert len(output.keys("events")) <= len(new) + 2
        seen |= {*output.keys("events")}
    connected.posthog.without_event_list = False
    new = connected.add(event(LATER + 20 * HOUR))
    assert {*new} <= {*connected.sync(LATER + DAY).keys("events")}
    assert connected.posthog.count("query") == 0
    assert seen | {*new} == {*expected_keys(connected.account)["events"]}


def test_names_and_time_zones_are_asked_for_in_the_other_way_too() -> None:
    made = account_with({})
    made.projects[7] = Project(
        7,
        events=EventTable([event(NOW - DAY, event=name) for name in ("a", "b")]),
        settings={"timezone": "Asia/Tokyo"},
    )
    for requests in range(4):
        posthog = gone_after(PostHog(made), requests)
        output = read(posthog, events_include=["a"], start_date="2026-02-20T00:00:00Z")
        assert [row["event"] for row in output.records("events")] == ["a"]


def test_a_key_without_the_scope_fails_with_the_sentence_of_any_other_sync() -> None:
    posthog = PostHog(account_with({7: [event(START)]}), without_event_list=True)
    posthog.account.add_key(Key("phx_limited", frozenset({"project:read"})))
    output = read(posthog, api_key="phx_limited")
    assert output.status == 1
    assert "'query:read'" in output.errors[0]
    assert "Add that scope to the key" in output.errors[0]


def test_where_queries_are_refused_the_sync_fails_with_their_sentence() -> None:
    posthog = PostHog(account_with({7: [event(START)]}), without_event_list=True)
    posthog.faults.add(Fault(stream="query", times=None, **missing_scope("query:read")))
    output = read(posthog)
    assert (output.status, output.records("events")) == (1, [])
    assert "'query:read'" in output.errors[0]


def test_check_succeeds_where_queries_can_be_asked(caplog: pytest.LogCaptureFixture) -> None:
    with PostHogServer(account_with({7: [event(START)]}), without_event_list=True) as server:
        output = run("check", config=config(server.url))
    assert output.connection == ("SUCCEEDED", "")
    assert sum(SAID in line for line in output.logs) == 1
    assert not any("cannot be read" in line for line in output.logs)


def test_two_syncs_of_one_process_find_it_out_each_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    posthog = PostHog(account_with({7: [event(START + DAY)]}), without_event_list=True)
    for gone in (True, True, False):
        posthog.without_event_list = gone
        posthog.reset()
        with answers_from(posthog), now_is(NOW):
            assert len(sync(start_date="2026-01-01T00:00:00Z").records("events")) == 1
        assert (posthog.count("query") > 0) == gone
    assert caplog.text.count(SAID) == 2
