"""The embedded PostHog itself: questions in the order of storage, and maps of it."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from integration_tests.harness.asking import PATH, START, asked, column, posthog, refusal
from integration_tests.stored import (
    A_DAY,
    BY_DAY,
    BY_NAME,
    HALF,
    ID,
    ODD_NAMES,
    PERSON,
    at_least,
    below,
    dense,
    hogql,
    name,
)
from posthog_server import (
    DAY,
    SECOND,
    Age,
    Event,
    EventTable,
    PostHog,
    Project,
    account,
    event,
    make_events,
)
from posthog_server.conditions import hash_of_distinct_id, hash_of_id, unquoted
from posthog_server.grammar import HogQLError, parse_expr
from posthog_server.hogql import where
from posthog_server.storage_order import StorageOrder

# --- questions in the order of storage


def test_the_ranges_of_a_day_hold_each_event_once() -> None:
    rng = random.Random(2)
    events = make_events(500, rng, start=START, span=DAY)
    for one in events:
        one.event = rng.choice(ODD_NAMES)
    events[3].unmerged = True
    server = posthog(events)
    keys = sorted((one.event.encode(), hash_of_distinct_id(one), hash_of_id(one)) for one in events)
    cuts = [_cut(key, rng.randrange(3)) for key in sorted(rng.sample(keys, 7))]
    cuts = sorted(set(cuts), key=lambda cut: (cut[0].encode(), cut[1] or 0, cut[2] or 0))
    found = column(asked(server, where=[below(*cuts[0])], limit=1000))
    for cut, following in pairwise(cuts):
        reply = asked(server, where=[at_least(*cut), below(*following)], limit=1000)
        found += column(reply)
        assert reply.json()["hasMore"] is False
    found += column(asked(server, where=[at_least(*cuts[-1])], limit=1000))
    assert Counter(found) == Counter([*(one.id for one in events), events[3].id])


def _cut(key: tuple[bytes, int, int], depth: int) -> tuple[str, int | None, int | None]:
    event, person, id = key
    return event.decode(), person if depth else None, id if depth == 2 else None


def test_a_range_goes_with_every_other_condition_and_with_the_bounds_of_time() -> None:
    events = dense(300)
    for place, one in enumerate(events):
        one.created_at = START + place
    arrived = "created_at >= toDateTime('2026-10-01T00:00:00.000100Z')"
    reply = asked(posthog(events), where=["event >= 'name 3'", "toString(uuid) like '%3'", arrived], limit=1000)
    due = [one for one in events if one.event >= "name 3" and one.id.endswith("3") and one.created_at >= START + 100]
    assert column(reply) == [one.id for one in sorted(due, key=lambda one: -one.at)] != []
    first = asked(posthog(events), where=["event >= 'name 3'"], limit=5)
    assert len(column(first)) == 5
    assert first.json()["hasMore"] is True


@pytest.mark.parametrize("descending", [False, True])
def test_pages_come_in_the_order_of_the_keys_that_they_are_asked_in(descending: bool) -> None:
    events = dense(200)
    order = [f"{key} {'DESC' if descending else 'ASC'}" for key in ("event", PERSON, ID)]
    reply = asked(posthog(events), orderBy=order, limit=150)
    keyed = sorted(events, key=lambda one: (one.event, hash_of_distinct_id(one), hash_of_id(one)), reverse=descending)
    assert column(reply) == [one.id for one in keyed[:150]]
    assert reply.json()["hasMore"] is True
    assert refusal(asked(posthog(events), orderBy=["event", "lower(event)"]))[0] == 400


def test_hogql_reads_strings_as_posthogs_own_parser_does() -> None:
    rng = random.Random(4)
    sound = ["\\\\", "\\'", "''", "\\n", "\\t", "\\0", "\0", "{x}", "é", "🦔", "\n", "a", '"', "`", " or ", "("]
    pieces = [*sound * 10, "\\e", "\\"]
    read_as: list[str] = []
    for _ in range(3000):
        text = f"'{''.join(rng.choices(pieces, k=rng.randrange(6)))}'"
        try:
            expected = parse_expr(text)
        except HogQLError:
            expected = {}
        try:
            assert unquoted(text) == expected.get("value"), text
            read_as.append(text)
        except ValueError:
            assert expected.get("node") != "Constant", text
    assert len(read_as) > 1000
    for text in ODD_NAMES:
        assert unquoted(name(text)) == text == parse_expr(name(text))["value"]


@pytest.mark.parametrize(
    "condition",
    [
        "event > 'a' or event < 'b' and event = 'c'",
        "(event > 'a' or event < 'b') and event = 'and'",
        "((event = ' or ') and (event = '(' or event = ')'))",
        "event='a'AND(event='b')OR event='it\\'s and'",
    ],
)
def test_and_or_and_brackets_mean_what_they_mean_to_posthogs_own_parser(condition: str) -> None:
    def holds(node: Any, text: str) -> bool:
        if node["node"] in ("And", "Or"):
            return {"And": all, "Or": any}[node["node"]](holds(one, text) for one in node["exprs"])
        signs = {"==": str.__eq__, "<": str.__lt__, ">": str.__gt__}
        return bool(signs[node["op"]](text, node["right"]["value"]))

    tree, understood = parse_expr(condition), where([condition])
    for text in ("", "a", "aa", "b", "c", "and", " or ", "(", ")", "it's and"):
        assert understood.holds(event(START, event=text), Project(7).people) == holds(tree, text), text


@pytest.mark.parametrize(
    "condition",
    [
        "event > 5",
        "event > 'a' or",
        "(event > 'a'",
        "event = 'a' or lower(event) = 'b'",
        f"{PERSON} < 'a'",
        f"{PERSON} < {2**64}",
        f"{PERSON} < -1",
        "event = '\\e'",
        "not event = 'a'",
    ],
)
def test_a_condition_that_cannot_be_read_is_a_400(condition: str) -> None:
    assert refusal(asked(posthog(dense(5)), where=[condition])) == (400, "validation_error")


def test_a_server_of_january_2024_does_not_know_the_hash() -> None:
    server = posthog(dense(5), age=Age.JANUARY_2024)
    plain: dict[str, Any] = {"modifiers": None}
    by_hash = f"SELECT {PERSON}, count() FROM events WHERE {A_DAY} GROUP BY {PERSON}"
    replies = [
        asked(server, where=[f"event > 'a' or (event = 'a' and {PERSON} < 5)"], **plain),
        asked(server, orderBy=[f"{PERSON} ASC"], **plain),
        server.post(PATH, {"query": {"kind": "HogQLQuery", "query": by_hash}, "refresh": True}),
    ]
    for reply in replies:
        assert reply.status == 400
        assert "cityHash64" in reply.json()["detail"]
    assert asked(server, where=["event >= 'name 1'"], **plain).status == 200


# --- maps


def test_maps_count_the_events_of_a_range_by_day_name_and_hash() -> None:
    events = [*dense(300, span=3 * DAY), event(START + 5, visible_at=2**62)]
    events[0].unmerged = True
    server = posthog(events)
    rows = [one for one in [*events, events[0]] if one.visible_at < 2**62]
    of_day = [one for one in rows if one.at < START + DAY]
    three = BY_DAY.replace("2026-10-02", "2026-10-04") + " ORDER BY toDate(timestamp)"
    days = Counter(f"2026-10-0{1 + (one.at - START) // DAY}" for one in rows)
    assert hogql(server, three).json()["results"] == [[day, days[day]] for day in sorted(days)]
    names = hogql(server, BY_NAME).json()
    assert sorted(map(tuple, names["results"])) == sorted(Counter(one.event for one in of_day).items())
    assert (names["columns"], names["types"]) == (["event", "count()"], [["event", "String"], ["count()", "UInt64"]])
    for by in (1, HALF // 4, 2**64 - 1):
        of_hash = f"intDiv({PERSON}, {by})"
        some = f"FROM events WHERE {A_DAY} AND event < 'name 5' GROUP BY event, part LIMIT 5000"
        due = Counter((one.event, hash_of_distinct_id(one) // by) for one in of_day if one.event < "name 5")
        reply = hogql(server, f"SELECT event, {of_hash} AS part, count() AS n {some}")
        assert {(row[0], row[1]): row[2] for row in reply.json()["results"]} == due
        assert reply.json()["columns"] == ["event", "part", "n"]
    sql = f"SELECT min({ID}), max({ID}), count() FROM events WHERE {A_DAY} AND event = 'none'"
    assert hogql(server, sql).json()["results"] == [[0, 0, 0]]


def test_a_map_takes_a_condition_on_the_arrival_and_instants_that_cannot_be_null() -> None:
    events = [event(START + place, created_at=START + 10 * DAY + place) for place in range(5)]
    arrived = " AND created_at >= assumeNotNull(toDateTime('2026-10-11T00:00:00.000002Z')) GROUP"
    assert hogql(posthog(events), BY_DAY.replace(" GROUP", arrived)).json()["results"] == [["2026-10-01", 3]]
    not_null = BY_DAY.replace("toDateTime(", "assumeNotNull(toDateTime(").replace("Z')", "Z'))")
    assert hogql(posthog(events), not_null).json()["results"] == [["2026-10-01", 5]]


def test_the_days_of_a_map_are_those_of_the_project_unless_they_are_asked_for_in_utc() -> None:
    project = Project(7, settings={"timezone": "Asia/Tokyo"}, events=EventTable([event(START + 16 * 3600 * SECOND)]))
    server = PostHog(account(project))
    assert hogql(server, BY_DAY).json()["results"] == [["2026-10-01", 1]]
    assert hogql(server, BY_DAY, modifiers={}).json()["results"] == [["2026-10-02", 1]]


def test_a_map_has_100_rows_without_a_limit_and_never_more_than_the_server_gives() -> None:
    events = [event(START + place, event=f"name {place}") for place in range(130)]
    reply = hogql(posthog(events), BY_NAME).json()
    assert (len(reply["results"]), reply["hasMore"]) == (100, True)
    capped = hogql(posthog(events, query_cap=120), f"{BY_NAME} LIMIT 50000").json()
    assert (len(capped["results"]), capped.get("hasMore")) == (120, None)
    assert len(hogql(posthog(events), f"{BY_NAME} LIMIT 50000").json()["results"]) == 130


@pytest.mark.parametrize(
    "sql",
    [
        BY_NAME.replace(f" WHERE {A_DAY}", ""),
        BY_NAME.replace(f"{A_DAY}", "event > 'a'"),
        BY_NAME.replace("GROUP BY event", ""),
        BY_NAME.replace("SELECT event", "SELECT lower(event)"),
        f"SELECT intDiv({PERSON}, 0), count() FROM events WHERE {A_DAY} GROUP BY intDiv({PERSON}, 0)",
        f"{BY_NAME} ORDER BY distinct_id",
    ],
)
def test_any_other_map_is_a_400(sql: str) -> None:
    assert refusal(hogql(posthog(dense(5)), sql)) == (400, "validation_error")


@pytest.mark.parametrize("seed", range(20))
def test_the_index_leaves_every_row_for_which_a_condition_holds(seed: int) -> None:
    rng = random.Random(seed)
    people = Project(7).people
    events = make_events(150, rng, start=START, span=2 * DAY, people=5)
    for one in events:
        one.event = rng.choice(["", "a", "b", "b\0", "c"])
    order = StorageOrder(sorted(events, key=lambda one: one.at))
    pruned = 0
    for _ in range(60):
        condition = where([_random_condition(rng, events, 2)])
        size = rng.choice([1, 2, 7, 64])
        left = order.granules((START // DAY, START // DAY + 1), condition, size)
        rows = [id(one) for granule in left for one in order.rows(granule)]
        assert {id(one) for one in events if condition.holds(one, people)} <= set(rows)
        pruned += len(order) - len(rows)
    assert pruned > 1000


def _random_condition(rng: random.Random, events: list[Event], depth: int) -> str:
    if depth and rng.random() < 0.7:
        word = rng.choice([" and ", " or "])
        return f"({word.join(_random_condition(rng, events, depth - 1) for _ in range(rng.randrange(2, 4)))})"
    sign, one = rng.choice(["=", "!=", "<", "<=", ">", ">="]), rng.choice(events)
    if rng.random() < 0.5:
        return f"event {sign} {name(one.event)}"
    return rng.choice([f"{PERSON} {sign} {hash_of_distinct_id(one)}", f"{ID} {sign} {hash_of_id(one)}"])
