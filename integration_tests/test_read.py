"""Reading: every record that the server holds, once, and a second sync from the state of the first."""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from integration_tests.harness.connector import (
    RANGES,
    Output,
    Way,
    catalog,
    config,
    events_state,
    expected_keys,
    legacy_state,
    project_state,
    run,
    run_command,
)
from integration_tests.harness.dense import kinds_of_queries
from posthog_server import (
    DAY,
    SECOND,
    Account,
    PostHogServer,
    Project,
    Reply,
    account,
    account_with,
    demo_account,
    event,
    make_events,
    microseconds,
)
from posthog_server.api import STREAMS
from source_posthog.exact.instants import instant

START = microseconds("2026-01-01T00:00:00Z")


def busy(seed: int = 3, projects: Iterable[int] = (7, 8)) -> Account:
    """Events spread over three months, bursts, and ties at the boundaries of windows of 30 days."""
    rng = random.Random(seed)
    made = {}
    for project in projects:
        spread = make_events(400, rng, start=START, span=80 * DAY, project=project)
        burst = make_events(700, rng, start=START + 20 * DAY, span=50 * SECOND, project=project)
        tied = make_events(130, rng, start=START + 30 * DAY, span=1, project=project)
        first = make_events(3, rng, start=START, span=1, project=project)
        made[project] = spread + burst + tied + first
    return account_with(made)


@pytest.fixture(scope="module")
def demo() -> Iterator[PostHogServer]:
    with PostHogServer(demo_account()) as server:
        yield server


@pytest.mark.parametrize("how", [run, run_command], ids=["launch", "command"])
def test_all_seven_streams_give_every_row_once(demo: PostHogServer, how: Callable[..., Output]) -> None:
    output = how("read", config=config(demo.url), catalog=catalog())
    expected = expected_keys(demo.posthog.account)
    assert {stream: output.keys(stream) for stream in STREAMS} == {stream: expected[stream] for stream in STREAMS}
    assert {stream: output.stream_status(stream) for stream in STREAMS} == dict.fromkeys(STREAMS, "COMPLETE")
    assert (output.status, output.errors) == (0, [])


def test_a_second_sync_reads_full_refresh_streams_again_and_no_event_that_lies_behind_the_lookback(
    demo: PostHogServer,
) -> None:
    first = run("read", config=config(demo.url), catalog=catalog())
    second = run("read", config=config(demo.url), catalog=catalog(), state=first.state)
    assert second.records("events") == []
    assert second.keys("persons") == first.keys("persons")
    assert second.states[-1].keys() == first.states[-1].keys()


def test_events_carry_their_person_and_properties_as_the_server_has_them(demo: PostHogServer) -> None:
    output = run("read", config=config(demo.url), catalog=catalog("events"))
    project = demo.posthog.account.projects[303]
    given = {row["id"]: row for row in output.records("events") if row["project_id"] == 303}
    for one in project.events:
        row = json.loads(one.json(project.person_of(one.distinct_id)))
        present = {name: value for name, value in row.items() if value is not None}  # the CDK leaves out a row's nulls
        assert given[one.id] == {**present, "project_id": 303}
    assert any(row.get("person") for row in output.records("events"))


def test_two_syncs_give_as_many_rows_as_there_are_ids_where_nothing_is_looked_back_on() -> None:
    made = busy()
    with PostHogServer(made) as server:
        options = config(server.url, events_lookback_hours=0)
        first = run("read", config=options, catalog=catalog("events"))
        for project in made.projects.values():
            project.add_events(event(int(time.time() - ago) * SECOND) for ago in (7200, 3600))
        second = run("read", config=options, catalog=catalog("events"), state=first.state)
    assert len(second.records("events")) == 4
    assert sorted(first.keys("events") + second.keys("events")) == expected_keys(made)["events"]


