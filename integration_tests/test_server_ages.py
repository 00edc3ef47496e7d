"""The embedded PostHog itself: what the servers of other ages and kinds do that today's cloud does not."""

import random
from typing import Any

import pytest

from integration_tests.harness.asking import (
    PATH,
    START,
    UTC,
    asked,
    column,
    counted,
    identifier,
    ids,
    listed,
    posthog,
    refusal,
)
from posthog_server import (
    DAY,
    SECOND,
    Age,
    Event,
    EventTable,
    PostHog,
    Project,
    Reply,
    account,
    event,
    isoformat,
    make_events,
)
from posthog_server.clickhouse import ClickHouse

PERSON = {"id": identifier(9), "uuid": identifier(9), "distinct_ids": ["ann"], "properties": {"email": "a@b.c"}}
JOINING = [Age.SELF_HOSTED, Age.JANUARY_2024]


def with_anonymous(age: Age, **options: Any) -> PostHog:
    """A project of New York with one event of ann's, and one of an anonymous distinct id."""
    events = [event(START, identifier(1), distinct_id="ann"), event(START + 1, identifier(2), distinct_id="anonymous")]
    project = Project(
        7,
        events=EventTable(events),
        persons=[{**PERSON, "created_at": "2026-01-01T00:00:00Z"}],
        settings={"timezone": "America/New_York"},
    )
    return PostHog(account(project), age=age, **options)


def queried(server: PostHog, **changes: Any) -> Reply:
    """As `asked`, without modifiers, which a server of 2024 does not know."""
    return asked(server, **{"modifiers": None, **changes})


def hogql(server: PostHog, sql: str, **fields: Any) -> Reply:
    query = {"kind": "HogQLQuery", "query": sql, **fields}
    return server.post(PATH, {"query": query, "refresh": "force_blocking"})


# --- persons


@pytest.mark.parametrize("age", Age)
def test_the_person_is_looked_up_afterwards_and_drops_no_event(age: Age) -> None:
    people = column(queried(with_anonymous(age), select=["person", "uuid"]))
    assert [person.get("uuid") for person in people] == [None, identifier(9)]
    assert people[0] == {"distinct_id": "anonymous"}


@pytest.mark.parametrize("selected", ["person_id", "person.id", "pdi.person_id"])
def test_only_where_the_cloud_stores_persons_does_their_id_drop_no_event(selected: str) -> None:
    for age, expected in ((Age.CLOUD, [2, 1]), (Age.SELF_HOSTED, [1]), (Age.JANUARY_2024, [1])):
        server = with_anonymous(age)
        assert column(queried(server, select=["uuid", selected])) == [identifier(number) for number in expected]
        assert column(queried(server, where=[f"{selected} is not null"])) == [identifier(one) for one in expected]


def test_an_event_is_found_by_the_id_of_its_person() -> None:
    assert column(queried(with_anonymous(Age.CLOUD), where=[f"person_id = '{identifier(9)}'"])) == [identifier(1)]


@pytest.mark.parametrize(
    ("mode", "found"), [("disabled", 1), ("person_id_no_override_properties_on_events", 2), (None, 1)]
)
def test_a_modifier_reads_the_person_id_that_is_stored_with_the_event(mode: str | None, found: int) -> None:
    modifiers = UTC if mode is None else {**UTC, "personsOnEventsMode": mode}
    assert len(column(asked(with_anonymous(Age.SELF_HOSTED), select=["person_id"], modifiers=modifiers))) == found


@pytest.mark.parametrize(
    ("sql", "joined"),
    [
        ("SELECT uuid FROM events", False),
        ("SELECT * FROM events", False),
        ("SELECT uuid, person_id FROM events", True),
        ("SELECT e.person.properties.email FROM events e", True),
        ("SELECT pdi.person_id FROM events", True),
        ("SELECT pdi.person.properties.email FROM events", True),
        ("SELECT uuid FROM events WHERE person_id IS NOT NULL", True),
        ("SELECT uuid FROM events ORDER BY person.id", True),
        ("SELECT * FROM (SELECT uuid, person_id FROM events)", True),
        ("SELECT person_id FROM (SELECT distinct_id AS person_id FROM events)", False),
        ("SELECT e.uuid FROM events e JOIN persons p ON e.person_id = p.id", True),
        ("SELECT uuid FROM events WHERE distinct_id IN (SELECT 'ann' AS person_id)", False),
    ],
)
def test_hogql_joins_the_persons_only_where_a_query_names_them(clickhouse: ClickHouse, sql: str, joined: bool) -> None:
    without = [len(column(hogql(with_anonymous(age, clickhouse=clickhouse), sql))) for age in JOINING]
    cloud = len(column(hogql(with_anonymous(Age.CLOUD, clickhouse=clickhouse), sql)))
    assert without == [1 if joined or "'ann'" in sql else 2] * 2
    assert cloud == (1 if " JOIN " in sql or "'ann'" in sql else 2)


