"""`end_date`: what happened before it is read, whenever that arrives, and the state stays valid without it."""

import random
from itertools import islice, pairwise
from typing import Any

import pytest

from integration_tests.harness.connection import HOUR, LATER, NOW, START, Connection, late
from integration_tests.harness.connector import LIST, Output, Way, catalog, config, run
from integration_tests.harness.in_process import answers_from, messages, now_is
from posthog_server import (
    DAY,
    Account,
    PostHogServer,
    account_with,
    event,
    isoformat,
    make_events,
    make_persons,
    microseconds,
)

END = START + 40 * DAY


def date(at: int) -> str:
    return isoformat(at).replace("+00:00", "Z")


def keys(account: Account, start: int = START, end: int = NOW, *projects: int) -> list[tuple[int, str]]:
    """Of the events of `account` in [start, end), of all projects where none is named."""
    chosen = [one for one in account.projects.values() if not projects or one.id in projects]
    return sorted((one.id, event.id) for one in chosen for event in one.events if start <= event.at < end)


def around_the_end() -> Account:
    """Sixty days of events, with ties on the last microsecond before END, on END and after it; a project that ended
    before END, and one that began after it."""
    edges = [event(END + offset) for offset in (-1, 0, 1) for _ in range(120)]
    spread = [event(START + place * 6 * HOUR) for place in range(239)]
    return account_with({7: [*spread, *edges], 8: [event(START + 3 * DAY)], 9: [event(END + DAY)]})


def entry(state: list[dict[str, Any]] | None, project: int = 7) -> dict[str, Any]:
    """The project's entry."""
    assert state is not None
    found: dict[str, Any] = state[0]["stream"]["stream_state"][str(project)]
    return found


def reached(state: list[dict[str, Any]] | None, project: int) -> int:
    """The timestamp of the project's entry."""
    return microseconds(entry(state, project)["timestamp"])


@pytest.mark.parametrize("step", [91, 7])
def test_events_before_the_end_are_read_and_none_from_it_on(way: Way, step: int) -> None:
    connected = Connection(around_the_end(), end_date=date(END), events_time_step=step)
    assert connected.sync(NOW).keys("events") == keys(connected.account, end=END)
    at = {project: reached(connected.state, project) for project in (7, 8, 9)}
    assert (at[7], at[9]) == (END - 1, END)  # of the newest event; and where there is none, of the end
    again = connected.sync(LATER)
    assert again.keys("events") == sorted(key for one in at for key in keys(connected.account, at[one], END, one))


def test_an_end_in_the_future_changes_nothing(way: Way) -> None:
    with_end, without = (Connection(around_the_end(), **end) for end in ({"end_date": date(NOW + DAY)}, {}))
    got, expected = with_end.sync(NOW), without.sync(NOW)
    assert len(got.keys("events")) == len(expected.keys("events")) == len(keys(with_end.account))
    assert with_end.state == without.state
    if way is LIST:  # by query, how many ranges there are depends on which page comes first
        assert with_end.posthog.count(way.stream) == without.posthog.count(way.stream)


def test_after_an_end_is_moved_later_and_taken_away_the_next_syncs_read_on_from_the_state(way: Way) -> None:
    connected, later = Connection(around_the_end()), END + 9 * DAY
    first = connected.sync(NOW, end_date=date(END)).keys("events")
    second = connected.sync(LATER, end_date=date(later)).keys("events")
    third = connected.sync(LATER + HOUR).keys("events")
    assert first == keys(connected.account, end=END)
    assert second == keys(connected.account, END - 1, later)  # with those at the timestamp of the state
    assert third == keys(connected.account, later - 6 * HOUR) + keys(connected.account, END + DAY, END + DAY + 1, 9)


def test_a_state_after_a_new_end_emits_nothing_and_loses_nothing(way: Way) -> None:
    connected = Connection(around_the_end(), project_ids=[7])
    connected.sync(NOW)
    state = connected.state
    new = connected.add(late(29 * DAY, NOW + HOUR), late(DAY, NOW + HOUR))
    for at in (LATER, LATER + HOUR):
        assert connected.sync(at, end_date=date(END - 10 * DAY)).keys("events") == []
        assert connected.state == state
    assert set(new) <= set(connected.sync(LATER + 2 * HOUR).keys("events"))