@pytest.mark.matrix
@pytest.mark.parametrize("cap", [100, 250, 1000, 20_000])
@pytest.mark.parametrize("days", [1, 30, 91])
def test_every_event_is_read_whatever_the_way_the_page_cap_and_the_window(way: Way, cap: int, days: int) -> None:
    made = busy()
    with PostHogServer(made, cap=cap, query_cap=cap) as server:
        output = run("read", config=config(server.url, events_time_step=days), catalog=catalog("events"))
        at_once = server.posthog.max_event_lists_at_once | server.posthog.max_queries_at_once
        kinds = kinds_of_queries(server.posthog)
    assert output.keys("events") == expected_keys(made)["events"]
    assert max(at_once.values()) <= way.at_once
    assert way is not RANGES or kinds["keys"] > 3


def after(made: Account, text: str, lookback: int = SECOND * 3600) -> list[tuple[int, str]]:
    """The events that a state of `text` leaves to be read."""
    return [
        (one.id, e.id) for one in made.projects.values() for e in one.events if e.at >= microseconds(text) - lookback
    ]


def test_a_state_from_before_0_1_8_stands_for_every_project() -> None:
    made = busy()
    with PostHogServer(made) as server:
        state = legacy_state("2026-02-01T00:00:00Z")
        output = run("read", config=config(server.url), catalog=catalog("events"), state=state)
    assert output.keys("events") == sorted(after(made, "2026-02-01T00:00:00Z"))
    assert output.states[-1]["timestamp"] == "2026-02-01T00:00:00Z"
    assert output.states[-1].keys() == {"timestamp", "7", "8"}


def test_each_project_goes_on_from_its_own_state_and_a_new_one_from_start_date() -> None:
    made = busy()
    with PostHogServer(made) as server:
        state = project_state(p7="2026-03-01T00:00:00.000000+00:00")
        output = run("read", config=config(server.url), catalog=catalog("events"), state=state)
    expected = [key for key in after(made, "2026-03-01T00:00:00Z") if key[0] == 7]
    expected += [key for key in expected_keys(made)["events"] if key[0] == 8]
    assert output.keys("events") == sorted(expected)


@pytest.mark.parametrize(
    "text",
    ["2026-03-01T00:00:00Z", "2026-03-01T02:00:00+0200", "2026-03-01T00:00:00.000+00:00", "2026-02-28T19:00:00-05:00"],
)
def test_any_iso_8601_instant_in_the_state_is_understood(text: str) -> None:
    made = busy(projects=(7,))
    with PostHogServer(made) as server:
        output = run("read", config=config(server.url), catalog=catalog("events"), state=project_state(p7=text))
    assert output.keys("events") == sorted(after(made, "2026-03-01T00:00:00Z"))


def test_a_start_date_in_the_future_reads_no_event_and_succeeds() -> None:
    with PostHogServer(busy()) as server:
        output = run("read", config=config(server.url, start_date="2126-01-01T00:00:00Z"), catalog=catalog("events"))
        assert server.posthog.count("events") == 0
    assert (output.status, output.records("events"), output.stream_status("events")) == (0, [], "COMPLETE")


def test_a_state_from_the_future_reads_no_event_and_is_kept() -> None:
    with PostHogServer(busy(projects=(7,))) as server:
        state = project_state(p7="2126-01-01T00:00:00Z")
        output = run("read", config=config(server.url), catalog=catalog("events"), state=state)
    assert output.records("events") == []
    assert output.states[-1] == {"7": {"timestamp": "2126-01-01T00:00:00Z"}}


def test_a_state_for_a_project_that_is_not_there_is_kept_and_does_no_harm() -> None:
    made = busy(projects=(7,))
    with PostHogServer(made) as server:
        state = events_state({"99": {"timestamp": "2026-03-01T00:00:00Z"}})
        output = run("read", config=config(server.url), catalog=catalog("events"), state=state)
    assert output.keys("events") == expected_keys(made)["events"]
    assert output.states[-1]["99"] == {"timestamp": "2026-03-01T00:00:00Z"}