def test_a_count_of_persons_drops_events_in_silence(clickhouse: ClickHouse) -> None:
    server = with_anonymous(Age.SELF_HOSTED, clickhouse=clickhouse)
    assert column(hogql(server, "SELECT count() FROM events")) == [2]
    assert column(hogql(server, "SELECT count() FROM events WHERE NOT empty(toString(person_id))")) == [1]


def test_made_events_can_be_anonymous_and_the_others_stay_what_they_were() -> None:
    plain, some = (make_events(300, random.Random(1), anonymous=share) for share in (0, 0.5))
    assert [one.id for one in plain] == [one.id for one in make_events(300, random.Random(1))]
    strangers = [one for one in some if one.distinct_id.startswith("anonymous-")]
    assert 100 < len(strangers) < 200
    assert not any(one.distinct_id.startswith("anonymous-") for one in plain)


# --- the most rows


def test_at_the_most_rows_there_is_never_more_whatever_there_is() -> None:
    events = [event(START + place) for place in range(30)]
    for age in Age:
        server, shown = posthog(events, query_cap=20, age=age), []
        for limit in (19, 20, 21, 50_000):
            body = queried(server, limit=limit).json()
            shown.append((len(body["results"]), body["limit"], body["hasMore"]))
        assert shown == [(19, 19, True), (20, 20, False), (20, 20, False), (20, 20, False)]


@pytest.mark.parametrize(
    ("age", "listed_at_most", "queried_at_most"),
    [(Age.CLOUD, 1000, 50_000), (Age.SELF_HOSTED, 1000, 50_000), (Age.JANUARY_2024, 10_000, 10_000)],
)
def test_an_age_has_its_own_most_rows(age: Age, listed_at_most: int, queried_at_most: int) -> None:
    server = posthog([event(START + place) for place in range(10_001)], age=age)
    path = f"/api/projects/7/events/?limit=20000&after={isoformat(START - 1)[:-6]}Z&before=2026-11-01"
    assert len(ids(server.get(path))) == listed_at_most
    assert queried(server, limit=60_000).json()["limit"] == queried_at_most


# --- January 2024


def test_then_instants_are_cut_to_milliseconds_in_the_projects_zone(clickhouse: ClickHouse) -> None:
    server = with_anonymous(Age.JANUARY_2024, clickhouse=clickhouse)
    server.account.projects[7].add_events([event(START + 2 * DAY + 999_999)])
    found = queried(server, select=["timestamp"])
    expected = ["2026-10-02T20:00:00.999-04:00", "2026-09-30T20:00:00.000-04:00", "2026-09-30T20:00:00-04:00"]
    assert column(found) == expected
    assert found.json()["types"] == ["DateTime64(6, 'America/New_York')"]
    assert column(hogql(server, "SELECT timestamp FROM events ORDER BY timestamp DESC")) == expected
    assert listed(server).json()["results"][0]["timestamp"] == "2026-10-03T00:00:00.999999+00:00"


def test_then_bounds_had_microseconds_all_the_same() -> None:
    server = posthog([event(START + place, identifier(place)) for place in range(4)], age=Age.JANUARY_2024)
    bounds = {"after": isoformat(START), "before": isoformat(START + 3)}
    assert column(queried(server, **bounds)) == [identifier(2), identifier(1)]
    assert column(queried(server, where=["created_at >= toDateTime('2026-10-01T00:00:00.000002Z')"])) == [
        identifier(3),
        identifier(2),
    ]


@pytest.mark.parametrize("word", ["toDateTime64", "cityHash64", "toUnixTimestamp64Micro"])
def test_then_words_of_today_were_a_400_from_the_query_and_a_500_from_the_list(
    clickhouse: ClickHouse, word: str
) -> None:
    server = with_anonymous(Age.JANUARY_2024, clickhouse=clickhouse)
    arguments = "'2026-11-01T00:00:00.000000', 6, 'UTC'" if word == "toDateTime64" else "distinct_id"
    for reply in (
        queried(server, where=[f"created_at >= {word}({arguments})"]),
        hogql(server, f"SELECT {word}({arguments}) FROM events"),
    ):
        assert refusal(reply) == (400, "validation_error")
        assert reply.json()["detail"].startswith(f"Unsupported function call '{word}(...)'")
    reply = listed(server, f"created_at >= {word}({arguments})")
    assert (reply.status, reply.json()["detail"]) == (500, "A server error occurred.")


