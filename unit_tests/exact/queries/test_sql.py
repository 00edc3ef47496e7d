"""What is one SELECT without a LIMIT of its own: judged beside PostHog's own parser."""

import random
from typing import Any

import pytest

from posthog_server.grammar import HogQLError, parse_select
from source_posthog.exact.errors import NotOneSelect
from source_posthog.exact.queries.sql import one_select
from tools.proof import cases

ALLOWED = {
    "SELECT 1": "SELECT 1",
    " select a from t ; ": "select a from t",
    "SELECT a FROM t;;": "SELECT a FROM t",
    "SELECT a FROM t; -- the end": "SELECT a FROM t",
    "SELECT a FROM t -- LIMIT 5": "SELECT a FROM t -- LIMIT 5",
    "SELECT a /* LIMIT 5; */ FROM t": "SELECT a /* LIMIT 5; */ FROM t",
    "SELECT a // LIMIT 5\nFROM t # OFFSET 3": "SELECT a // LIMIT 5\nFROM t # OFFSET 3",
    "SELECT 'LIMIT 5; it''s \\' LIMIT' FROM t": None,
    'SELECT a AS "LIMIT 5", b AS `OFFSET``; LIMIT 1` FROM t': None,
    "WITH x AS (SELECT a FROM t LIMIT 5) SELECT * FROM x": None,
    "SELECT * FROM (SELECT a FROM t ORDER BY a LIMIT 5 OFFSET 2)": None,
    "(SELECT a FROM t)": None,
    "(SELECT a FROM t LIMIT 5) UNION ALL (SELECT b FROM u)": None,
    "SELECT limit, t.offset, a AS limit FROM limit AS t WHERE offset > limit ORDER BY limit": None,
    "SELECT a * limit FROM t": None,
    "SELECT count(*) FROM t GROUP BY limit": None,
    "SELECT a FROM t ORDER BY b LIMIT 1 BY a": None,
    "SELECT f'LIMIT {limit} OFFSET' FROM t": None,
    "SELECT {filters} FROM t": None,
}
REFUSED = {
    "SELECT a FROM t LIMIT 5": "LIMIT of its own",
    "SELECT a FROM t limit\n5;": "LIMIT of its own",
    "SELECT a FROM t LIMIT {n}": "LIMIT of its own",
    "SELECT a FROM t LIMIT 1 BY a LIMIT 5": "LIMIT of its own",
    "SELECT a FROM t OFFSET 2": "OFFSET of its own",
    "SELECT a FROM t ORDER BY a DESC OFFSET 2": "OFFSET of its own",
    "SELECT * LIMIT 5": "LIMIT of its own",
    "SELECT t.* FROM t LIMIT 10%": "LIMIT of its own",
    "SELECT 'a' LIMIT 5": "LIMIT of its own",
    "((SELECT a FROM t LIMIT 5))": "LIMIT of its own",
    "SELECT a FROM t UNION ALL SELECT b FROM u LIMIT 3": "LIMIT of its own",
    "WITH x AS (SELECT 1) SELECT * FROM x LIMIT 1": "LIMIT of its own",
    "SELECT a FROM t WHERE b IS NULL LIMIT 5": "LIMIT of its own",
    "SELECT CASE WHEN a THEN b END LIMIT 5": "LIMIT of its own",
    "SELECT a FROM t; SELECT b FROM u": "more than one statement",
    "SELECT a FROM t; DROP TABLE t;": "more than one statement",
    "INSERT INTO t VALUES (1)": "is not a SELECT",
    "DROP TABLE t": "is not a SELECT",
    "FROM t": "is not a SELECT",
    "WITH x AS (SELECT 1) INSERT INTO t": "is not a SELECT",
    "'SELECT 1'": "is not a SELECT",
    "{query}": "is not a SELECT",
    "-- SELECT 1": "is not a SELECT",
    ";": "is not a SELECT",
    "selected": "is not a SELECT",
    "SELECT (a FROM t": "an opening bracket without its )",
    "SELECT a) FROM (SELECT 1": "a ) without its opening bracket",
    "SELECT [a) FROM t": "a ) without its opening bracket",
    "SELECT 'a FROM t": "ends inside a string",
    "SELECT `a FROM t": "ends inside a string",
    "SELECT a /* FROM t": "ends inside a string",
}


