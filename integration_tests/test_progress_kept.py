"""Large accounts come to an end: a dense window keeps its progress, states stay small, and an earlier start is read."""

import random
from itertools import islice
from typing import Any

import orjson
import pytest

from integration_tests.harness.connector import (
    LIST,
    QUERY,
    Output,
    Way,
    catalog,
    config,
    events_state,
    expected_keys,
    run,
    run_command,
    run_until_killed,
)
from integration_tests.harness.in_process import answers_from, messages, now_is, sync
from posthog_server import (
    DAY,
    Account,
    Event,
    PostHog,
    PostHogServer,
    account_with,
    event,
    make_events,
    microseconds,
)

START = microseconds("2026-09-01T00:00:00Z")
MOST_READ_AGAIN = {"events": 50_000, "query": 100_000}
ONLY_LONG = pytest.mark.only_long  # one of each kind runs in `make test`


def bare_events(number: int, days: int, seed: int = 1) -> list[Event]:
    """Events with little in them, spread at random."""
    rng = random.Random(seed)
    return [event(START + rng.randrange(days * DAY)) for _ in range(number)]


def options(url: str, **more: Any) -> dict[str, Any]:
    return config(url, **{"start_date": "2026-09-01T00:00:00Z", **more})


def keys(account: Account) -> set[tuple[int, str]]:
    return {(project.id, one.id) for project in account.projects.values() for one in project.events}


def size(output: Output, kind: str) -> int:
    """Bytes of all messages of a kind."""
    return sum(len(orjson.dumps(one)) for one in output.messages if one["type"] == kind)


@pytest.mark.parametrize(
    ("way", "number", "days", "step", "lines"),
    [
        pytest.param(LIST, 70_000, 28, 30, 60_000, id="late in one window"),
        pytest.param(LIST, 90_000, 28, 30, 30_000, id="early in one window", marks=ONLY_LONG),
        pytest.param(LIST, 90_000, 28, 7, 60_000, id="windows of a week", marks=ONLY_LONG),
        pytest.param(LIST, 90_000, 80, 1, 70_000, id="windows of a day", marks=ONLY_LONG),
        pytest.param(QUERY, 180_000, 28, 30, 150_000, id="by queries", marks=ONLY_LONG),
    ],
    indirect=["way"],
)
def test_after_a_kill_anywhere_no_more_than_fifty_thousand_events_of_a_project_are_read_again(
    way: Way, number: int, days: int, step: int, lines: int
) -> None:
    """Of queries, whose pages are ten times as large, 100,000."""
    account = account_with({7: bare_events(number, days)})
    with PostHogServer(account) as server:
        files = {"config": options(server.url, events_time_step=step), "catalog": catalog("events")}
        first = run_until_killed(lines, **files)
        second = run_command("read", **files, state=first.state or None)
    again = set(first.keys("events")) & set(second.keys("events"))
    assert set(first.keys("events")) | set(second.keys("events")) == keys(account)
    assert len(again) <= MOST_READ_AGAIN[way.stream]


def most_read_again(output: Output, project: str = "7") -> int:
    """What a kill costs the project at the most: at any message, the events since the last state that covers them."""
    ahead: list[str] = []
    most = 0
    for message in output.messages:
        if message["type"] == "RECORD":
            ahead.append(message["record"]["data"]["timestamp"])
            most = max(most, len(ahead))
        elif message["type"] == "STATE":
            entry = message["state"]["stream"]["stream_state"].get(project)
            # All of them are written in one form here.
            ahead = [at for at in ahead if not entry or at >= entry["timestamp"].replace("Z", "+00:00")]
    return most


@pytest.mark.parametrize(
    ("way", "number", "days", "most"),
    [
        pytest.param(LIST, 70_000, 80, 50_000, id="list"),
        pytest.param(LIST, 160_000, 80, 50_000, id="list, more", marks=ONLY_LONG),
        pytest.param(QUERY, 240_000, 80, 100_000, id="query", marks=ONLY_LONG),
    ],
    indirect=["way"],
)
def test_a_kill_costs_no_more_with_forty_workers(way: Way, number: int, days: int, most: int) -> None:
    account = account_with({7: bare_events(number, days)})
    with answers_from(PostHog(account)), now_is(START + (days + 1) * DAY):
        output = sync(start_date="2026-09-01T00:00:00Z", events_time_step=1, num_workers=40)
    assert output.keys("events") == expected_keys(account)["events"]
    assert most_read_again(output) <= most


def test_a_kill_costs_no_more_where_the_state_has_entries_of_thirty_thousand_projects_that_are_gone() -> None:
    account = account_with({7: bare_events(40_000, 28)})
    gone = {str(project): {"timestamp": "2026-08-01T00:00:00Z"} for project in range(1000, 31_000)}
    with answers_from(PostHog(account)), now_is(START + 29 * DAY):
        output = sync(events_state(gone), start_date="2026-09-01T00:00:00Z")
    assert output.keys("events") == expected_keys(account)["events"]
    assert most_read_again(output) <= 30_000
    assert set(output.states[-1]) == {"7", *gone}


