"""The EventsQuery: what is asked, and what is made of an answer."""

import json
import re
from datetime import timezone
from typing import Any

import pytest

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.events import event_query, storage_sql
from source_posthog.exact.events.port import Cut, Keys, Query
from source_posthog.exact.events.storage_order import ByHash
from source_posthog.exact.instants import MILLISECOND, instant
from unit_tests.exact.events.support import HOUR, LIMIT, START

AN_HOUR = Query(7, START, START + HOUR)
PERSON = {"uuid": "p1", "distinct_id": "d1", "properties": {"email": "a@b.c", "plan": "free"}, "created_at": "then"}


def asked(query: Query, **options: Any) -> dict[str, Any]:
    body = event_query.body(query, 1000, **options)
    assert body["refresh"] == "force_blocking"
    question: dict[str, Any] = body["query"]
    return question


def row(**columns: Any) -> list[Any]:
    """A row of an answer; `columns` by their names in the records."""
    usual = {
        "id": "e1",
        "event": "$pageview",
        "distinct_id": "d1",
        "properties": '{"a": 1}',
        "timestamp": "2026-01-01T00:00:00Z",
        "elements_chain": "",
        "person": None,
        "created_at": "2026-01-01T00:00:01Z",
    }
    return list({**usual, **columns}.values())


def answer(*rows: Any, more: Any = False) -> dict[str, Any]:
    return {"results": list(rows), "hasMore": more}


def record(**columns: Any) -> dict[str, Any]:
    """The record made of a row."""
    (made,) = event_query.page(answer(row(**columns)), LIMIT, json.loads).rows
    return dict(made)


def refused(body: dict[str, Any]) -> str:
    with pytest.raises(UntrueAnswer) as refusal:
        event_query.page(body, LIMIT, json.loads)
    return str(refusal.value)


def test_both_bounds_are_given_and_exclude_the_instant_that_they_name() -> None:
    question = asked(AN_HOUR)
    assert question["after"] == "2025-12-31T23:59:59.999999Z"
    assert question["before"] == "2026-01-01T01:00:00.000000Z"
    assert question["limit"] == 1000
    assert question["orderBy"] == ["timestamp DESC"]
    assert question["modifiers"] == {"convertToProjectTimezone": False}
    assert "where" not in question


def test_conditions_are_joined() -> None:
    query = Query(7, START, START + HOUR, like="_ab", arrived_from=START)
    of_the_id, of_the_arrival = asked(query)["where"]
    assert of_the_id == "toString(uuid) like '_ab'"
    assert "created_at" in of_the_arrival


def test_the_first_event_is_asked_for_from_the_other_end() -> None:
    assert asked(AN_HOUR, oldest_first=True)["orderBy"] == ["timestamp ASC"]


@pytest.mark.parametrize(
    ("rows", "limit", "echoed", "more", "complete"),
    [
        (2, 3, 3, False, True),
        (2, 3, 3, True, False),
        (3, 3, 3, False, False),
        (2, 3, 2, False, False),
        (3, 3, 50, False, False),
        (2, 3, None, False, True),
        (0, 3, 3, False, True),
    ],
    ids=[
        *("no more", "more", "as many as asked for", "as many as the server says that it gives at most"),
        *("a greater limit is not in force", "none named", "none at all"),
    ],
)
def test_a_page_is_complete_where_the_server_says_so_and_it_has_fewer_rows_than_the_limit_in_force(
    rows: int, limit: int, echoed: Any, more: bool, complete: bool
) -> None:
    body = {**answer(*(row() for _ in range(rows)), more=more), "limit": echoed}
    assert event_query.page(body, limit, json.loads).complete is complete


