"""Days of many events, by query: read in the order of storage, whatever happens, and at what they cost."""

import random
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from airbyte_cdk.utils import AirbyteTracedException

from integration_tests.harness.connector import CAP, Output, events_state
from integration_tests.harness.dense import (
    HOUR,
    NAMES,
    START,
    at,
    claims_without_record,
    dense,
    half_days,
    ids,
    kind_of_query,
    kinds_of_queries,
    server,
    sparse,
    until_half_day,
)
from integration_tests.harness.in_process import answers_from, messages, now_is, sync
from posthog_server import DAY, Age, EventTable, Fault, PostHog

NOW = START + 20 * DAY + 5 * HOUR


ONLY_LONG = pytest.mark.only_long  # one of each kind runs in `make test`

# Pages of a hundred rows from the first on, not of ten thousand.
pytestmark = pytest.mark.usefixtures("by_ranges")


def read(posthog: PostHog, state: dict[str, Any] | None = None, at: int = NOW, **options: Any) -> Output:
    with answers_from(posthog), now_is(at):
        return sync(events_state(state) if state else None, **options)


def newest_only(posthog: PostHog, output: Output, at: int = NOW) -> bool:
    """Whether the next sync repeats nothing but the newest events, at whose instant more can have come in."""
    repeated = read(posthog, output.states[-1], at=at).records("events")
    return all(row["timestamp"] == output.states[-1][str(row["project_id"])]["timestamp"] for row in repeated)


# --- every event once


def test_days_of_many_events_are_read_once_between_days_of_few() -> None:
    posthog = server(
        dense(3, 1500) + dense(4, 700) + sparse(range(5, 19)) + dense(19, 250), dense(1, 130), sparse(range(9))
    )
    output = read(posthog)
    assert output.status == 0, output.errors
    assert output.keys("events") == ids(posthog)
    assert claims_without_record(posthog, output) == []
    assert kinds_of_queries(posthog)["map of days"] == 3
    assert kinds_of_queries(posthog)["keys"] > 20
    assert newest_only(posthog, output)


def test_a_sync_that_is_idle_asks_no_more_than_before() -> None:
    posthog = server(dense(3, 1500), sparse(range(9)))
    state = read(posthog).states[-1]
    posthog.requests.clear()
    read(posthog, state)
    assert kinds_of_queries(posthog) == {"time": 4}  # of each project what arrived late, and what is new


@pytest.mark.parametrize("seed", range(4))
def test_random_days_are_read_once_whatever_their_keys(seed: int) -> None:
    rng = random.Random(seed)
    events = [
        one for day in range(6) for one in dense(day, rng.choice((0, 5, 90, 150, 400)), seed, rng.choice((1, 9, 300)))
    ]
    for one in rng.sample(events, 9):
        one.unmerged = True
    posthog = server(events, query_cap=rng.choice((30, 100)))
    output = read(posthog)
    assert output.keys("events") == ids(posthog)
    assert claims_without_record(posthog, output) == []


@pytest.mark.parametrize("option", ["events_include", "events_exclude"])
def test_of_random_days_those_events_are_read_that_are_wanted_and_no_others_are_counted(
    option: str, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(option)
    events = [one for day, number in enumerate((90, 5, 600, 150)) for one in dense(day, number, 1)]
    some = rng.sample([name for name in NAMES[1:] if name], 4)  # an empty one cannot be named
    named = [NAMES[0], *some] if option == "events_include" else some
    posthog = server(events)
    options: Any = {option: named}
    output = read(posthog, **options)
    wanted = [one for one in events if (one.event in named) == (option == "events_include")]
    assert output.keys("events") == sorted((7, one.id) for one in wanted)
    posthog.account.projects[7].events = EventTable(wanted)
    assert claims_without_record(posthog, output) == []
    assert "fewer" not in caplog.text
    assert kinds_of_queries(posthog)["map of keys"] > 3


def test_events_of_one_id_are_several_where_they_differ_in_name_or_person() -> None:
    events = dense(3, 400)
    for other in events[1:6]:
        other.id = events[0].id
    posthog = server(events)
    assert len(read(posthog).records("events")) == 400


def test_a_day_with_many_events_of_a_name_that_hogql_cannot_say_is_read_by_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "airbyte")
    events = dense(3, 600)
    for one in events[:250]:
        one.event = "nul\0"
    posthog = server(events)
    assert read(posthog).keys("events") == ids(posthog)
    assert caplog.text.count("2026-01-04 is read by time") == 1


# --- stops