@pytest.mark.only_long  # what parts cost is shown by the core's own tests too, for less
@pytest.mark.parametrize("way", [pytest.param(LIST, id="list"), pytest.param(QUERY, id="query")], indirect=True)
def test_parts_cost_few_requests_and_a_kill_in_them_no_more(way: Way) -> None:
    account = account_with({7: bare_events(150_000, 28)})
    with answers_from(posthog := PostHog(account)), now_is(START + 29 * DAY):
        output = sync(start_date="2026-09-01T00:00:00Z")
    assert output.keys("events") == expected_keys(account)["events"]
    assert posthog.count(way.stream) <= {"events": 151 * 1.03, "query": 0.15 * 110}[way.stream]
    assert len(output.states) >= (6 if way is LIST else 2)
    assert most_read_again(output) <= MOST_READ_AGAIN[way.stream]


def test_many_small_projects_get_few_states() -> None:
    account = account_with({project: bare_events(5, 28, project) for project in range(1, 501)})
    with answers_from(PostHog(account)), now_is(START + 29 * DAY):
        output = sync(start_date="2026-09-01T00:00:00Z")
    assert output.keys("events") == expected_keys(account)["events"]
    size = {
        kind: sum(len(orjson.dumps(one)) for one in output.messages if one["type"] == kind)
        for kind in ("STATE", "RECORD")
    }
    assert size["STATE"] <= size["RECORD"] / 4
    assert len(output.states[-1]) == 500


# --- where the covered range begins


def test_the_state_says_from_which_start_date_it_covers() -> None:
    account = account_with({7: bare_events(30, 28), 8: []})
    with PostHogServer(account) as server:
        output = run("read", config=options(server.url), catalog=catalog("events"))
    assert output.states[-1]["7"]["since"] == "2026-09-01T00:00:00.000000Z"


@pytest.mark.parametrize("step", [3, 30])
def test_when_start_date_moves_back_what_lies_between_is_read_too_and_nothing_else(step: int) -> None:
    earlier = make_events(270, random.Random(3), start=START - 60 * DAY, span=60 * DAY, project=7)
    account = account_with({7: [*bare_events(100, 28), *earlier], 8: bare_events(3, 10, 5)})
    with PostHogServer(account) as server:
        first = run("read", config=options(server.url, events_time_step=step), catalog=catalog("events"))
        moved = options(server.url, start_date="2026-07-01T00:00:00Z", events_time_step=step, events_lookback_hours=0)
        second = run("read", config=moved, catalog=catalog("events"), state=first.state)
        third = run("read", config=moved, catalog=catalog("events"), state=second.state)
    due = {(7, one.id) for one in earlier if one.at >= microseconds("2026-07-01T00:00:00Z")}
    assert (second.status, third.status) == (0, 0)
    assert due <= set(second.keys("events"))
    assert len(set(second.keys("events")) - due) <= 2  # the newest event of each project, at its state
    assert len(third.keys("events")) <= 2
    assert second.states[-1]["7"]["since"] == "2026-07-01T00:00:00.000000Z"


def test_an_earlier_start_that_is_not_read_whole_is_read_on_by_the_next_sync() -> None:
    earlier = make_events(900, random.Random(3), start=START - 60 * DAY, span=60 * DAY, project=7)
    account = account_with({7: [*bare_events(50, 28), *earlier]})
    state = None
    with answers_from(PostHog(account, cap=100)), now_is(START + 29 * DAY):
        first = sync(start_date="2026-09-01T00:00:00Z", events_lookback_hours=0)
        moved = {"start_date": "2026-07-01T00:00:00Z", "events_lookback_hours": 0, "events_time_step": 20}
        got, state = set(first.keys("events")), first.state
        for _ in range(40):
            read = messages(state, **moved)
            part = Output(list(islice(read, 120)), "", 0)
            read.close()
            got |= set(part.keys("events"))
            state = part.state or state
        last = sync(state, **moved)
    assert got | set(last.keys("events")) == keys(account)
    assert len(last.keys("events")) < 300
    assert last.states[-1]["7"]["since"] == "2026-07-01T00:00:00.000000Z"


def test_a_state_of_an_earlier_version_gets_its_beginning_and_the_log_says_what_that_means() -> None:
    account = account_with({7: bare_events(30, 28)})
    with PostHogServer(account) as server:
        state = events_state({"7": {"timestamp": "2026-09-20T00:00:00+00:00"}})
        output = run("read", config=options(server.url), catalog=catalog("events"), state=state)
    assert output.states[-1]["7"]["since"] == "2026-09-01T00:00:00.000000Z"
    assert len([line for line in output.logs if "clear the stream" in line]) == 1
