"""PostHogs of three ages and kinds, read in both ways: every event, on the first sync and on those after it."""

import random
from typing import Any

import pytest

from integration_tests.harness.connection import LATER, NOW, START, Connection, late
from integration_tests.harness.connector import LIST, QUERY, RANGES, Output, Way, catalog, config, expected_keys, run
from integration_tests.harness.in_process import URL, answers_from, now_is, sync
from posthog_server import (
    DAY,
    SECOND,
    Account,
    Fault,
    PostHog,
    account_with,
    event,
    isoformat,
    make_events,
    make_persons,
    server_error,
)
from posthog_server.ages import Age

HOUR = 3600 * SECOND
ZONES = {7: "America/New_York", 8: "Asia/Tokyo"}

ages = pytest.mark.parametrize("age", Age, ids=lambda age: age.name.lower())


def varied() -> Account:
    """Half of the events have no person; ties, bursts in a millisecond, a dense hour, all in zones that are not UTC."""
    rng = random.Random(26)
    events = {
        project: [
            *make_events(200, rng, start=START, span=50 * DAY, project=project, anonymous=0.5),
            *make_events(230, rng, start=START + 30 * DAY, span=1, project=project, anonymous=0.5),
            *make_events(130, rng, start=START + 31 * DAY + 137, span=900, project=project, anonymous=0.5),
            *make_events(350, rng, start=START + 40 * DAY, span=HOUR, project=project, anonymous=0.5),
        ]
        for project in ZONES
    }
    made = account_with(events, persons={project: make_persons(60, rng, project) for project in events})
    for project, zone in ZONES.items():
        made.projects[project].settings["timezone"] = zone
    return made


def connection(age: Age, way: Way, made: Account | None = None, **options: Any) -> Connection:
    """To a PostHog of this age whose pages have a hundred rows at the most."""
    connected = Connection(made or varied(), **{**way.options, **options})
    posthog = PostHog(connected.account, age=age, cap=100, query_cap=100, clock=lambda: connected.now / SECOND)
    connected.posthog = posthog
    return connected


@ages
def test_every_event_comes_once_and_late_ones_with_the_next_sync(age: Age, way: Way) -> None:
    connected = connection(age, way)
    first = connected.sync(NOW)
    assert (first.status, first.errors) == (0, [])
    assert first.keys("events") == expected_keys(connected.account)["events"]
    new = connected.add(late(2 * DAY), late(20 * DAY), event(NOW + HOUR), event(NOW + HOUR + 1))
    second = connected.sync(LATER)
    assert (second.status, second.errors) == (0, [])
    newest = [(7, one.id) for one in connected.account.projects[7].events if one.at >= NOW + HOUR]
    assert set(new) | set(newest) <= set(second.keys("events"))
    assert len(second.keys("events")) == len(set(second.keys("events")))
    third = connected.sync(LATER + HOUR)
    assert (third.status, set(new) <= set(first.keys("events") + second.keys("events"))) == (0, True)
    assert not set(third.keys("events")) & {key for key in first.keys("events") if key[0] == 7}


@ages
def test_both_ways_give_the_same_events_and_persons(age: Age) -> None:
    outputs = [connection(age, way).sync(NOW) for way in (LIST, QUERY)]
    listed, queried = ({row["id"]: row for row in output.records("events")} for output in outputs)
    assert listed.keys() == queried.keys()
    for id, row in queried.items():
        other = listed[id]
        assert (row["distinct_id"], row["event"], row["properties"]) == (
            *(other["distinct_id"], other["event"], other["properties"]),
        )
        person, listed_person = row.get("person"), other.get("person")
        assert (person is None) == (listed_person is None) == (row.get("person_id") is None)
        assert not person or row["person_id"] == person["uuid"]
    anonymous = [row for row in queried.values() if row["distinct_id"].startswith("anonymous")]
    assert len(anonymous) > len(queried) / 3
    assert not any(row.get("person_id") for row in anonymous)