@pytest.mark.parametrize("lines", [pytest.param(60, marks=ONLY_LONG), 350, 800, pytest.param(1400, marks=ONLY_LONG)])
def test_a_sync_that_is_stopped_within_a_day_is_gone_on_with_and_finds_what_arrived(lines: int) -> None:
    posthog = server(dense(3, 1500) + sparse(range(4, 9)))
    with answers_from(posthog), now_is(NOW):
        got = list(islice(messages(None), lines))
    first = Output(got, "", 1)
    assert claims_without_record(posthog, first) == []
    late = dense(3, 60, seed=5) + dense(8, 2, seed=5)
    for one in late:
        one.created_at = NOW + HOUR // 2
    posthog.account.projects[7].add_events(late)
    second = read(posthog, first.states[-1] if first.states else None, at=NOW + 2 * HOUR)
    assert second.status == 0, second.errors
    assert sorted({*first.keys("events"), *second.keys("events")}) == ids(posthog)
    assert max(Counter(second.keys("events")).values()) == 1
    if first.states:
        repeated = {*first.keys("events")} & {*second.keys("events")}
        assert len(repeated) <= 3 * CAP
    assert newest_only(posthog, second, at=NOW + 4 * HOUR)


@pytest.mark.parametrize("place", [pytest.param(1, marks=ONLY_LONG), 9])
def test_a_backfill_is_read_in_the_order_of_storage_too_and_gone_on_with_within_a_day(place: int) -> None:
    posthog = server(dense(2, 700) + dense(3, 900) + sparse(range(12, 14)))
    state = read(posthog, start_date="2026-01-11T00:00:00Z")
    posthog.account.projects[7].add_events(dense(14, 300))  # a dense day that is new is read beside it
    posthog.requests.clear()
    with answers_from(posthog), now_is(NOW + HOUR):
        first = Output(list(until_half_day(messages(state.state), place, of_backfill=True)), "", 1)
    more = dense(3, 30, seed=6) + dense(2, 9, seed=6)
    for one in more:
        one.created_at = NOW + HOUR + HOUR // 2
    posthog.account.projects[7].add_events(more)
    second = read(posthog, first.states[-1], at=NOW + 3 * HOUR)
    assert claims_without_record(posthog, state, first, second) == []
    assert sorted({*state.keys("events"), *first.keys("events"), *second.keys("events")}) == ids(posthog)
    assert max(Counter(second.keys("events")).values()) == 1
    assert len({*first.keys("events")} & {*second.keys("events")}) <= 3 * CAP
    assert "before" not in second.states[-1]["7"]
    assert kinds_of_queries(posthog)["map of days"] >= 2
    assert kinds_of_queries(posthog)["keys"] > kinds_of_queries(posthog)["time"]
    assert newest_only(posthog, second, at=NOW + 5 * HOUR)


def half_read(posthog: PostHog) -> dict[str, Any]:
    """The last state that says how far a day is read."""
    with answers_from(posthog), now_is(NOW):
        got = [one for one in messages(None) if one["type"] == "STATE"]
    return [state for state in Output(got, "", 0).states if "day" in state["7"]][-1]


def test_the_state_says_how_far_a_day_is_read() -> None:
    entry = half_read(server(dense(3, 1500)))["7"]
    assert entry["timestamp"] == entry["day"]["start"] == "2026-01-04T00:00:00.000000Z"
    assert entry["day"].keys() == {"start", "end", "event", "distinct_id", "uuid", "began", "newest"}


@pytest.mark.parametrize(
    "back", [{"events_api": "list"}, {"events_late_days": 0}, {"start_date": "2026-01-04T06:00:00Z"}]
)
def test_the_next_sync_may_be_another_one(back: dict[str, Any]) -> None:
    posthog = server(dense(2, 90) + dense(3, 1500) + sparse(range(4, 9)), cap=CAP)
    state = half_read(posthog)
    output = read(posthog, state, **back)
    low = at(back.get("start_date", state["7"]["timestamp"])) - (HOUR if "events_late_days" in back else 0)
    expected = sorted((7, one.id) for one in posthog.account.projects[7].events if one.at >= low)
    if "events_api" in back:  # reads that day again
        assert output.keys("events") == expected
    else:
        assert set(output.keys("events")) <= set(expected)
    if "events_late_days" in back:  # reads the hour before the state again, all of it
        hour = {(7, one.id) for one in posthog.account.projects[7].events if low <= one.at < low + HOUR}
        assert hour
        assert hour <= set(output.keys("events"))
    assert "day" not in output.states[-1]["7"]
    again = read(posthog, output.states[-1], **back).records("events")
    assert all(at(row["timestamp"]) >= at(output.states[-1]["7"]["timestamp"]) - HOUR for row in again)


def test_a_half_read_day_is_gone_on_with_by_windows_that_end_within_it(caplog: pytest.LogCaptureFixture) -> None:
    """They begin an hour before the state, and what is read of the day has its newest event in its last hour."""
    posthog = server(dense(2, 90) + dense(3, 1500) + sparse(range(4, 7)))
    with answers_from(posthog), now_is(NOW):
        first = Output(list(until_half_day(messages(), 4)), "", 1)
    assert at(half_days(first.states[-1]["7"])[0]["newest"]) - START > 4 * DAY - HOUR
    second = read(posthog, first.states[-1], events_late_days=0, events_time_step=1, num_workers=1)
    assert claims_without_record(posthog, first, second) == []
    assert {*first.keys("events"), *second.keys("events")} == {*ids(posthog)}
    assert "fewer" not in caplog.text


