"""JSON is read exactly, by the fast library where it is exact."""

import json
import random
from typing import Any

import orjson
import pytest

from source_posthog.exact_json import MOST_LEVELS, TooDeep, decoder, is_nested_too_deeply, loads


def nested(levels: int, inside: bytes = b"1") -> bytes:
    return b'{"a":[' * (levels // 2) + inside + b"]}" * (levels // 2)


@pytest.mark.parametrize(
    ("body", "is_deep"),
    [
        (nested(MOST_LEVELS), False),
        (nested(MOST_LEVELS + 2), True),
        (nested(100_000), True),
        (nested(MOST_LEVELS + 2, b'"} not a bracket ]"'), True),
        (nested(MOST_LEVELS + 2, rb'"a \" } quote ]"'), True),
        (json.dumps({"results": [{"id": one, "name": "{[ never closed"} for one in range(2000)]}).encode(), False),
        (json.dumps({"results": [{"id": one, "name": "{" * 900} for one in range(3)]}).encode(), False),
        (json.dumps({"results": [{"id": one, "name": 'a \\" { "'} for one in range(2000)]}).encode(), False),
        (b"", False),
    ],
    ids=["deepest", "too deep", "endless", "bracket", "quote", "brackets", "many brackets", "quotes", "empty"],
)
def test_brackets_in_strings_are_not_levels(body: bytes, is_deep: bool) -> None:
    assert is_nested_too_deeply(body) == is_deep


def random_value(rng: random.Random, levels: int = 3) -> Any:
    """What a user's properties may hold: numbers of any length, and strings that look like them."""
    kind = rng.randrange(9 if levels else 6)
    number = rng.randrange(10 ** rng.choice((3, 17, 18, 19, 20, 25)))
    if kind < 2:
        return rng.choice((1, -1)) * number
    if kind == 2:
        return rng.choice((number / 7, 1e300, 5e-324, -0.0, float(number)))
    if kind == 3:
        return rng.choice((str(number), f"a:{number}", f"[{number},{number}", "\ud83d", "🦔", ", 1", None, True))
    if kind == 4:
        return f"{number:x}{number:x}"
    if kind == 5:
        return json.dumps({"a": number, "b": [number]}, indent=rng.choice((None, 1)))
    if kind == 6:
        return [random_value(rng, levels - 1) for _ in range(rng.randrange(4))]
    return {f"k{place}": random_value(rng, levels - 1) for place in range(rng.randrange(4))}


def written(value: Any, rng: random.Random) -> str:
    indent, separators = rng.choice(((None, (",", ":")), (None, (", ", ": ")), (rng.randrange(1, 30), None)))
    return json.dumps(value, indent=indent, separators=separators)


@pytest.mark.parametrize("seed", range(10))
def test_values_and_the_json_in_their_strings_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        rows = [[random_value(rng), written({"of a string": random_value(rng)}, rng)] for _ in range(3)]
        page = written(rows, rng).encode()
        decode = decoder(page)
        assert repr(decode(page)) == repr(rows)
        for _, text in rows:
            assert repr(decode(text)) == repr(json.loads(text))


@pytest.mark.parametrize("digits", range(16, 23))
@pytest.mark.parametrize("before", ["", "-", " ", "\n\t -", " " * 100, "\n" * 20])
def test_a_long_number_is_exact_whatever_stands_before_it(digits: int, before: str) -> None:
    for text in (f'{{"a":{before}{"9" * digits}}}', f"[1,{before}{'9' * digits}]", f"[{before}{'9' * digits}]"):
        page = json.dumps([text]).encode()
        assert repr(loads(text.encode())) == repr(decoder(page)(text)) == repr(json.loads(text))


def test_what_needs_no_care_is_read_by_the_fast_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: object) -> None:
        raise AssertionError("the standard library was asked")

    page = json.dumps([{"id": "12345678901234567890", "at": 1.5, "p": '{"number": 123456789012345678}'}]).encode()
    monkeypatch.setattr("source_posthog.exact_json.json.loads", slow)
    assert decoder(page)(page) == orjson.loads(page)
    assert decoder(page)('{"a": 1}') == {"a": 1}


@pytest.mark.parametrize("inside", [b"1", b'"}"'])
def test_what_is_too_deep_or_no_json_is_a_value_error(inside: bytes) -> None:
    with pytest.raises(TooDeep):
        loads(nested(MOST_LEVELS + 2, inside))
    with pytest.raises(TooDeep):
        decoder(json.dumps(nested(MOST_LEVELS + 2, inside).decode()).encode())(nested(MOST_LEVELS + 2, inside).decode())
    with pytest.raises(ValueError, match="Expecting"):
        loads(b'{"a":')
