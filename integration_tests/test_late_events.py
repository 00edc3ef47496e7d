"""Events that reach PostHog after their time was read: the next sync finds them, once, and repeats nothing else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from integration_tests.harness.connection import HOUR, LATER, MINUTE, NOW, START, Connection, connection, late
from integration_tests.harness.connector import Output, Way, events_state
from integration_tests.harness.in_process import answers_from, messages, now_is
from posthog_server import (
    DAY,
    Fault,
    account_with,
    event,
    isoformat,
    server_error,
)
from posthog_server.grammar import parse_expr
from source_posthog.exact.events.conditions import conditions
from source_posthog.exact.events.ledger import Ledger
from source_posthog.exact.events.port import Query
from source_posthog.exact.instants import instant

pytestmark = pytest.mark.usefixtures("way")


@pytest.mark.matrix
@pytest.mark.parametrize(
    "by", [MINUTE, 2 * HOUR, DAY, 5 * DAY, 29 * DAY], ids=["1 minute", "2 hours", "1 day", "5 days", "29 days"]
)
def test_an_event_that_arrives_late_comes_with_the_next_sync_once(by: int) -> None:
    connected = connection()
    connected.sync(NOW)
    new = connected.add(late(by))
    second = connected.sync(LATER)
    third = connected.sync(LATER + 2 * HOUR)
    assert set(new) <= set(second.keys("events"))
    assert len(second.keys("events")) == len(set(second.keys("events")))
    newest = max(connected.account.projects[7].events, key=lambda one: one.at)
    assert set(new) & set(third.keys("events")) <= {(7, newest.id)}


def test_nothing_is_repeated_but_what_arrived_within_the_margin_and_the_newest_event() -> None:
    connected = connection(events_lookback_hours=3)
    connected.sync(NOW)
    within = connected.add(late(2 * DAY, arrives=NOW + MINUTE))
    connected.sync(LATER)
    second = connected.sync(LATER + 2 * HOUR)  # after a sync that began three hours after it: just within the margin
    third = connected.sync(LATER + 8 * HOUR)  # after a sync that began five hours after it
    newest = max(connected.account.projects[7].events, key=lambda one: one.at)
    assert second.keys("events") == sorted([*within, (7, newest.id)])
    assert third.keys("events") == [(7, newest.id)]


@pytest.mark.matrix
@pytest.mark.parametrize("number", [230, 1300])
@pytest.mark.parametrize("span", [1, 20 * DAY], ids=["on one microsecond", "spread"])
def test_more_late_events_than_a_page_come_all(number: int, span: int) -> None:
    connected = connection()
    connected.sync(NOW)
    arrives = NOW + MINUTE
    first = NOW - 25 * DAY
    new = connected.add(*(event(first + place * span // number, created_at=arrives) for place in range(number)))
    second = connected.sync(LATER)
    assert set(new) <= set(second.keys("events"))
    assert len(second.keys("events")) == len(set(second.keys("events")))


def test_late_events_of_several_projects_are_found_for_two_requests_a_project_and_counted(
    way: Way,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    connected = Connection(account_with({project: [event(NOW - DAY)] for project in range(1, 11)}))
    connected.sync(NOW)
    new = [key for project in range(1, 11) for key in connected.add(late(3 * DAY), project=project)]
    second = connected.sync(LATER)
    assert set(new) <= set(second.keys("events"))
    assert connected.posthog.count(way.stream) == 20
    (line,) = [line for line in caplog.messages if line.startswith("Stream events: 20 records in 20 requests")]
    assert line.endswith(", 10 late events")


def test_an_idle_project_costs_two_requests_and_a_new_one_no_more_than_before(way: Way) -> None:
    connected = connection()
    connected.sync(NOW)
    connected.account.projects[8] = account_with({8: [event(NOW - DAY)]}).projects[8]
    connected.sync(LATER)
    assert connected.posthog.count(way.stream, 7) == 2
    new = connected.posthog.count(way.stream, 8)
    alone = Connection(account_with({8: [event(NOW - DAY)]}))
    alone.sync(LATER)
    assert new == alone.posthog.count(way.stream, 8)


def test_a_first_sync_looks_for_no_late_events() -> None:
    connected = connection()
    connected.sync(NOW)
    assert not any(is_late(seen) for seen in connected.posthog.requests)


@pytest.mark.matrix
@pytest.mark.parametrize("place", range(0, 9, 2))
def test_an_event_that_arrives_during_a_sync_comes_with_it_or_with_the_next(way: Way, place: int) -> None:
    """In a window that was read already, in one that was not, and tied with the newest event."""
    connected = connection(events_time_step=10)
    arriving = [event(START + 32 * DAY, created_at=NOW), event(NOW - HOUR, created_at=NOW), event(NOW - 20 * DAY)]
    arriving[2].created_at = NOW
    new: list[tuple[int, str]] = []

    def arrive(_: Any) -> bool:
        if len(connected.posthog.requests) > place and not new:
            new.extend(connected.add(*arriving))
        return False

    connected.posthog.faults.add(Fault(stream=way.stream, times=None, when=arrive))
    first = connected.sync(NOW)
    second = connected.sync(LATER)
    assert set(new) <= set(first.keys("events")) | set(second.keys("events"))
    for output in (first, second):
        assert len(output.keys("events")) == len(set(output.keys("events")))


def test_a_row_that_is_visible_only_some_time_after_it_arrived_is_found_within_the_margin() -> None:
    connected = connection(events_lookback_hours=2)
    connected.sync(NOW)
    slow = event(NOW - 4 * DAY, created_at=NOW + 100 * MINUTE, visible_at=LATER + 30 * MINUTE)
    new = connected.add(slow)
    second = connected.sync(LATER)
    third = connected.sync(LATER + HOUR)
    assert set(new) & set(second.keys("events")) == set()
    assert set(new) <= set(third.keys("events"))


# --- the instant of arrival


def arrived(output: Output, project: str = "7") -> str:
    return str(output.states[-1][project].get("arrived"))


def test_the_state_says_when_the_last_sync_began_that_looked_for_late_events() -> None:
    connected = connection()
    assert instant(arrived(connected.sync(NOW))) == instant(isoformat(NOW))
    assert instant(arrived(connected.sync(LATER))) == instant(isoformat(LATER))


@pytest.mark.parametrize("ahead", [-HOUR, HOUR], ids=["behind", "ahead"])
def test_a_clock_of_ours_that_is_wrong_by_an_hour_loses_no_late_event(ahead: int) -> None:
    connected = connection(events_lookback_hours=0)
    connected.sync(NOW, our_clock=ahead)
    new = connected.add(late(3 * DAY, arrives=NOW + MINUTE))
    second = connected.sync(LATER, our_clock=ahead)
    newer = connected.add(late(3 * DAY, arrives=LATER + MINUTE))
    third = connected.sync(LATER + HOUR, our_clock=ahead)
    assert set(new) <= set(second.keys("events"))
    assert set(newer) <= set(third.keys("events"))
    assert instant(arrived(third)) <= instant(isoformat(LATER + HOUR + MINUTE))


def is_late(seen: Any) -> bool:
    return "created_at >=" in f"{seen.query} {seen.body}"


@pytest.mark.parametrize(
    "when",
    [is_late, lambda seen: not is_late(seen)],
    ids=["the late window", "the time after the state"],
)
def test_the_instant_of_arrival_moves_only_when_the_late_days_was_read(way: Way, when: Callable[[Any], bool]) -> None:
    connected = connection()
    connected.sync(NOW)
    new = connected.add(late(5 * DAY))
    fault = connected.posthog.faults.add(
        Fault(stream=way.stream, times=None, when=when, **{**server_error(), "status": 403})
    )
    failed = connected.sync(LATER)
    assert failed.status == 1
    assert (set(new) <= set(failed.keys("events"))) == (instant(arrived(failed)) > instant(isoformat(NOW)))
    fault.times = 0
    after = connected.sync(LATER + 3 * HOUR)
    assert set(new) <= set(failed.keys("events")) | set(after.keys("events"))


@pytest.mark.matrix
@pytest.mark.parametrize("stop", range(1, 120, 7))
def test_a_sync_that_ends_anywhere_loses_no_late_event(stop: int) -> None:
    connected = connection(events_time_step=20, num_workers=2)
    connected.sync(NOW)
    new = connected.add(*(late((1 + place) * 6 * HOUR) for place in range(100)))
    newer = connected.add(*(event(NOW + place * MINUTE) for place in range(1, 40)))
    connected.now = LATER
    got: list[dict[str, Any]] = []
    with answers_from(connected.posthog), now_is(LATER):
        read = messages(connected.state, **connected.options)
        for message in read:
            got.append(message)
            if len([one for one in got if one["type"] in ("RECORD", "STATE")]) >= stop:
                break
        read.close()
    part = Output(got, "", 0)
    connected.state = part.state or connected.state
    rest = connected.sync(LATER + HOUR)
    assert set(new) | set(newer) <= set(part.keys("events")) | set(rest.keys("events"))


@pytest.mark.matrix
@pytest.mark.parametrize("workers", [2, 10, 40])
def test_a_late_days_that_is_not_read_whole_does_not_make_the_next_sync_read_what_was_new_again(
    way: Way, workers: int
) -> None:
    connected = connection(events_time_step=1, events_lookback_hours=0, num_workers=workers)
    connected.sync(NOW)
    late_ones = connected.add(*(late(6 * HOUR + place * MINUTE) for place in range(250)))
    new = connected.add(*(event(NOW + place * MINUTE) for place in range(1, 900)))
    fault = connected.posthog.faults.add(
        Fault(stream=way.stream, skip=1, times=None, when=is_late, **{**server_error(), "status": 403})
    )
    failed = connected.sync(LATER + DAY)
    fault.times = 0
    after = connected.sync(LATER + DAY + HOUR)
    assert (failed.status, after.status) == (1, 0)
    assert set(late_ones) | set(new) <= set(failed.keys("events")) | set(after.keys("events"))
    assert set(failed.keys("events")) & set(after.keys("events")) <= set(late_ones)


# --- states of other hands, and options


@pytest.mark.parametrize(
    "state",
    [
        {"7": {"timestamp": isoformat(NOW - HOUR)}},
        {"7": {"timestamp": isoformat(NOW - HOUR), "since": "2026-01-01T00:00:00Z"}},
        {"timestamp": isoformat(NOW - HOUR)},
    ],
    ids=["of 1.1.25 or 1.1.28", "without arrival", "from before 0.1.8"],
)
def test_a_state_that_does_not_say_when_its_sync_began_stands_for_its_own_timestamp(state: dict[str, Any]) -> None:
    connected = connection()
    new = connected.add(late(4 * DAY, arrives=NOW))
    connected.state = events_state(state)
    output = connected.sync(LATER)
    assert set(new) <= set(output.keys("events"))
    assert len(output.keys("events")) <= 4  # and the newest event, and what arrived with it
    assert instant(arrived(output)) == instant(isoformat(LATER))


@pytest.mark.parametrize("ahead", [MINUTE, 400 * DAY], ids=["a minute", "a year"])
def test_an_arrival_in_the_future_stands_for_the_timestamp_of_its_entry_with_a_warning(
    ahead: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The state was edited, or a clock was ahead: what arrived until then must not be taken for read."""
    connected = connection()
    connected.sync(NOW)
    new = connected.add(*(late((1 + place) * DAY, arrives=NOW + (place + 1) * MINUTE) for place in range(20)))
    assert connected.state
    connected.state[0]["stream"]["stream_state"]["7"]["arrived"] = isoformat(LATER + ahead)
    second = connected.sync(LATER)
    assert set(new) <= set(second.keys("events"))
    assert len(second.keys("events")) == len(set(second.keys("events")))
    assert instant(arrived(second)) == instant(isoformat(LATER))
    (warning,) = [line for line in caplog.messages if "is in the future" in line]
    assert warning.startswith(f"The state of project 7 is in the future (`arrived` is {isoformat(LATER + ahead)}): ")
    third = connected.sync(LATER + 2 * HOUR)
    assert set(new) & set(third.keys("events")) == set()