@pytest.mark.parametrize("text", ALLOWED)
def test_one_select_without_a_limit_of_its_own_is_allowed(text: str) -> None:
    """Posthog's parser reads it, alone and in brackets, and finds no LIMIT in it."""
    statement = one_select(text)
    assert statement == (ALLOWED[text] or text)
    assert own_limits(parse_select(statement)) == []
    assert parse_select(f"SELECT * FROM (\n{statement}\n) LIMIT 1")


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(NotOneSelect, match=REFUSED[text].replace(")", r"\)")):
        one_select(text)


@pytest.mark.parametrize("text", [text for text, sentence in REFUSED.items() if "of its own" in sentence])
def test_posthogs_parser_finds_the_limit_that_is_refused(text: str) -> None:
    assert own_limits(parse_select(text)) != []


QUERIES = cases("QUERIES", 60, 600)


@pytest.mark.slow
def test_the_limits_of_random_queries_are_those_that_posthogs_parser_finds() -> None:
    rng = random.Random(4)
    read = limited = 0
    for _ in range(QUERIES):
        text = random_query(rng)
        try:
            expected = own_limits(parse_select(text))
        except HogQLError:
            continue
        read += 1
        limited += bool(expected)
        assert ("of its own" in refusal(text)) == bool(expected), text
    assert min(limited, read - limited) > QUERIES // 3


def refusal(text: str) -> str:
    try:
        one_select(text)
    except NotOneSelect as refused:
        return str(refused)
    return ""


def own_limits(tree: Any) -> list[Any]:
    """The LIMITs and OFFSETs of a SELECT, and of the last one of a UNION without brackets around it."""
    if tree["node"] == "SelectSetQuery":
        last = tree["subsequent_select_queries"][-1]["select_query"]
        return own_limits(last) if tree.get("limit") is None else [tree["limit"]]
    return [tree[part] for part in ("limit", "offset") if tree.get(part)]


def random_query(rng: random.Random, depth: int = 0) -> str:
    """Without a bare `limit` after a comma: the parser allows a comma at the end and takes that for a clause."""
    names = ["a", "t.limit", "t.offset", "`LIMIT 5`", '"x;"', "'LIMIT 1'", "f(limit)", "3", "count(*)", "[limit]", "*"]
    comments = ["", "", "", " -- LIMIT 9\n", " /* OFFSET 9 */ "]

    def one() -> str:
        name = rng.choice(names[:-1])
        return f"{name} {rng.choice('*+-=')} {rng.choice(names[:-2])}" if rng.random() < 0.2 else name

    columns = ", ".join(rng.choice([one(), f"{one()} AS offset", "*"]) for _ in range(rng.randint(1, 3)))
    table = rng.choice(["t", "limit", "t AS limit"])
    if depth < 2 and rng.random() < 0.4:
        table = f"({random_query(rng, depth + 1)})"
    parts = [f"SELECT {rng.choice(['', 'DISTINCT '])}{columns}", f"FROM {table}"]
    for clause in (f"WHERE {one()}", f"GROUP BY {one()}", f"ORDER BY {one()}{rng.choice(['', ' DESC'])}"):
        if rng.random() < 0.3:
            parts.append(clause)
    for clause in ("LIMIT 1 BY a", "LIMIT 5", "OFFSET 7"):
        if rng.random() < 0.2:
            parts.append(rng.choice([clause, clause.lower()]))
    return "".join(rng.choice(comments) + " " + part for part in parts).strip()
