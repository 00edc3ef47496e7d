"""Properties that are what they should be, and those that are not."""

import json
import random
from typing import Any

import pytest

from source_posthog.exact.events.properties import set_properties

BOM = "\ufeff"


def read(given: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": "e1"}
    set_properties(row, given, json.loads)
    assert row.pop("id") == "e1"
    return row


@pytest.mark.parametrize(
    "given",
    [
        *({"a": 1}, '{"a": 1}', json.dumps('{"a": 1}'), json.dumps(json.dumps('{"a": 1}'))),
        *(BOM + '{"a": 1}', json.dumps(BOM + '{"a": 1}'), BOM + json.dumps(BOM + '{"a": 1}')),
    ],
    ids=["decoded", "encoded", "twice", "three times", "BOM", "BOM inside", "BOM twice"],
)
def test_an_object_is_read_however_it_is_encoded(given: Any) -> None:
    assert read(given) == {"properties": {"a": 1}}


def test_an_empty_object_is_one() -> None:
    assert read({}) == read("{}") == {"properties": {}}


@pytest.mark.parametrize(
    "given", ["", " ", "null", "[]", '[{"a": 1}]', "3", "true", "text", '"text"', '{"a": 1', '{"a": 1}}', BOM, '"{"']
)
def test_any_other_string_is_kept_as_it_came(given: str) -> None:
    assert read(given) == {"properties": None, "_unreadable": given}


@pytest.mark.parametrize(
    ("given", "kept"),
    [(None, "null"), ([], "[]"), ([1, "ü"], '[1,"ü"]'), (2**70, "1180591620717411303424"), (True, "true")],
)
def test_any_other_value_is_kept_as_json(given: Any, kept: str) -> None:
    assert read(given) == {"properties": None, "_unreadable": kept}


def test_what_cannot_be_emitted_is_kept_too() -> None:
    def too_deep(_: str) -> Any:
        raise ValueError("too deep")

    row: dict[str, Any] = {}
    set_properties(row, '{"a": {}}', too_deep)
    assert row == {"properties": None, "_unreadable": '{"a": {}}'}


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_lost_of_an_object_that_was_cut_or_encoded_at_random(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(1000):
        value: dict[str, Any] = {
            rng.choice('ab"\\ü'): rng.choice((1, "x", [{}], '{"', None)) for _ in range(rng.randrange(3))
        }
        text = json.dumps(value)
        for _ in range(rng.randrange(3)):
            text = rng.choice(("", BOM)) + json.dumps(text, ensure_ascii=rng.random() < 0.5)
        assert read(text) == {"properties": value}
        cut = text[: rng.randrange(len(text))]
        assert read(cut) == {"properties": None, "_unreadable": cut}