def test_with_no_days_the_lookback_is_read_again_as_before_and_nothing_is_asked_by_arrival() -> None:
    connected = connection(events_late_days=0, events_lookback_hours=7)
    connected.sync(NOW)
    old = connected.add(late(5 * DAY))
    near = connected.add(late(5 * HOUR))
    second = connected.sync(LATER)
    assert set(near) <= set(second.keys("events"))
    assert set(old) & set(second.keys("events")) == set()
    assert not any(is_late(seen) for seen in connected.posthog.requests)


def test_the_late_days_does_not_reach_before_start_date() -> None:
    connected = connection()
    connected.sync(NOW)
    before = connected.add(event(START - DAY, created_at=NOW + MINUTE))
    inside = connected.add(event(START + 45 * DAY, created_at=NOW + MINUTE))
    second = connected.sync(LATER, start_date=isoformat(START + 40 * DAY).replace("+00:00", "Z"))
    assert set(inside) <= set(second.keys("events"))
    assert set(before) & set(second.keys("events")) == set()
    asked = [seen for seen in connected.posthog.requests if is_late(seen)]
    assert all(seen.after >= START + 40 * DAY - 1 for seen in asked)


@pytest.mark.parametrize(("first", "then"), [(30, 5), (5, 30)], ids=["narrower", "wider"])
def test_the_horizon_may_change_between_syncs(first: int, then: int) -> None:
    connected = connection(events_late_days=first)
    connected.sync(NOW)
    near, far = connected.add(late(3 * DAY)), connected.add(late(20 * DAY))
    second = connected.sync(LATER, events_late_days=then)
    assert set(near) <= set(second.keys("events"))
    assert (set(far) <= set(second.keys("events"))) == (then == 30)


