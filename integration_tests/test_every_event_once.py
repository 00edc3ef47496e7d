"""An attack on the reading of events: whatever the data, the windows, the state and the server's page size, every event
in the range is emitted once, and the state says so.

PROOF=long tries hundreds of cases more, other ones each time.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from integration_tests.harness.bursts import BOUNDARY, HOUR, MINUTE, NOW, START, one_event, spread, ties
from integration_tests.harness.connector import QUERY, Output, Way, events_state
from integration_tests.harness.in_process import answers_from, now_is, sync, unread_states
from posthog_server import DAY, SECOND, Event, PostHog, account_with, isoformat, microseconds
from posthog_server.values import EPOCH
from source_posthog.exact.instants import instant
from tools.proof import LONG

settings.register_profile(
    "ci",
    max_examples=10,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to shrink a failing case takes minutes; `make prove` does it
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "prove", settings.get_profile("ci"), max_examples=600, derandomize=False, phases=list(Phase), print_blob=True
)
PROFILE = settings.get_profile("prove" if LONG else "ci")

pytestmark = pytest.mark.usefixtures("way")

LIMIT = 1000  # what the connector asks for; a server with a higher cap gives no more

NAMES = ["$pageview", "it's {a}\\", "é😀 ", "other"]

# What an instant can look like in a state: many hands have written states.
FORMS: dict[str, Callable[[int], str]] = {
    "as the connector writes it": isoformat,
    "Z": lambda at: isoformat(at).replace("+00:00", "Z"),
    "without a colon": lambda at: isoformat(at).replace("+00:00", "+0000"),
    "east": lambda at: _in_zone(at, 330),
    "west": lambda at: _in_zone(at, -480),
    "no zone": lambda at: isoformat(at).replace("+00:00", ""),
    "nanoseconds": lambda at: (EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
    "basic": lambda at: (EPOCH + timedelta(microseconds=at)).strftime("%Y%m%dT%H%M%S.%fZ"),
}


def _in_zone(at: int, minutes: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).astimezone(timezone(timedelta(minutes=minutes))).isoformat()


@dataclass
class Case:
    """Data, a server and a configuration. Instants are in microseconds. `names`: options, of the events wanted."""

    events: dict[int, list[Event]]
    now: int
    cap: int = 100
    step: int = 30
    lookback: int = 1
    late: int = 30
    workers: int = 10
    seed: int = 0
    state: Mapping[str, Any] = field(default_factory=dict)
    cursors: dict[int, int] = field(default_factory=dict)
    arrived: dict[int, int] = field(default_factory=dict)
    names: Mapping[str, list[str]] = field(default_factory=dict)
    text: str = ""

    def __repr__(self) -> str:
        return (
            self.text
            or f"Case(cap={self.cap}, step={self.step}, events={ {p: len(e) for p, e in self.events.items()} })"
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # hypothesis would print every event

    def begin(self, project: int) -> int:
        """Where reading by timestamp begins: before the state only where nothing is asked by arrival."""
        return begin(self.cursors.get(project), 0 if self.late else self.lookback)

    def wanted(self, project: int) -> list[Event]:
        """The events of `project` that the configuration names."""
        names = self.names
        return [
            one
            for one in self.events[project]
            if one.event in names.get("events_include", [one.event])
            and one.event not in names.get("events_exclude", [])
        ]

    def new(self, project: int) -> list[Event]:
        """The events of `project` that lie after its state, or in the lookback."""
        return [one for one in self.wanted(project) if self.begin(project) <= one.at < self.now]

    def due(self, project: int) -> list[Event]:
        """The events of `project` that the sync must emit: also those that arrived since the last one."""
        cursor = self.cursors.get(project)
        if cursor is None or not self.late:
            return self.new(project)
        arrived = self.arrived.get(project, cursor) - self.lookback * HOUR
        low, high = max(START, cursor - self.late * DAY), min(cursor, self.now)
        late = [one for one in self.wanted(project) if low <= one.at < high and one.created_at >= arrived]
        return late + self.new(project)

    def final_cursors(self, project: int) -> tuple[int, int] | None:
        """The least and the greatest instant that the state of `project` may have in the end; None for no entry.

        That is the newest event. After it there may be a window or more without events: past those too, so that they
        are not read again, but not into the last day, where events may still be on their way.
        """
        reached = [self.cursors[project]] if project in self.cursors else []
        reached += [one.at for one in self.new(project)]
        settled = self.now - DAY
        if self.begin(project) <= settled - 2 * self.step * DAY:
            reached.append(settled - 2 * self.step * DAY)
        return (max(reached), max(*reached, settled)) if reached else None


def begin(cursor: int | None, lookback: int) -> int:
    return START if cursor is None else max(START, cursor - lookback * HOUR)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    cap = draw(st.sampled_from((100, 100, 100, 100, 117, 250, 1000, 20_000)))
    step = draw(st.sampled_from((1, 2, 7, 30, 91)) | st.integers(1, 91))
    now = START + draw(st.integers(1, 5)) * step * DAY - draw(st.sampled_from((0, 1, MINUTE, step * DAY // 2)))
    lookback = draw(st.sampled_from((0, 1, 1, 24, 720)))
    late = draw(st.sampled_from((0, 1, 30, 365)))
    rng = random.Random(draw(st.integers(0, 2**32)))
    names = draw(st.sampled_from(({}, {"events_include": NAMES[:2]}, {"events_exclude": NAMES[1:3]})))
    notes = [f"names={names}, cap={cap}, step={step}, now={isoformat(now)}, lookback={lookback}, late={late}"]
    state: dict[str, Any] = {}
    legacy = draw(st.none() | _instants(now))
    if legacy is not None:
        state["timestamp"] = FORMS[draw(st.sampled_from(sorted(FORMS)))](legacy)
    events: dict[int, list[Event]] = {}
    cursors: dict[int, int] = {}
    for project in range(1, draw(st.sampled_from((1, 1, 2, 3, 5))) + 1):
        cursor = draw(st.none() | _instants(now))
        if cursor is not None:
            state[str(project)] = {"timestamp": FORMS[draw(st.sampled_from(sorted(FORMS)))](cursor)}
        cursor = legacy if cursor is None else cursor
        if cursor is not None:
            cursors[project] = cursor
        events[project] = []
        for _ in range(draw(st.integers(0, 4))):
            events[project] += _burst(draw, rng, begin(cursor, lookback), now, step, min(cap, LIMIT), notes)
        for one in events[project]:
            one.event = rng.choice(NAMES) if names else one.event
        delay = draw(st.sampled_from((0, 0, HOUR, DAY, 20 * DAY)))
        for one in events[project]:
            one.created_at = min(one.at + rng.randint(0, delay), max(one.at, now - 1))
    notes.append(f"state={state}")
    return Case(
        events,
        now,
        cap,
        step,
        lookback,
        late,
        draw(st.sampled_from((1, 2, 10, 40))),
        draw(st.integers(0, 1000)),
        state,
        cursors,
        names=names,
        text="; ".join(notes),
    )


def _instants(now: int) -> st.SearchStrategy[int]:
    """Where a state can stand: anywhere up to now, also before start_date and exactly on it."""
    return st.sampled_from((START, START - DAY, START + HOUR, now - 1, now)) | st.integers(START, now)


def _burst(
    draw: st.DrawFn, rng: random.Random, start: int, now: int, step: int, page: int, notes: list[str]
) -> list[Event]:
    """Events on one microsecond or spread over a span, at a place where something can go wrong."""
    boundaries = range(start, max(now, start + 1), step * DAY)
    place = draw(st.sampled_from(("start", "boundary", "now", "day", "anywhere")))
    anchor = {
        "start": lambda: draw(st.sampled_from((START, start))),
        "boundary": lambda: draw(st.sampled_from(boundaries)),
        "now": lambda: now,
        "day": lambda: START + draw(st.integers(0, 91)) * DAY,
        "anywhere": lambda: rng.randrange(START, now),
    }[place]() + draw(st.sampled_from((-1, 0, 0, 1)))
    number = draw(st.sampled_from((1, 3, 49, 50, 51, page // 2 - 1, page // 2, page - 1, page, page + 1, 2 * page + 3)))
    number = min(number, LIMIT + 1)
    span = draw(st.sampled_from((0, 0, 0, 1, 9, SECOND, 59 * SECOND, 5 * MINUTE, HOUR, DAY, 40 * DAY)))
    forward = draw(st.booleans())
    alike = draw(st.sampled_from((0, 0, 0, 1, 2, 9)))  # so many last digits of the ids are the same
    notes.append(
        f"{number} events {'from' if forward else 'to'} {isoformat(anchor)} in {span} us, {alike} digits alike"
    )
    low, high = (anchor, anchor + span) if forward else (anchor - span, anchor)
    return [one_event(rng, rng.randint(low, high), alike) for _ in range(number)]


def reached(entry: dict[str, str]) -> int:
    """The instant of an entry of the state, which can be in a form that only the connector understands."""
    return (instant(entry["timestamp"]) - EPOCH) // timedelta(microseconds=1)


def require_every_event_once(case: Case) -> Output:
    """Sync `case` twice, and compare ids and states exactly."""
    posthog = PostHog(
        account_with(case.events),
        cap=case.cap,
        query_cap=case.cap,
        any_tie_order=case.seed % 2 == 0,
        seed=case.seed,
        clock=lambda: case.now / SECOND,
    )
    with answers_from(posthog), now_is(case.now):
        first = _require_one_sync(case, posthog)
        case.state = first.states[-1]
        for project in case.events:
            if entry := case.state.get(str(project)):
                case.cursors[project] = reached(entry)
                if "arrived" in entry:
                    case.arrived[project] = microseconds(entry["arrived"])
        _require_one_sync(case, posthog)
    return first


def _require_one_sync(case: Case, posthog: PostHog) -> Output:
    output = sync(
        events_state(case.state) if case.state else None,
        events_time_step=case.step,
        events_lookback_hours=case.lookback,
        events_late_days=case.late,
        num_workers=case.workers,
        **case.names,
    )
    assert output.status == 0, output.errors
    due = {project: case.due(project) for project in case.events}
    assert output.keys("events") == sorted((project, one.id) for project, events in due.items() for one in events)
    new = {project: case.new(project) for project in case.events}
    assert unread_states(output.messages, new, case.state) == []
    final = output.states[-1]
    for project in case.events:
        entry, bounds = final.get(str(project)), case.final_cursors(project)
        if entry is None or entry["timestamp"] == case.state.get(str(project), {}).get("timestamp"):
            assert bounds is None or bounds[0] <= case.cursors.get(project, START)
        else:
            low, high = bounds or (START, case.now - DAY)
            assert low <= reached(entry) <= high
    assert final.get("timestamp") == case.state.get("timestamp")
    assert all(most <= 2 for most in posthog.max_event_lists_at_once.values())
    assert all(most <= 3 for most in posthog.max_queries_at_once.values())
    return output


@pytest.mark.matrix
@PROFILE
@given(cases())
def test_every_event_is_emitted_once_whatever_the_data_the_windows_the_state_and_the_page_size(case: Case) -> None:
    require_every_event_once(case)


@pytest.mark.matrix
@pytest.mark.parametrize("cap", [100, 250, 1000])
@pytest.mark.parametrize("more", [-1, 0, 1], ids=["cap - 1", "cap", "cap + 1"])
def test_ties_around_the_size_of_a_page_are_read_whole(cap: int, more: int) -> None:
    events = ties(cap + more, START + 3 * DAY) + ties(1, START + 3 * DAY - 1) + ties(1, START + 3 * DAY + 1)
    require_every_event_once(Case({1: events}, NOW, cap))


@pytest.mark.matrix
@pytest.mark.parametrize("pages", [2, 3, 7])
def test_ties_that_fill_several_pages_are_read_whole_with_older_events_behind_them(pages: int) -> None:
    events = ties(100 * pages + 1, START + 3 * DAY) + spread(120, START, START + 3 * DAY)
    require_every_event_once(Case({1: events}, NOW))


def test_ties_whose_ids_end_alike_are_told_apart_by_more_digits() -> None:
    require_every_event_once(Case({1: ties(150, START + DAY, alike=11) + ties(90, START)}, NOW))


@pytest.mark.matrix
@pytest.mark.parametrize(
    "at",
    [
        pytest.param(START, id="on start_date"),
        pytest.param(BOUNDARY - 1, id="last microsecond of a window"),
        pytest.param(BOUNDARY, id="first microsecond of a window"),
        pytest.param(NOW - 1, id="last microsecond before the sync"),
    ],
)
@pytest.mark.parametrize("number", [1, 100, 101, 230])
def test_ties_at_an_end_of_a_window_are_read_once(at: int, number: int) -> None:
    require_every_event_once(Case({1: ties(number, at) + ties(60, START + DAY)}, NOW))


def test_ties_at_both_ends_of_a_window_and_across_the_boundary_are_read_once() -> None:
    instants = (START - 1, START, BOUNDARY - 1, BOUNDARY, BOUNDARY + 1, NOW - 1, NOW)
    around = [event for at in instants for event in ties(130, at)]
    require_every_event_once(Case({1: around}, NOW))


@pytest.mark.matrix
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_page_that_is_exactly_full_with_nothing_older_ends_the_window(number: int) -> None:
    require_every_event_once(Case({1: spread(100 * number, START + DAY, START + 2 * DAY)}, NOW))


@pytest.mark.matrix
@pytest.mark.parametrize("number", [49, 50, 51, 99])
@pytest.mark.parametrize(
    "span", [30 * SECOND, 4 * MINUTE, 50 * MINUTE, 23 * HOUR], ids=["30 s", "4 min", "50 min", "23 h"]
)
def test_events_behind_a_short_page_without_next_are_read(number: int, span: int) -> None:
    """The 50-row rule: the server stops at a short span as soon as that holds half a page of 100."""
    events = spread(number, NOW - span, NOW) + spread(230, START, BOUNDARY) + spread(3, BOUNDARY, BOUNDARY + DAY)
    require_every_event_once(Case({1: events}, NOW))


@pytest.mark.matrix
@pytest.mark.parametrize("burst", [499, 500, 700, 999, 1000])
def test_events_behind_a_burst_in_the_last_minute_are_read_where_next_is_a_lie(burst: int) -> None:
    events = spread(burst, NOW - MINUTE + 1, NOW) + spread(1200, BOUNDARY, BOUNDARY + DAY)
    require_every_event_once(Case({1: events}, NOW, cap=1000))


@pytest.mark.parametrize("way", [QUERY], ids=["query"], indirect=True)
def test_the_state_stands_at_the_newest_event_of_a_page_within_one_millisecond(way: Way) -> None:
    rng = random.Random(1)
    require_every_event_once(Case({1: [one_event(rng, NOW - HOUR + place % 9) for place in range(100)]}, NOW))


def test_a_server_that_gives_larger_pages_is_read_whole() -> None:
    require_every_event_once(Case({1: spread(2300, START, NOW), 2: ties(1001, BOUNDARY)}, NOW, cap=20_000))


def test_ties_whose_ids_end_alike_are_told_apart_by_their_other_digits() -> None:
    require_every_event_once(Case({1: ties(150, BOUNDARY + DAY, alike=12), 2: ties(5, BOUNDARY)}, NOW, cap=100))