def test_nothing_that_is_asked_for_joins_the_persons() -> None:
    """A server with "persons on events" off leaves out events without a person where a query reads one of these."""
    keys = Keys(Cut("a", 1), Cut("b", 2, 3))
    query = Query(7, START, START + HOUR, like="_ab", unlike=("1ab",), arrived_from=START, keys=keys)
    counts = [storage_sql.count_of_keys(query, by) for by in (None, ByHash("distinct_id", 5), ByHash("uuid", 5))]
    for text in map(json.dumps, [asked(query), *counts, storage_sql.count_of_days(query, START)]):
        assert not re.search(r"person_id|person\.|pdi|poe|\*", text)
    assert set(event_query.COLUMNS) - {"person"} == {  # columns that are stored with the event
        *("uuid", "event", "distinct_id", "properties", "timestamp", "elements_chain", "created_at")
    }


def test_the_id_of_the_person_is_that_of_the_person_who_was_looked_up() -> None:
    assert record(person=PERSON)["person_id"] == "p1"
    assert record(person={"distinct_id": "d1"})["person_id"] is None
    assert record(person=None)["person_id"] is None


def test_an_instant_is_as_fine_as_a_millisecond() -> None:
    assert event_query.page(answer(), LIMIT, json.loads).step == MILLISECOND


@pytest.mark.parametrize("results", [None, {}, "rows"])
def test_an_answer_without_a_list_of_rows_is_untrue(results: Any) -> None:
    assert refused({"results": results, "hasMore": False}) == "it has no list of `results`"


@pytest.mark.parametrize("more", [None, 0, "no"])
def test_so_is_one_that_does_not_say_whether_there_is_more(more: Any) -> None:
    assert "hasMore" in refused(answer(row(), more=more))


@pytest.mark.parametrize("short", [None, 5, [], row()[:-1], [*row(), 1]])
def test_so_is_a_row_of_other_columns(short: Any) -> None:
    assert refused(answer(short)) == "a row is not what was selected"


def test_so_is_a_row_without_an_id() -> None:
    assert refused(answer(row(id=None))) == "a row has no `uuid`"
    assert refused(answer(row(id=["e1"]))) == "a row has ['e1'] as its `uuid`"


def test_properties_are_those_of_the_decoder() -> None:
    assert record(properties='{"a": 12345678901234567890123}')["properties"] == {"a": 12345678901234567890123}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456+00:00"),
        ("2026-01-01T01:30:00.120000+01:30", "2026-01-01T00:00:00.120000+00:00"),
        ("2025-12-31T16:00:00-08:00", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_an_instant_is_written_as_the_list_writes_it(given: str, expected: str) -> None:
    assert record(timestamp=given)["timestamp"] == expected
    assert instant(expected).tzinfo == timezone.utc


@pytest.mark.parametrize("given", ["2026-01-01T00:00:00", "yesterday", "", None, 5])
def test_an_instant_without_a_zone_names_its_event(given: Any) -> None:
    assert f"event e1 has {given!r} as an instant" in refused(answer(row(timestamp=given)))


def test_a_person_is_shown_as_the_list_shows_it() -> None:
    assert record(person=PERSON)["person"] == {
        "distinct_ids": ["d1"],
        "properties": {"email": "a@b.c"},
        "uuid": "p1",
        "created_at": "then",
    }


@pytest.mark.parametrize("person", [None, {}, {"uuid": None, "properties": {}}])
def test_no_person_is_none(person: Any) -> None:
    assert record(person=person)["person"] is None


def test_what_is_not_known_of_a_person_is_empty() -> None:
    person = record(person={"uuid": "p1", "properties": None})["person"]
    assert person == {"distinct_ids": ["d1"], "properties": {}, "uuid": "p1", "created_at": None}


def test_a_person_of_another_shape_names_its_event() -> None:
    assert refused(answer(row(person=["p1"]))) == "the person of event e1 is not a JSON object"


@pytest.mark.parametrize("properties", ["email", ["email"], 0])
def test_so_do_properties_of_a_person_of_another_shape(properties: Any) -> None:
    person = {**PERSON, "properties": properties}
    assert refused(answer(row(person=person))) == "the properties of the person of event e1 are not a JSON object"
