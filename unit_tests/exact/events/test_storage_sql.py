"""The order of storage in HogQL."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from source_posthog.exact.errors import UntrueAnswer
from source_posthog.exact.events.conditions import string
from source_posthog.exact.events.names import Names
from source_posthog.exact.events.port import HASHES, Cut, Keys, Query
from source_posthog.exact.events.storage_order import ByHash
from source_posthog.exact.events.storage_sql import (
    GREATEST,
    count_of_days,
    count_of_keys,
    days_in,
    keys_in,
    range_conditions,
)
from unit_tests.exact.events.support import DAY, HOUR, START

TODAY = Query(7, START, START + DAY)
PERSON, ID = "assumeNotNull(cityHash64(distinct_id))", "assumeNotNull(cityHash64(uuid))"


@pytest.mark.parametrize(
    ("keys", "conditions"),
    [
        (Keys(), []),
        (Keys(Cut("a")), ["event >= 'a'"]),
        (Keys(None, Cut("a")), ["event < 'a'"]),
        (Keys(Cut("a", HASHES), Cut("b", HASHES)), ["event > 'a'", "event <= 'b'"]),
        (Keys(Cut("a", 5)), [f"(event > 'a' or (event = 'a' and {PERSON} >= 5))"]),
        (Keys(None, Cut("a", 5)), [f"(event < 'a' or (event = 'a' and {PERSON} < 5))"]),
        (
            Keys(Cut("a", 5, 6)),
            [f"(event > 'a' or (event = 'a' and ({PERSON} > 5 or ({PERSON} = 5 and {ID} >= 6))))"],
        ),
        (Keys(Cut("a", GREATEST + 9)), [f"(event > 'a' or (event = 'a' and {PERSON} >= ({GREATEST} + 9)))"]),
    ],
)
def test_a_range_is_what_holds_for_its_keys(keys: Keys, conditions: list[str]) -> None:
    assert range_conditions(keys) == conditions


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("it's", r"'it\'s'"),
        ("a\\b", r"'a\\b'"),
        ("{x}", "'{x}'"),
        ("a\nb\t", r"'a\nb\t'"),
        ("\x07\x0b", r"'\a\v'"),
        ("é😀", "'é😀'"),
        ("", "''"),
    ],
)
def test_a_name_is_a_string_of_hogql(name: str, written: str) -> None:
    assert string(name) == written


def test_days_are_counted_between_bounds_that_the_index_can_use_and_as_far_as_events_had_arrived() -> None:
    asked = count_of_days(TODAY, START + HOUR)["query"]
    assert asked["query"] == (
        "SELECT toDate(timestamp), count() FROM events "
        "WHERE timestamp >= assumeNotNull(toDateTime('2026-01-01T00:00:00.000000Z')) "
        "AND timestamp < assumeNotNull(toDateTime('2026-01-02T00:00:00.000000Z')) "
        "AND created_at < toDateTime('2026-01-01T01:00:00.000000Z') "
        "GROUP BY toDate(timestamp) ORDER BY count() DESC LIMIT 49999"
    )
    assert asked["modifiers"] == {"convertToProjectTimezone": False}


def test_keys_are_counted_by_name_or_by_buckets_of_a_hash_within_their_range() -> None:
    query = replace(TODAY, keys=Keys(Cut("a"), Cut("b")))
    assert " AND event >= 'a' AND event < 'b' GROUP BY event " in count_of_keys(query, None)["query"]["query"]
    by_hash = count_of_keys(query, ByHash("uuid", 9))["query"]["query"]
    assert f"SELECT intDiv({ID}, 9), count() " in by_hash
    assert f" GROUP BY intDiv({ID}, 9) " in by_hash


def test_what_is_counted_has_the_names_that_are_wanted() -> None:
    query = replace(TODAY, names=Names(frozenset(["a", "it's"])), keys=Keys(None, Cut("b")))
    assert r" AND event not in ('a', 'it\'s') AND created_at < " in count_of_days(query, START)["query"]["query"]
    assert r" AND event not in ('a', 'it\'s') AND event < 'b' GROUP" in count_of_keys(query, None)["query"]["query"]


def test_counts_are_read() -> None:
    answer = {"results": [["2026-01-02", 5], ["2026-01-03T00:00:00Z", 6]]}
    assert days_in(answer) == {date(2026, 1, 2): 5, date(2026, 1, 3): 6}
    assert keys_in({"results": [["a", 5], ["", 1]]}, None) == {"a": 5, "": 1}
    assert keys_in({"results": [[7, 5], ["8", 1]]}, ByHash("uuid", 1)) == {7: 5, 8: 1}


@pytest.mark.parametrize("results", [None, [[1]], [["2026-01-01", "5"]], [["2026-01-01", -1]], [["then", 1]], ["x"]])
def test_anything_else_is_no_count(results: Any) -> None:
    with pytest.raises(UntrueAnswer):
        days_in({"results": results})


@pytest.mark.parametrize("key", ["x", None, []])
def test_a_bucket_is_a_number(key: Any) -> None:
    with pytest.raises(UntrueAnswer, match="a key in it is none"):
        keys_in({"results": [[key, 1]]}, ByHash("uuid", 1))