@pytest.mark.parametrize("age", Age)
def test_every_age_knows_an_instant_with_a_z(age: Age, clickhouse: ClickHouse) -> None:
    """To the microsecond and in UTC, whatever the project's zone; without the Z it is in that zone."""
    server = with_anonymous(age, clickhouse=clickhouse)
    for border, expected in (("2026-10-01T00:00:00.000001Z", [2]), ("2026-09-30 20:00:00.000001", [2])):
        condition = f"created_at >= toDateTime('{border}')"
        found = [identifier(number) for number in expected]
        assert ids(listed(server, condition)) == column(queried(server, where=[condition])) == found
        sql = "SELECT uuid FROM events WHERE created_at >= toDateTime({at})"
        assert column(hogql(server, sql, values={"at": border})) == found
        assert column(hogql(server, f"SELECT uuid FROM events WHERE {condition}")) == found
    server = posthog([event(START + place) for place in range(3)], age=age)
    sql = "SELECT count() FROM events WHERE timestamp >= toDateTime('2026-10-01T00:00:00.000001Z')"
    assert column(counted(server, sql=f"{sql} AND timestamp < toDateTime('2026-10-02T00:00:00Z')")) == [2]


@pytest.mark.parametrize("kind", ["EventsQuery", "HogQLQuery"])
def test_then_an_unknown_modifier_was_a_parse_error_of_hundreds_of_lines(kind: str, clickhouse: ClickHouse) -> None:
    server = with_anonymous(Age.JANUARY_2024, clickhouse=clickhouse)
    reply = asked(server) if kind == "EventsQuery" else hogql(server, "SELECT 1", modifiers=UTC)
    body = reply.json()
    assert (reply.status, body["type"], body["code"]) == (400, "invalid_request", "parse_error")
    first, *lines = body["detail"].split("\n")
    assert first.endswith("validation errors for QuerySchema")
    assert any(line.startswith(f"{kind}.modifiers") for line in lines)
    assert len(body["detail"]) > (20_000 if kind == "EventsQuery" else 5000)


def test_then_the_list_gave_all_time_where_after_was_absent_and_no_span_lied() -> None:
    events = [event(START + 30 * DAY + place) for place in range(60)] + [event(START)]
    server = posthog(events, age=Age.JANUARY_2024, clock=lambda: (START + 40 * DAY) / SECOND)
    assert len(ids(server.get("/api/projects/7/events/?limit=100"))) == 61
    assert server.get("/api/projects/7/events/?limit=60&before=2026-11-01").json()["next"] is not None
    assert server.get("/api/projects/7/events/?limit=-1").status == 500


def test_then_the_answer_to_a_query_did_not_say_how_it_came_about(clickhouse: ClickHouse) -> None:
    server = with_anonymous(Age.JANUARY_2024, clickhouse=clickhouse)
    assert set(queried(server).json()) == {"columns", "hasMore", "limit", "offset", "results", "timings", "types"}
    body = hogql(server, "SELECT uuid FROM events").json()
    assert not body.keys() & {"hasMore", "limit", "is_cached"}
    assert body["modifiers"]["personsOnEventsMode"] == "disabled"


def throttled(events: list[Event], age: Age, ask: Any, most: int) -> tuple[list[int], str | None]:
    server = posthog(events, age=age, cloud_throttles=True, clock=lambda: 0.0)
    replies = [ask(server) for _ in range(most + 1)]
    return sorted({reply.status for reply in replies[:-1]}), replies[-1].headers.get("Retry-After")


def test_then_120_queries_an_hour_were_the_most() -> None:
    assert throttled([], Age.JANUARY_2024, queried, 120) == ([200], "3600")


@pytest.mark.parametrize("age", [Age.CLOUD, Age.JANUARY_2024])
def test_events_and_persons_share_240_requests_a_minute(age: Age) -> None:
    paths = iter(["events", "persons"] * 121)
    assert throttled([], age, lambda server: server.get(f"/api/projects/7/{next(paths)}/"), 240) == ([200], "60")