@pytest.mark.matrix
@ages
def test_a_connection_may_change_the_way_at_each_sync(age: Age, way: Way) -> None:
    connected = connection(age, way, events_lookback_hours=0)
    seen = connected.sync(NOW).keys("events")
    for at, api in ((LATER, "query"), (LATER + HOUR, "list"), (LATER + 2 * HOUR, "query")):
        new = connected.add(late(3 * DAY, arrives=at - HOUR // 2), event(at - HOUR), event(at - HOUR + 1))
        output = connected.sync(at, events_api=api)
        assert set(new) <= set(output.keys("events"))
        seen += output.keys("events")
    assert set(seen) == set(expected_keys(connected.account)["events"])


def test_where_the_filter_by_arrival_fails_each_time_the_lookback_is_read_again_and_a_warning_says_so(
    way: Way, waits: list[float]
) -> None:
    """A server of 2024 answers its events list with 500 to words that it does not know."""
    connected = connection(Age.JANUARY_2024, way, account_with({7: [event(NOW - HOUR - i * DAY) for i in range(40)]}))
    connected.sync(NOW)

    def asks_for_arrival(seen: Any) -> bool:
        return "created_at >=" in f"{seen.query}{(seen.body or {}).get('query', {}).get('where')}"

    connected.posthog.faults.add(Fault(stream=way.stream, times=None, when=asks_for_arrival, **server_error()))
    within, newer = connected.add(late(30 * 60 * SECOND)), connected.add(event(NOW + HOUR))
    second = connected.sync(LATER, events_lookback_hours=2)
    assert (second.status, second.errors) == (0, [])
    assert set(within) | set(newer) <= set(second.keys("events"))
    third = connected.sync(LATER + HOUR)
    assert third.status == 0


def test_a_filter_that_fails_as_everything_else_does_is_no_unknown_filter(way: Way, waits: list[float]) -> None:
    connected = connection(Age.CLOUD, way, account_with({7: [event(NOW - HOUR)]}))
    connected.sync(NOW)
    connected.posthog.faults.add(Fault(stream=way.stream, times=None, **server_error()))
    second = connected.sync(LATER)
    assert (second.status, second.keys("events")) == (1, [])


def test_the_warning_of_an_unknown_filter_comes_once(way: Way, waits: list[float], caplog: Any) -> None:
    connected = connection(Age.JANUARY_2024, way, account_with({7: [event(NOW - HOUR)], 8: [event(NOW - HOUR)]}))
    connected.sync(NOW)
    connected.posthog.without_created_at_filter = True
    connected.sync(LATER)
    lines = [one for one in caplog.records if "cannot tell which events arrived late" in one.message]
    assert [line.levelname for line in lines] == ["WARNING"]


# --- larger pages where the server gives them


def limits(posthog: PostHog) -> list[int]:
    return [int(seen.query["limit"]) for seen in posthog.requests if seen.stream == "events"]


def test_a_server_that_gives_ten_thousand_events_a_page_is_asked_for_them() -> None:
    """In a project that has been silent for years, in windows of thirty days."""
    rng = random.Random(7)
    years_ago = NOW - 1100 * DAY
    made = account_with({7: make_events(12_500, rng, start=years_ago, span=15 * DAY, project=7)})
    start_date = isoformat(years_ago - 20 * DAY).replace("+00:00", "Z")
    posthog = PostHog(made, age=Age.JANUARY_2024)
    with answers_from(posthog), now_is(NOW):
        output = sync(start_date=start_date)
    assert output.keys("events") == expected_keys(made)["events"]
    assert posthog.count("events") <= 20
    assert max(limits(posthog)) == 10_000


def test_where_the_server_gives_a_thousand_that_is_found_out_without_a_question_more() -> None:
    made = account_with({7: [event(START + place * SECOND) for place in range(5500)]})
    posthog = PostHog(made)
    with answers_from(posthog), now_is(NOW):
        output = sync(start_date="2026-01-01T00:00:00Z", num_workers=2)
    assert output.keys("events") == expected_keys(made)["events"]
    assert posthog.count("events") <= 10


def test_large_events_are_asked_for_in_pages_of_some_megabytes() -> None:
    fillers = [{"filler": "x" * 5000}] * 6000
    made = account_with({7: [event(START + place * SECOND, properties=one) for place, one in enumerate(fillers)]})
    posthog = PostHog(made, age=Age.JANUARY_2024)
    with answers_from(posthog), now_is(NOW):
        output = sync(start_date="2026-01-01T00:00:00Z", num_workers=2)
    assert output.keys("events") == expected_keys(made)["events"]
    assert max(limits(posthog)) < 3500


# --- a server that shows a wall time as if it were UTC


@pytest.mark.parametrize("way", [LIST, QUERY, RANGES], ids=["list", "query", "ranges"], indirect=True)
@pytest.mark.parametrize(
    ("zone", "number"),
    [*(("America/Los_Angeles", number) for number in (1, 40, 250)), ("Asia/Tokyo", 1), ("Asia/Tokyo", 250)],
)
def test_a_wall_time_that_is_labelled_as_utc_fails_the_project_with_its_zone_and_the_way_out(
    way: Way, zone: str, number: int
) -> None:
    afternoon = [event(START + DAY + 10 * HOUR + place * HOUR // 30) for place in range(number)]  # shown in their day
    made = account_with({7: afternoon, 8: [event(START + DAY)]})
    made.projects[7].settings["timezone"] = zone
    posthog = PostHog(made, cap=100, query_cap=100, wall_time=["events", "query"])
    with answers_from(posthog), now_is(NOW):
        output = run("read", config=config(URL, start_date="2025-12-30T00:00:00Z"), catalog=catalog("events"))
    assert output.status == 1
    assert f"wall time of a project's time zone, here {zone}" in output.errors[0]
    assert f"Set `events_api` to {'query' if way is LIST else 'list'}" in output.errors[0]
    assert [key[0] for key in output.keys("events") if key[0] == 8] == [8]
    assert "7" not in last_state(output) or number > 100


def last_state(output: Output) -> dict[str, Any]:
    return dict(output.state[-1]["stream"]["stream_state"]) if output.state else {}


def test_a_project_in_utc_is_asked_nothing_more() -> None:
    asked = {}
    for zone in ("UTC", "Asia/Tokyo"):
        made = account_with({7: [event(START + DAY)]})
        made.projects[7].settings["timezone"] = zone
        posthog = PostHog(made)
        with answers_from(posthog), now_is(START + 2 * DAY):
            assert len(sync(start_date="2026-01-01T00:00:00Z").keys("events")) == 1
        asked[zone] = posthog.count("events")
    assert asked == {"UTC": 1, "Asia/Tokyo": 2}