def test_an_empty_account_gives_nothing_and_succeeds() -> None:
    with PostHogServer(account()) as server:
        output = run("read", config=config(server.url), catalog=catalog())
    assert output.status == 0
    assert list(output.of("RECORD")) == []
    assert {stream: output.stream_status(stream) for stream in STREAMS} == dict.fromkeys(STREAMS, "COMPLETE")


def test_a_project_without_events_succeeds() -> None:
    with PostHogServer(account(Project(7))) as server:
        output = run("read", config=config(server.url), catalog=catalog())
    assert (output.status, output.ids("projects"), output.records("events")) == (0, [7], [])


def test_projects_are_asked_for_once_a_sync() -> None:
    with PostHogServer(busy()) as server:
        run("read", config=config(server.url), catalog=catalog())
        assert server.posthog.count("projects") == 1


def test_an_idle_sync_asks_each_project_for_what_is_new_and_for_what_arrived_late() -> None:
    made = account_with({7: [event(at) for at in (START, START + DAY)]})
    with PostHogServer(made) as server:
        options = config(server.url, events_time_step=91)
        first = run("read", config=options, catalog=catalog("events"))
        second = run("read", config=options, catalog=catalog("events"), state=first.state)
        server.posthog.reset()
        run("read", config=options, catalog=catalog("events"), state=second.state)
        assert server.posthog.count("events") == 2


def test_history_before_the_first_event_is_skipped_with_few_requests() -> None:
    made = account_with({project: [event("2026-10-01T00:00:00Z"), event("2026-11-01T00:00:00Z")] for project in (7, 8)})
    with PostHogServer(made) as server:
        output = run("read", config=config(server.url, start_date="2021-11-01T00:00:00Z"), catalog=catalog("events"))
        assert server.posthog.count("events", 7) <= 12
    assert output.keys("events") == expected_keys(made)["events"]


def test_history_is_read_in_full_where_the_server_does_not_know_the_order_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = account_with({7: [event(at) for at in (START, START + 200 * DAY, START + 300 * DAY)]})
    with PostHogServer(made) as server:
        answer = server.posthog.handle

        def handle(method: str, path: str, query: str, headers: Mapping[str, str]) -> Reply:
            return answer(method, path, query.replace("orderBy=", "unknown="), headers)

        monkeypatch.setattr(server.posthog, "handle", handle)
        output = run("read", config=config(server.url), catalog=catalog("events"))
    assert output.keys("events") == expected_keys(made)["events"]


def test_the_order_of_ids_does_not_matter_and_states_only_grow() -> None:
    with PostHogServer(busy()) as server:
        output = run("read", config=config(server.url, events_time_step=3), catalog=catalog("events"))
    for project in ("7", "8"):
        reached = [instant(state[project]["timestamp"]) for state in output.states if project in state]
        assert reached == sorted(reached)
        assert len(reached) > 5


def test_values_that_json_libraries_disagree_on_come_through_unchanged() -> None:
    odd = {
        "huge": 2**80,
        "negative": -(2**70),
        "exact": 2**63,
        "float": 1e300,
        "nul": "\u0000",
        "half": "\ud800",
        "x": [],
    }
    made = account_with({7: [event(START, id="0" * 32, properties=odd)]})
    with PostHogServer(made) as server:
        output = run("read", config=config(server.url), catalog=catalog("events"))
    (row,) = output.records("events")
    assert row["properties"] == odd


def test_a_server_behind_a_path_and_a_proxy_is_read_in_full() -> None:
    made = busy(projects=(7,))
    made.projects[7].persons = [{"id": str(number)} for number in range(2500)]
    with PostHogServer(made, path_prefix="/ph", public_host="https://hidden.example.com") as server:
        output = run("read", config=config(server.url + "/"), catalog=catalog("events", "persons"))
    assert output.keys("events") == expected_keys(made)["events"]
    assert output.keys("persons") == expected_keys(made)["persons"]