def test_late_events_are_found_before_the_end_and_not_after_it(way: Way) -> None:
    connected = Connection(around_the_end(), end_date=date(END))
    connected.sync(NOW)
    arrived = NOW + HOUR
    new = connected.add(event(END - 25 * DAY, created_at=arrived), event(END - DAY // 2, created_at=arrived))
    new += connected.add(event(START + 12 * DAY, created_at=arrived), project=8)
    new += connected.add(event(END - 2, created_at=arrived), project=9)
    connected.add(event(END, created_at=arrived), event(END + DAY, created_at=arrived))
    ties = [key for key in keys(connected.account, END - 1, END) if key[0] == 7]  # at the timestamp of the state
    assert connected.sync(LATER).keys("events") == sorted([*new, *ties])
    assert connected.sync(LATER + 3 * HOUR).keys("events") == ties


def test_a_state_after_a_new_end_still_finds_what_arrives_late_before_it(way: Way) -> None:
    connected = Connection(around_the_end(), project_ids=[7])
    connected.sync(NOW)
    state = connected.state
    new = connected.add(event(END - DAY, created_at=NOW + HOUR))
    connected.add(event(END, created_at=NOW + HOUR))
    assert connected.sync(LATER, end_date=date(END)).keys("events") == new
    assert connected.state == state


def test_an_end_before_all_that_the_state_covers_reads_the_time_up_to_it_once(way: Way) -> None:
    """As where the state of a connection for the later part is handed to one for the earlier part."""
    connected = Connection(around_the_end(), project_ids=[7])
    connected.sync(NOW, start_date=date(END + DAY))
    own = entry(connected.state)
    assert connected.sync(LATER, end_date=date(END)).keys("events") == keys(connected.account, START, END, 7)
    ties = keys(connected.account, END - 1, END, 7)  # at the timestamp of `before`
    new = connected.add(event(END - DAY, created_at=LATER + HOUR // 2))
    assert connected.sync(LATER + 2 * HOUR, end_date=date(END)).keys("events") == sorted([*new, *ties])
    assert connected.sync(LATER + 4 * HOUR, end_date=date(END)).keys("events") == ties
    assert {key: value for key, value in entry(connected.state).items() if key != "before"} == own
    whole = connected.sync(LATER + 5 * HOUR).keys("events")
    assert set(keys(connected.account, START, END + DAY, 7)) <= set(whole)
    newest = keys(connected.account, reached(connected.state, 7), NOW, 7)
    assert connected.sync(LATER + 7 * HOUR).keys("events") == newest
    assert entry(connected.state)["since"] == "2026-01-01T00:00:00.000000Z"
    assert "before" not in entry(connected.state)


def test_a_since_in_the_future_has_the_account_read_once(way: Way) -> None:
    """As of a state that was edited, or of clocks that were ahead."""
    connected = Connection(around_the_end(), project_ids=[7])
    connected.sync(NOW)
    assert connected.state is not None
    entry(connected.state)["since"] = date(NOW + 365 * DAY)
    assert connected.sync(LATER).keys("events") == keys(connected.account, START, NOW, 7)
    new = connected.add(event(LATER + HOUR))
    assert set(new) <= set(again := connected.sync(LATER + 2 * HOUR).keys("events"))
    assert len(again) == 2  # and the newest event of the sync before


def test_a_stop_of_a_sync_before_what_the_state_covers_costs_only_what_was_under_way(way: Way) -> None:
    made = account_with({7: make_events(3000, random.Random(4), start=START, span=58 * DAY, project=7)})
    # With two workers the oldest windows are read first; with more, any of the five whose turn it may be.
    connected = Connection(made, events_time_step=5, events_late_days=0, events_lookback_hours=0, num_workers=2)
    connected.sync(NOW, start_date=date(END + DAY))
    due, options = set(keys(made, START, END)), {**connected.options, "end_date": date(END)}
    connected.now = LATER
    with answers_from(connected.posthog), now_is(LATER):
        read = messages(connected.state, **options)
        part = Output(list(islice(read, 1200)), "", 0)
        read.close()
    connected.state = part.state
    rest = connected.sync(LATER + HOUR, end_date=date(END)).keys("events")
    assert set(part.keys("events")) | set(rest) == due
    assert len(rest) < len(due) - 400


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(2))
def test_an_account_split_over_connections_is_read_once_in_all(way: Way, seed: int) -> None:
    """By projects and by dates, on the second; then what arrives late comes by the one whose part it is of."""
    rng = random.Random(seed)
    events = {project: make_events(150, rng, start=START, span=59 * DAY, project=project) for project in (1, 2, 3)}
    cuts = sorted(rng.sample(range(1, 59 * 24), 2))
    bounds = [START, *(START + one * HOUR for one in cuts), 0]
    for at in bounds[1:3]:
        events[1] += [event(at + offset) for offset in (-1, 0) for _ in range(120)]
    made = account_with(events)
    split = [
        Connection(
            made,
            start_date=date(start),
            project_ids=projects,
            events_time_step=rng.choice((7, 30)),
            events_late_days=60,
            **({"end_date": date(end)} if end else {}),
        )
        for projects in ([1, 3], [2])
        for start, end in pairwise(bounds)
    ]
    read = [key for one in split for key in one.sync(NOW).keys("events")]
    assert sorted(read) == keys(made)
    new = []
    for project in made.projects:
        arriving = (event(rng.randrange(START, NOW), created_at=NOW + HOUR) for _ in range(9))
        new += split[0].add(*arriving, project=project)
    again = [key for one in split for key in one.sync(LATER).keys("events")]
    assert sorted(key for key in again if key in new) == sorted(new)


def test_a_server_without_the_filter_by_arrival_keeps_the_end_too(way: Way) -> None:
    connected = Connection(around_the_end(), end_date=date(END), events_lookback_hours=720)
    connected.posthog.without_created_at_filter = True
    connected.sync(NOW)
    got = connected.sync(LATER).keys("events")
    assert set(got) <= set(keys(connected.account, end=END))
    assert set(keys(connected.account, END - 30 * DAY, END, 7)) <= set(got)


# --- the option


@pytest.mark.matrix
@pytest.mark.parametrize("end_date", ["2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("command", ["check", "discover", "read"])
def test_an_end_that_is_not_after_the_start_is_refused(command: str, end_date: str) -> None:
    files = {"catalog": catalog("events")} if command == "read" else {}
    output = run(command, config=config("http://127.0.0.1:1", end_date=end_date), **files)
    verdict = output.connection[1] if command == "check" else output.errors[0]
    assert verdict == "The option `end_date` must be later than `start_date`, or omitted."


def test_check_asks_for_events_also_where_the_end_is_past() -> None:
    made = account_with({7: [event(END)]}, persons={7: make_persons(3, random.Random(1), 7)})
    with PostHogServer(made) as server:
        assert run("check", config=config(server.url, end_date="2026-01-02T00:00:00Z")).connection[0] == "SUCCEEDED"
        assert server.posthog.count("events") == 1
