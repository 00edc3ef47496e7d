"""A sync may end at any message: the last state printed by then loses nothing in the next sync.

PROOF=long tries hundreds of places more.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from integration_tests.harness.bursts import MINUTE, NOW, START, ties
from integration_tests.harness.connector import CAP, RANGES, Output, Way, catalog, config, run_command, run_until_killed
from integration_tests.harness.dense import claims_without_record, dense, half_days, ids, kind_of_query
from integration_tests.harness.in_process import answers_from, messages, now_is, sync, unread_states
from posthog_server import (
    DAY,
    SECOND,
    Account,
    Event,
    Fault,
    PostHog,
    PostHogServer,
    Seen,
    account_with,
    make_events,
    stall,
)
from posthog_server.data import EventTable
from tools.proof import LONG

pytestmark = pytest.mark.usefixtures("way")


def varied_account(seed: int) -> Account:
    """One to four projects with bursts, ties and gaps, all before `NOW`."""
    rng = random.Random(seed)

    def events() -> list[Event]:
        made = []
        for _ in range(rng.randrange(4)):
            at, span = START + rng.randrange(44 * DAY), rng.choice((1, SECOND, MINUTE, DAY))
            made += make_events(rng.choice((3, 60, 101, 240)), rng, start=at, span=span)
        return made + ties(rng.choice((1, 130)), START + rng.randrange(44 * DAY), seed=rng.randrange(10**9))

    return account_with({project: events() for project in range(1, rng.randint(2, 5))})


def arrive_late(account: Account, rng: random.Random) -> None:
    """Let up to some pages of events arrive now, in some of the projects, by up to 29 days late."""
    for project in account.projects.values():
        for _ in range(rng.choice((0, 0, 1, 2))):
            at, span = NOW - 29 * DAY + rng.randrange(28 * DAY), rng.choice((1, SECOND, DAY))
            late = make_events(rng.choice((1, 60, 130)), rng, start=at, span=span, project=project.id)
            for one in late:
                one.created_at = NOW + SECOND
            project.add_events(late)


def keys(account: Account) -> set[tuple[int, str]]:
    return {(project.id, event.id) for project in account.projects.values() for event in project.events}


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(220 if LONG else 12))
def test_a_sync_that_ends_after_any_message_is_completed_by_the_next_one(seed: int) -> None:
    rng = random.Random(seed)
    account = varied_account(seed // 4)  # four places to end at for each account
    options = {"events_time_step": rng.choice((5, 9, 30)), "num_workers": rng.choice((1, 2, 10, 40))}
    due = {project.id: list(project.events) for project in account.projects.values()}
    posthog = PostHog(account, cap=100, query_cap=100, any_tie_order=seed % 2 == 0, seed=seed)
    with answers_from(posthog), now_is(NOW):
        # Most syncs print about so many messages; the end is a place too.
        read = messages(None, **options)
        first = Output(list(islice(read, rng.randrange(2 + 2 * len(keys(account))))), "", 0)
        read.close()
        arrive_late(account, random.Random(f"late {seed}"))
        second = sync(first.state, **options)
    assert unread_states(first.messages, due, {}) == []
    assert unread_states(second.messages, _unread(due, first), first.states[-1] if first.states else {}) == []
    assert second.status == 0
    assert set(first.keys("events")) | set(second.keys("events")) == keys(account)
    assert len(set(second.keys("events"))) == len(second.keys("events"))


def _unread(due: dict[int, list[Event]], first: Output) -> dict[int, list[Event]]:
    """The events that the second sync has to emit, since the first did not."""
    given = set(first.keys("events"))
    return {project: [one for one in events if (project, one.id) not in given] for project, events in due.items()}


def test_a_sync_that_dies_again_and_again_gets_on_and_ends_with_every_event_once_but_for_the_open_windows() -> None:
    account = varied_account(3)
    got, state = set(), None
    with answers_from(PostHog(account, cap=100, query_cap=100)), now_is(NOW):
        for _ in range(60 if LONG else 5):
            read = messages(state, events_time_step=2)
            part = Output(list(islice(read, 150)), "", 0)
            read.close()
            got |= set(part.keys("events"))
            state = part.state or state
        last = sync(state, events_time_step=2)
    assert got | set(last.keys("events")) == keys(account)


@pytest.mark.matrix
@pytest.mark.parametrize("lines", [1 + 63 * place for place in range(20 if LONG else 2)])
def test_a_killed_process_loses_nothing(lines: int) -> None:
    """SIGKILL, after so many lines were read from it: never all of its 1400 records, or it could end by itself."""
    account = account_with(
        {project: make_events(700, random.Random(project), span=40 * DAY, project=project) for project in (1, 2)}
    )
    with PostHogServer(account, cap=100, query_cap=100, page_delay=0.02) as server:
        files = {"config": config(server.url, events_time_step=5), "catalog": catalog("events")}
        first = run_until_killed(lines, **files)
        second = run_command("read", **files, state=first.state or None)
    due = {project.id: list(project.events) for project in account.projects.values()}
    assert unread_states(first.messages, due, {}) == []
    assert second.status == 0
    assert set(first.keys("events")) | set(second.keys("events")) == keys(account)


KILLS = 4 if LONG else 2


@pytest.mark.parametrize("way", [RANGES], ids=["ranges"], indirect=True)
@pytest.mark.parametrize("seed", range(20 if LONG else 1))
def test_a_process_that_is_killed_within_a_day_again_and_again_loses_nothing_and_repeats_little(
    way: Way, seed: int
) -> None:
    """SIGKILL after a state that says how far the day is read; then events of it arrive, are deleted and merged."""
    rng = random.Random(seed)
    old = dense(3, 1000 * KILLS, seed)
    for one in rng.sample(old, 20):
        one.unmerged = True
    account, visits = account_with({7: old, 8: dense(1, 30)}), list[Output]()
    with PostHogServer(account, cap=CAP, query_cap=CAP) as server:
        files = {"config": config(server.url, events_time_step=91), "catalog": catalog("events")}
        for _ in range(KILLS):
            place = rng.choice((1, 2))
            state = visits[-1].state if visits else None
            hold(server, after=place + 8)
            visits.append(run_until_killed(until_half_day_state(place, rng.randrange(30)), **files, state=state))
            server.posthog.faults.clear()
            assert half_days(visits[-1].states[-1]["7"])
            change(account, rng)
        visits.append(run_command("read", **files, state=visits[-1].state))
    assert visits[-1].status == 0
    assert claims_without_record(server.posthog, *visits) == []
    given = set[tuple[int, str]]()
    for visit in visits:
        again = given & {key for key in visit.keys("events") if key in {(7, one.id) for one in old}}
        assert len(again) <= 3 * CAP
        given |= set(visit.keys("events"))
    assert set(ids(server.posthog)) <= given
    assert "day" not in visits[-1].states[-1]["7"]


def hold(server: PostHogServer, after: int) -> None:
    """Take two seconds for each question for a range of a day after so many, so that nobody reads it to its end."""

    def is_for_keys(seen: Seen) -> bool:
        return kind_of_query(seen) == "keys"

    fault = Fault(stream="query", project_id=7, when=is_for_keys, skip=after, times=None, **stall(2))
    server.posthog.faults.add(fault)


def until_half_day_state(place: int, more: int) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Takes lines up to the state in this place of those that say how far a day is read, and so many after it."""

    def take(lines: Iterator[bytes]) -> Iterator[bytes]:
        left = place
        for line in lines:
            yield line
            message = json.loads(line)
            if message["type"] == "STATE":
                left -= bool(half_days(message["state"]["stream"]["stream_state"].get("7", {})))
            if not left:
                break
        yield from islice(lines, more)

    return take


def change(account: Account, rng: random.Random) -> None:
    """Let events of the day arrive now, and others be deleted and merged."""
    kept = [one for one in account.projects[7].events if rng.random() > 0.02]
    for one in kept:
        one.unmerged = False
    new = dense(3, 20, rng.randrange(10**9))
    for one in new:
        one.created_at = int(time.time()) * SECOND
    account.projects[7].events = EventTable([*kept, *new])
