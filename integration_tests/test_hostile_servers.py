"""Windows that end in any order or fail, data that moves, and a server that misbehaves."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pytest

from integration_tests.harness import in_process
from integration_tests.harness.connector import Output, expected_keys, project_state
from posthog_server import (
    DAY,
    SECOND,
    Account,
    Fault,
    PostHogServer,
    Reply,
    Seen,
    account_with,
    event,
    make_events,
    make_persons,
    microseconds,
    rewrite,
    server_error,
    stall,
)
from source_posthog.exact.instants import instant

START = microseconds("2026-10-01T00:00:00Z")
BOUNDARIES = [START + number * 5 * DAY for number in range(9)]


def account(projects: Iterable[int] = (7, 8), each: int = 60, seed: int = 4) -> Account:
    """Events over 45 days, the first exactly at START, where then the first window begins."""
    rng = random.Random(seed)
    return account_with(
        {
            project: [event(START), *make_events(each, rng, start=START, span=45 * DAY, project=project)]
            for project in projects
        }
    )


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z", events_time_step=5)


def require_honest_states(output: Output, made: Account) -> None:
    """No state covers an event that was not printed before it."""
    unread = {(one.id, e.id): e.at for one in made.projects.values() for e in one.events}
    for message in output.messages:
        if message["type"] == "RECORD":
            unread.pop((message["record"]["data"]["project_id"], message["record"]["data"]["id"]), None)
        elif message["type"] == "STATE":
            state = message["state"]["stream"]["stream_state"]
            for (project, _), at in unread.items():
                if str(project) in state:
                    assert at > instant(state[str(project)]["timestamp"]).timestamp() * SECOND - 1


# --- windows that end in any order, or fail


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("workers", [2, 10, 40])
def test_no_state_runs_ahead_of_its_events_whatever_the_order_in_which_windows_end(seed: int, workers: int) -> None:
    made, rng = account(projects=(7, 8, 9)), random.Random(seed)
    with PostHogServer(made) as server:
        for _ in range(12):
            skip = rng.randrange(12)
            server.posthog.faults.add(Fault(stream="events", skip=skip, times=1, **stall(rng.random() / 10)))
        output = read(server, "events", num_workers=workers)
    assert output.keys("events") == expected_keys(made)["events"]
    require_honest_states(output, made)


@pytest.mark.parametrize("window", range(8))
def test_a_window_that_fails_holds_back_its_project_alone_and_the_next_sync_reads_what_is_missing(window: int) -> None:
    made = account()
    start = BOUNDARIES[window]
    with PostHogServer(made) as server:
        fault = server.posthog.faults.add(
            Fault(
                stream="events",
                project_id=7,
                times=None,
                when=lambda seen: seen.after < start <= seen.before - 2,
                **{**server_error(), "status": 400},
            )
        )
        first = read(server, "events")
        assert first.status == 1
        assert first.stream_status("events") == "INCOMPLETE"
        assert any("Stream events, project 7, window" in error for error in first.errors)
        assert not any("project 8" in error for error in first.errors)
        reached = first.states[-1].get("7", {"timestamp": "2026-10-01T00:00:00Z"})["timestamp"]
        assert instant(reached).timestamp() * SECOND <= start
        assert [key for key in first.keys("events") if key[0] == 8] == [
            key for key in expected_keys(made)["events"] if key[0] == 8
        ]
        require_honest_states(first, made)
        fault.times = 0
        second = read(server, "events", state=first.state)
    assert second.status == 0
    assert sorted(set(first.keys("events")) | set(second.keys("events"))) == expected_keys(made)["events"]


def test_many_workers_ask_one_project_for_two_lists_at_once_and_no_more() -> None:
    made = account(projects=(7,))
    with PostHogServer(made, page_delay=0.05) as server:
        output = read(server, "events", events_time_step=2, num_workers=40)
        assert server.posthog.max_event_lists_at_once == {7: 2}
    assert output.keys("events") == expected_keys(made)["events"]


# --- a target that moves


def test_events_that_arrive_behind_the_reading_are_read_by_the_next_sync() -> None:
    made = account(projects=(7,))
    now = int(time.time() * SECOND)
    newest = now - 1200 * SECOND
    made.projects[7].add_events([event(newest), event(newest), event(now - 4000 * SECOND)])
    # In the middle of what was read, tied with the cursor, and newer than it.
    late = [event(newest - 600 * SECOND), event(newest), event(newest + 1), event(now - 30 * SECOND)]
    with PostHogServer(made) as server:
        first = read(server, "events")
        made.projects[7].add_events(late)
        second = read(server, "events", state=first.state)
    again = set(first.keys("events")) & set(second.keys("events"))
    assert set(first.keys("events")) | set(second.keys("events")) == set(expected_keys(made)["events"])
    assert again <= {(7, e.id) for e in made.projects[7].events if e.at >= newest - 3600 * SECOND}
    assert len(again) == 2  # tied with the state


def test_events_that_arrive_while_a_window_is_read_are_emitted_once_or_by_the_next_sync() -> None:
    made = account(projects=(7,), each=700)
    oldest_days = [e.at for e in made.projects[7].events]
    arriving = make_events(40, random.Random(9), start=min(oldest_days), span=max(oldest_days) - min(oldest_days))

    def arrive(body: Any) -> Any:
        if arriving:
            made.projects[7].add_events([arriving.pop()])
        return body

    before = expected_keys(made)["events"]
    with PostHogServer(made, cap=100) as server:
        server.posthog.faults.add(Fault(stream="events", times=None, **rewrite(arrive)))
        output = read(server, "events", events_time_step=91)
    assert set(before) <= set(output.keys("events"))
    assert len(set(output.keys("events"))) == len(output.keys("events"))


def test_without_lookback_only_what_ties_with_the_cursor_is_repeated() -> None:
    made = account(projects=(7,))
    recent = int(time.time() - 7200) * SECOND
    made.projects[7].add_events([event(recent), event(recent), event(recent - 1)])
    with PostHogServer(made) as server:
        first = read(server, "events", events_lookback_hours=0)
        second = read(server, "events", state=first.state, events_lookback_hours=0)
    assert len(second.records("events")) == 2
    assert {row["timestamp"] for row in second.records("events")} == {first.states[-1]["7"]["timestamp"]}


# --- projects that sleep, appear and disappear


def test_a_project_that_was_silent_for_years_costs_at_most_two_requests_a_sync() -> None:
    made = account_with({7: [event("2022-01-01T00:00:00Z"), event("2022-01-02T00:00:00Z")]})
    with PostHogServer(made) as server:
        state = None
        for _ in range(3):
            server.posthog.reset()
            state = read(server, "events", state=state, events_time_step=30, start_date="2022-01-01T00:00:00Z").state
        assert server.posthog.count("events") <= 2


def test_a_project_that_appears_starts_at_start_date_and_one_that_goes_keeps_its_state() -> None:
    made = account(projects=(7, 8))
    with PostHogServer(made) as server:
        gone = made.projects.pop(8)
        first = read(server, "events")
        made.projects[8] = gone
        second = read(server, "events", state=first.state)
        del made.projects[7]
        third = read(server, "events", state=second.state)
    assert [key for key in second.keys("events") if key[0] == 8] == sorted((8, e.id) for e in gone.events)
    assert third.status == 0
    assert third.states[-1]["7"] == second.states[-1]["7"]


# --- a server that misbehaves


def change_rows(change: Callable[[list[Any]], list[Any]]) -> dict[str, Any]:
    return rewrite(lambda body: {**body, "results": change(body["results"])})


def at(timestamp: str | None) -> dict[str, Any]:
    return change_rows(lambda r: [{**e, "timestamp": timestamp} for e in r])


MORE = "http://x/?before=1"
MISBEHAVIOUR = {
    "rows before the window": (at("2026-09-01T00:00:00Z"), "outside the requested range"),
    "rows after the window": (at("2027-09-01T00:00:00Z"), "outside the requested range"),
    "rows without id": (change_rows(lambda r: [{k: v for k, v in e.items() if k != "id"} for e in r]), "no `id`"),
    "rows without timestamp": (at(None), "not a valid one"),
    "timestamps that are no dates": (at("soon"), "not a valid one"),
    "oldest first": (change_rows(lambda r: r[::-1]), "out of order"),
    "no results": (rewrite(lambda body: {"next": None}), "`results`"),
    "results of another type": (rewrite(lambda body: {"next": None, "results": {}}), "`results`"),
    "a row that is no object": (change_rows(lambda r: [*r, 7]), "no `id`"),
    "an empty page with more to come": (
        rewrite(lambda body: {"next": "http://x/?before=1", "results": []}),
        "empty page",
    ),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_an_answer_that_cannot_be_true_fails_its_window_and_can_be_tried_again(name: str) -> None:
    fault, reason = MISBEHAVIOUR[name]
    made = account()
    start = BOUNDARIES[3]
    with PostHogServer(made) as server:
        bad = Fault(
            stream="events", project_id=7, times=None, when=lambda seen: seen.after < start < seen.before, **fault
        )
        server.posthog.faults.add(bad)
        first = read(server, "events")
        assert first.status == 1
        (error,) = [error for error in first.errors if error.startswith("Stream events, project 7, window 2026-10-16")]
        assert reason in error
        bad.times = 0
        second = read(server, "events", state=first.state)
    require_honest_states(first, made)
    assert sorted(set(first.keys("events")) | set(second.keys("events"))) == expected_keys(made)["events"]


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "an error beside no rows": ({"error": "Out of memory", "results": []}, "answers with an error (Out of memory)"),
    "an earlier answer": ({"is_cached": True}, "an earlier answer (`is_cached`)"),
    "an empty page with more to come": ({"hasMore": True, "results": []}, "an empty page says that there is more"),
    "more of another type": ({"hasMore": "no"}, "does not say whether there is more (`hasMore`)"),
    "a limit that is none": ({"limit": 0}, "its `limit` (0) is not a number of rows"),
    "no list of rows": ({"results": None}, "no list of `results`"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_an_answer_by_query_that_contradicts_itself_fails_its_window_and_can_be_tried_again(name: str) -> None:
    changed, reason = CONTRADICTIONS[name]
    made, queried = account(), partial(read, events_api="query")
    with PostHogServer(made) as server:
        bad = server.posthog.faults.add(
            Fault(stream="query", project_id=7, times=None, when=is_of_rows, **rewrite(lambda body: body | changed))
        )
        first = queried(server, "events")
        assert (first.status, {project for project, _ in first.keys("events")}) == (1, {8})
        assert reason in first.errors[0]
        bad.times = 0
        second = queried(server, "events", state=first.state)
    require_honest_states(first, made)
    assert sorted(set(first.keys("events")) | set(second.keys("events"))) == expected_keys(made)["events"]


def is_of_rows(seen: Seen) -> bool:
    return bool(seen.body and seen.body["query"]["kind"] == "EventsQuery")


@pytest.mark.parametrize("body", [[], {}, None, 7, "text"], ids=["list", "object", "null", "number", "text"])
def test_a_body_that_is_no_page_fails_the_stream_and_not_the_program(body: Any) -> None:
    with PostHogServer(account(projects=(7,))) as server:
        server.posthog.faults.add(Fault(stream="events", times=None, **rewrite(lambda _: body)))
        output = read(server, "events", events_time_step=91)
    assert (output.status, output.records("events")) == (1, [])
    assert "Stream events, project 7, window" in output.errors[0]


@pytest.mark.parametrize(
    "following",
    ["http://elsewhere/?before=2020-01-01T00:00:00Z", "same", "http://x/", 7],
    ids=["elsewhere", "itself", "nowhere", "a number"],
)
def test_the_next_of_events_is_never_followed(following: Any) -> None:
    made = account(projects=(7,))
    with PostHogServer(made) as server:
        server.posthog.faults.add(
            Fault(
                stream="events",
                times=3,
                when=lambda seen: seen.after < START + DAY,
                **rewrite(lambda body: {**body, "next": following}),
            )
        )
        output = read(server, "events", events_time_step=91)
    assert output.keys("events") == expected_keys(made)["events"]


def test_a_row_that_is_twice_on_a_page_is_emitted_once() -> None:
    made = account(projects=(7,))
    made.projects[7].add_events([event(START + 7) for _ in range(230)])
    with PostHogServer(made, cap=100) as server:
        twice = change_rows(lambda r: [e for e in r for _ in range(2)])
        server.posthog.faults.add(Fault(stream="events", times=None, **twice))
        output = read(server, "events", events_time_step=91)
    assert output.keys("events") == expected_keys(made)["events"]


def test_a_short_page_that_says_there_is_more_is_not_the_end() -> None:
    made = account(projects=(7,), each=400)
    with PostHogServer(made, cap=100) as server:
        shorten = rewrite(lambda body: {**body, "results": body["results"][:20]} if body["next"] else body)
        server.posthog.faults.add(Fault(stream="events", times=None, **shorten))
        output = read(server, "events", events_time_step=91)
    assert output.keys("events") == expected_keys(made)["events"]


def test_a_server_that_ignores_the_filter_by_id_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = account_with({7: [event(START + 7) for _ in range(230)]})
    with PostHogServer(made, cap=100) as server:
        answer = server.posthog.handle

        def handle(method: str, path: str, query: str, headers: Mapping[str, str]) -> Reply:
            return answer(method, path, query.split("&properties=")[0], headers)

        monkeypatch.setattr(server.posthog, "handle", handle)
        output = read(server, "events", events_time_step=91)
    assert output.status == 1
    assert "the filter by id was ignored" in output.errors[0]


# --- lists


@pytest.mark.parametrize(
    "change",
    [
        lambda body: {**body, "next": "http://x/?limit=1000&offset=0"},
        lambda body: {**body, "next": "http://x/?limit=1000"},
        lambda body: {**body, "next": "nonsense"},
        lambda body: {**body, "next": 12},
    ],
    ids=["itself", "no offset", "nonsense", "a number"],
)
@pytest.mark.parametrize("stream", ["persons", "insights", "cohorts"])
def test_a_next_that_does_not_lead_on_is_an_error_and_no_endless_loop(
    stream: str, change: Callable[[Any], Any]
) -> None:
    made = account_with({7: []})
    setattr(made.projects[7], stream, [{"id": number} for number in range(5)])
    with PostHogServer(made) as server:
        server.posthog.faults.add(Fault(stream=stream, times=None, **rewrite(change)))
        output = read(server, stream)
        assert server.posthog.count(stream) <= 2
    assert output.status == 1
    assert "does not advance" in output.errors[0]
    assert f"/api/projects/7/{stream}" in output.errors[0]


def test_short_and_empty_pages_of_persons_are_not_the_end() -> None:
    made = account_with({7: []}, persons=make_persons(4200, random.Random(3)))
    made.projects[7].dropped_persons = {5, *range(1000, 2000), *range(3500, 4000)}
    with PostHogServer(made) as server:
        output = read(server, "persons")
    assert output.keys("persons") == expected_keys(made)["persons"]


def test_rows_that_are_added_at_the_end_of_a_list_while_it_is_read_are_read_and_none_before_is_missing() -> None:
    made = account_with({7: []}, persons=make_persons(2500, random.Random(3)))
    before = expected_keys(made)["persons"]

    def grow(body: Any) -> Any:
        made.projects[7].persons.append({"id": f"new-{len(made.projects[7].persons)}"})
        return body

    with PostHogServer(made) as server:
        server.posthog.faults.add(Fault(stream="persons", times=3, **rewrite(grow)))
        output = read(server, "persons")
    assert set(before) <= set(output.keys("persons"))
    assert len(output.keys("persons")) == len(set(output.keys("persons")))


def test_a_list_that_shrinks_at_its_end_ends_well() -> None:
    made = account_with({7: []}, persons=make_persons(2500, random.Random(3)))
    kept = expected_keys(made)["persons"]

    def shrink(body: Any) -> Any:
        del made.projects[7].persons[1500:]
        return body

    with PostHogServer(made) as server:
        server.posthog.faults.add(Fault(stream="persons", times=1, **rewrite(shrink)))
        output = read(server, "persons")
    assert output.status == 0
    assert set(output.keys("persons")) <= set(kept)
    assert len(output.keys("persons")) == 1500


def test_a_state_of_one_project_is_not_touched_by_another() -> None:
    made = account(projects=(7, 8))
    with PostHogServer(made) as server:
        output = read(server, "events", state=project_state(p7="2026-11-10T00:00:00Z"))
    assert instant(output.states[-1]["7"]["timestamp"]) >= instant("2026-11-10T00:00:00Z")
