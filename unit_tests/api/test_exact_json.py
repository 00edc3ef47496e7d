"""JSON is read exactly, by the fast library where it is exact."""

import json
import random
import sys
from typing import Any

import orjson
import pytest

from source_posthog.api.exact_json import MOST_LEVELS, decoder, is_nested_too_deeply, pieces
from source_posthog.exact.errors import TooDeep


def loads(content: bytes) -> Any:
    return decoder(content)(content)


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
        (b'{"x":"}","a":' * (MOST_LEVELS + 1) + b"1" + b"}" * (MOST_LEVELS + 1), True),
        (b'{"x":"}","a":' * MOST_LEVELS + b"1" + b"}" * MOST_LEVELS, False),
        (b"[" + b"[]," * 2000 + b"1]", False),
        (b"", False),
    ],
    ids=[
        *("deepest", "too deep", "endless", "bracket", "quote", "brackets", "many brackets", "quotes"),
        *("hidden by brackets in strings", "not hidden", "wide", "empty"),
    ],
)
def test_brackets_in_strings_are_not_levels(body: bytes, is_deep: bool) -> None:
    assert is_nested_too_deeply(body) == is_deep
    assert raises_too_deep(body) == is_deep
    assert raises_too_deep(body[:-1] + b',"n":' + b"9" * 19 + body[-1:]) == is_deep, "read by the standard library"


def raises_too_deep(body: bytes) -> bool:
    try:
        loads(body)
    except ValueError as error:
        return isinstance(error, TooDeep)
    return False


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
    alone = f" {before}{'9' * digits}".encode()
    assert repr(loads(alone)) == repr(json.loads(alone)), "as a piece of something is"


def test_what_needs_no_care_is_read_by_the_fast_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(_: object) -> None:
        raise AssertionError("the standard library was asked")

    page = json.dumps([{"id": "12345678901234567890", "at": 1.5, "p": '{"number": 123456789012345678}'}]).encode()
    monkeypatch.setattr("source_posthog.api.exact_json.json.loads", slow)
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


# --- How much is looked at


def looked_at(page: bytes) -> tuple[int, int]:
    """How many functions in C are called to decode `page` and the JSON in its strings, and on how many bytes."""
    calls = length = 0

    def count(_: object, event: str, function: Any) -> None:
        nonlocal calls, length
        if event == "c_call":
            owner = getattr(function, "__self__", None)
            calls, length = calls + 1, length + (len(owner) if isinstance(owner, bytes | str) else 0)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        decode = decoder(page)
        rows = decode(page)
        for row in rows:
            decode(row["properties"])
    finally:
        sys.setprofile(before)
    return calls, length


def page_of(text: str, rows: int = 1000) -> bytes:
    return json.dumps([{"properties": json.dumps({"text": text, "number": place})} for place in range(rows)]).encode()


LENGTH = 3000
PLAIN = "plain " * (LENGTH // 6)
ODD = {
    "that open": "{[" * (LENGTH // 2),
    "that close": "}]" * (LENGTH // 2),
    "in pairs": "{" * (LENGTH // 2) + "}" * (LENGTH // 2),
    "next to each other": "[]" * (LENGTH // 2),
    "behind quotes": '"{' * (LENGTH // 3),
    "none, but digits": "1" * LENGTH,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_a_page_whose_strings_have_thousands_of_brackets_costs_no_more_than_twice_a_plain_one(text: str) -> None:
    plain, odd = page_of(PLAIN), page_of(text)
    (calls, length), (odd_calls, odd_length) = looked_at(plain), looked_at(odd)
    assert odd_calls <= 2 * calls
    assert odd_length / len(odd) <= 2 * length / len(plain) <= 10


@pytest.mark.slow
@pytest.mark.parametrize("text", [*ODD.values(), ":1234567890123456789" * 100], ids=[*ODD, "none, but numbers"])
def test_twice_the_rows_cost_twice_as_much(text: str) -> None:
    (calls, length), (twice_calls, twice_length) = (looked_at(page_of(text, rows)) for rows in (1000, 2000))
    assert twice_calls <= 2 * calls
    assert twice_length <= 2.01 * length


# --- The pieces of what is too deep


def cut(piece: bytes) -> Any:
    return json.loads(piece)


@pytest.mark.parametrize("seed", range(5))
def test_the_pieces_are_the_elements_and_the_members(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        value = {f'k"{place}': random_value(rng) for place in range(rng.randrange(4))}
        elements = [random_value(rng) for _ in range(rng.randrange(4))]
        assert {name: cut(text) for name, text in pieces(written(value, rng).encode()).items()} == value
        assert [cut(text) for text in pieces(written(elements, rng).encode()).values()] == elements


def test_a_piece_may_be_as_deep_as_it_likes() -> None:
    deep = nested(100_000, b'"} not a bracket ]"')
    row = b'{"id": 1, "a": ' + deep + b', "b": [2]}'
    assert {**pieces(row), "a": b""} == {"id": b" 1", "a": b"", "b": b" [2]"}
    assert pieces(row)["a"].strip() == deep
    assert len(pieces(b"[" + row + b", " + row + b"]")) == 2


WHOLE = json.dumps({"next": None, "results": [{"id": 1, "text": 'a " }', "properties": {"a": [1, "]"]}}]}).encode()


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_what_is_cut_off_has_no_pieces(length: int) -> None:
    with pytest.raises(ValueError, match=r"end|name"):
        pieces(WHOLE[:length])


@pytest.mark.parametrize("text", [b"1", b'"{}"', b"[1]]", b"{1}", b'{"a"}', b"[1] 2", b"]["])
def test_nor_has_what_is_no_array_or_object(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"end|name"):
        pieces(text)


def test_an_empty_one_has_none() -> None:
    assert pieces(b"[]") == pieces(b" { } ") == {}