def test_full_refresh_and_a_cleared_stream_read_all_of_it_anyway() -> None:
    connected = connection()
    connected.sync(NOW)
    connected.add(late(20 * DAY))
    connected.state = None
    output = connected.sync(LATER)
    assert len(output.keys("events")) == 161


# --- a server that cannot tell


def test_a_server_that_refuses_the_filter_is_read_the_old_way_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    connected = Connection(
        account_with({project: [event(NOW - HOUR)] for project in (7, 8, 9)}), events_lookback_hours=6
    )
    connected.posthog.without_created_at_filter = True
    connected.sync(NOW)
    near = [key for project in (7, 8, 9) for key in connected.add(late(5 * HOUR), project=project)]
    second = connected.sync(LATER)
    assert (second.status, second.errors) == (0, [])
    assert set(near) <= set(second.keys("events"))
    assert len([line for line in caplog.messages if "cannot tell which events arrived late" in line]) == 1
    assert instant(arrived(second)) == instant(isoformat(NOW))


@pytest.mark.matrix
@pytest.mark.parametrize("span", [1, 3 * HOUR], ids=["on one microsecond", "spread"])
@pytest.mark.parametrize("page", [1, 2, 9])
def test_a_filter_that_is_refused_on_a_later_page_repeats_nothing_in_that_sync(way: Way, page: int, span: int) -> None:
    """As where one machine of a server knows it and another does not."""
    connected = connection(events_lookback_hours=6)
    connected.sync(NOW)
    first = NOW - 5 * HOUR
    new = connected.add(*(event(first + place * span // 1000, created_at=NOW + MINUTE) for place in range(1000)))
    refusal = {**server_error(), "status": 400}
    connected.posthog.faults.add(Fault(stream=way.stream, skip=page, times=None, when=is_late, **refusal))
    second = connected.sync(LATER)
    assert second.status == 0
    assert set(new) <= set(second.keys("events"))
    assert len(second.keys("events")) == len(set(second.keys("events")))
    assert instant(arrived(second)) == instant(isoformat(NOW))


def test_what_is_new_does_not_wait_for_late_events_that_the_server_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise no window would have a turn, so that each took one."""
    left: list[str] = []
    leave_late = Ledger.leave_late

    def leave(ledger: Ledger, project: str) -> None:
        left.append(project)
        leave_late(ledger, project)

    connected = connection(events_lookback_hours=6)
    connected.posthog.without_created_at_filter = True
    connected.sync(NOW)
    monkeypatch.setattr(Ledger, "leave_late", leave)
    assert connected.sync(LATER).status == 0
    assert left == ["7"]


@pytest.mark.parametrize("like", ["", "___3", "0af_"])
def test_every_expression_that_is_sent_is_hogql(like: str) -> None:
    at = instant("2026-01-01T00:00:00.000001Z")
    query = Query(7, at - timedelta(days=1), at, like=like, unlike=("0af3",), arrived_from=at)
    expressions = conditions(query)
    assert len(expressions) == 2 + bool(like)
    assert all(map(parse_expr, expressions))