@pytest.mark.parametrize("lines", [pytest.param(20, marks=ONLY_LONG), 900])
def test_a_change_to_the_list_and_back_within_a_day_loses_nothing_and_repeats_nothing_beyond_it(lines: int) -> None:
    posthog = server(dense(2, 90) + dense(3, 1500))
    with answers_from(posthog), now_is(NOW):
        first = Output(list(until_half_day(messages(), 4)), "", 1)
        listed = Output(list(islice(messages(first.state, events_api="list"), lines)), "", 1)
    visits = [first, listed, read(posthog, (listed.states or first.states)[-1])]
    assert claims_without_record(posthog, *visits) == []
    times = Counter(key for visit in visits for key in visit.keys("events"))
    assert sorted(times) == ids(posthog)
    day = {(7, one.id) for one in posthog.account.projects[7].events if 3 * DAY <= one.at - START < 4 * DAY}
    assert {key for key in times if times[key] > 1} <= day
    assert "day" not in visits[-1].states[-1]["7"]


@pytest.mark.parametrize(
    "wrong",
    [{"distinct_id": "x"}, {"uuid": 5}, {"event": None}, {"start": "yesterday"}, {"uuid": str(2**64 + 1)}, "all of it"],
)
def test_a_state_that_does_not_say_how_far_a_day_is_read_is_refused_in_a_sentence(wrong: Any) -> None:
    posthog = server(dense(3, 300))
    entry = half_read(posthog)["7"]
    entry["day"] = {**entry["day"], **wrong} if isinstance(wrong, dict) else wrong
    sentence = "The state of project 7 in stream events does not say in its `day` how far a day was read. Correct the"
    with answers_from(posthog), now_is(NOW), pytest.raises(AirbyteTracedException, match=sentence):
        list(messages(events_state({"7": entry})))


def test_a_range_that_fails_when_it_is_asked_for_ahead_is_asked_for_again() -> None:
    posthog = server(dense(3, 1500))
    failing = Fault(stream="query", skip=6, times=9, when=lambda seen: kind_of_query(seen) == "keys", status=500)
    posthog.faults.add(failing)
    output = read(posthog)
    assert (output.status, output.keys("events")) == (0, ids(posthog))


def test_a_range_that_always_fails_fails_the_stream_and_the_next_sync_goes_on() -> None:
    posthog = server(dense(3, 1500))
    posthog.faults.add(
        Fault(stream="query", skip=6, times=None, when=lambda seen: kind_of_query(seen) == "keys", status=500)
    )
    output = read(posthog)
    assert output.status == 1
    assert claims_without_record(posthog, output) == []
    posthog.faults.clear()
    second = read(posthog, output.states[-1])
    assert sorted({*output.keys("events"), *second.keys("events")}) == ids(posthog)


# --- servers that cannot


def no_counts(status: int = 403) -> Fault:
    """Maps are refused."""
    return Fault(
        when=lambda seen: kind_of_query(seen).startswith("map"),
        stream="query",
        times=None,
        status=status,
        body={},
    )


@pytest.mark.parametrize("status", [400, 403, 404, 504])
def test_a_server_that_does_not_count_is_read_by_time(status: int, caplog: pytest.LogCaptureFixture) -> None:
    posthog = server(dense(3, 300))
    posthog.faults.add(no_counts(status))
    output = read(posthog)
    assert output.keys("events") == ids(posthog)
    assert kinds_of_queries(posthog)["keys"] == 0
    assert caplog.text.count("could not count the events") == 1


@pytest.mark.parametrize("age", Age)
def test_servers_of_all_ages_are_read_whole_and_an_old_one_which_knows_no_hashes_by_time(
    age: Age, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "airbyte")
    posthog = server(dense(3, 300), age=age)
    output = read(posthog)
    assert output.status == 0, output.errors
    assert output.keys("events") == ids(posthog)
    is_old = age is Age.JANUARY_2024
    assert caplog.text.count("cannot be asked in its order of storage") == is_old
    assert is_old or kinds_of_queries(posthog)["keys"] > 3


def test_fewer_events_than_were_counted_are_said_with_project_and_day(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "airbyte")
    events = dense(3, 300)
    events[5].unmerged = True
    posthog = server(events)
    output = read(posthog)
    assert output.keys("events") == ids(posthog)
    (line,) = [line for line in caplog.messages if "1 fewer" in line and "2026-01-04" in line]
    assert line.startswith("Stream events, project 7: 301 events of 2026-01-04 counted by PostHog, 300 emitted")


# --- costs


def test_a_dense_day_costs_its_own_bytes_and_not_those_of_the_whole_day_for_each_page() -> None:
    events = dense(3, 3000, people=2000, size=1500, busy=0)
    posthog, other = server(events, granule=16, counts_bytes=True), server(events, granule=16, counts_bytes=True)
    other.faults.add(no_counts())
    assert read(posthog).keys("events") == read(other).keys("events") == ids(posthog)
    data = 1500 * 3000
    assert posthog.bytes_read[7] < 2.2 * data
    assert other.bytes_read[7] > 8 * data
