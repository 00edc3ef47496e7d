"""Whether a string is one HogQL SELECT that can stand in brackets in another one.

PostHog's own parser is the judge of HogQL, and PostHog uses it on what it is asked. Here just as much is recognized as
is needed before that: strings, comments, brackets, and the words outside of them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from source_posthog.exact.errors import NotOneSelect

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|(?:--|//|\#)[^\r\n]*|/\*.*?\*/)
    |(?P<string>[fF]'(?:[^'\\{]|\\.|''|\{[^{}]*\})*'|'(?:[^'\\]|\\.|'')*')
    |(?P<name>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    |(?P<open_end>['"`]|/\*)
    |(?P<word>[A-Za-z_$][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}

# After one of these comes an expression or a name, so that a LIMIT or OFFSET there is the name of a column or a table.
_BEFORE_NAMES = {
    *("SELECT", "DISTINCT", "FROM", "JOIN", "WHERE", "PREWHERE", "HAVING", "QUALIFY", "BY", "AND", "OR", "NOT", "ON"),
    *("USING", "AS", "IN", "LIKE", "ILIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "WITH", "RECURSIVE"),
    "INTERVAL",
}
_END_OF_LIMIT = ("LIMIT", "OFFSET", "UNION", "INTERSECT", "EXCEPT", "SETTINGS")


class Token(NamedTuple):
    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """The word in capitals; "" for any other token."""
        return self.text.upper() if self.kind == "word" else ""


def one_select(text: str) -> str:
    """`text` without the semicolon that may end it. Raises NotOneSelect."""
    tokens = list(_tokens(text))
    _require_closed_brackets(tokens)
    end = next((place for place, token in enumerate(tokens) if token.text == ";" and token.kind == "sign"), len(tokens))
    if any(token.text != ";" for token in tokens[end:]):
        raise NotOneSelect("has more than one statement: define each as a query of its own")
    statement = text[: tokens[end].start] if end < len(tokens) else text
    outer = list(_outside_brackets(_unwrapped(tokens[:end])))
    if not _selects(tokens[:end], outer):
        raise NotOneSelect("is not a SELECT")
    for place, token in enumerate(outer):
        if token.word in ("LIMIT", "OFFSET") and _is_clause(outer, place) and not _is_limit_by(outer, place):
            article = "an" if token.word == "OFFSET" else "a"
            raise NotOneSelect(
                f"has {article} {token.word} of its own, but the connector reads the query in pages: remove it, or "
                "move that part into a subquery"
            )
    return statement.strip()


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        if kind == "open_end":
            raise NotOneSelect("ends inside a string, a quoted name or a comment")
        if kind != "space":
            yield Token(kind, match.group(), match.start())


def _require_closed_brackets(tokens: Sequence[Token]) -> None:
    expected: list[str] = []
    for token in tokens:
        if token.kind != "sign":
            continue
        if token.text in _CLOSING:
            expected.append(_CLOSING[token.text])
        elif token.text in _CLOSING.values() and (not expected or expected.pop() != token.text):
            raise NotOneSelect(f"has a {token.text} without its opening bracket")
    if expected:
        raise NotOneSelect(f"has an opening bracket without its {expected[-1]}")


def _outside_brackets(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens that are in no brackets; of those that are in some, the last closing one."""
    depth = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text in _CLOSING) - (token.text in _CLOSING.values())
        if depth == 0:
            yield token


def _unwrapped(tokens: Sequence[Token]) -> Sequence[Token]:
    """`tokens` without brackets around all of them."""
    while len(tokens) > 1 and tokens[0].text == "(" and len(list(_outside_brackets(tokens))) == 1:
        tokens = tokens[1:-1]
    return tokens


def _selects(tokens: Sequence[Token], outer: Sequence[Token]) -> bool:
    first = next((token.word for token in tokens if token.text != "("), "")
    return first == "SELECT" or (
        first == "WITH" and (outer[0].word != "WITH" or any(t.word == "SELECT" for t in outer))
    )


def _is_clause(outer: Sequence[Token], place: int) -> bool:
    """Whether the word at `place` begins a clause, as it does after a whole expression, and is no name."""
    before = outer[place - 1]
    if before.kind == "sign" and before.text == "*":  # all columns, or a multiplication
        return place < 2 or outer[place - 2].word in ("SELECT", "DISTINCT") or outer[place - 2].text in (",", ".")
    if before.kind == "sign":
        return before.text in _CLOSING.values() or before.text == "%"
    if before.word in ("LIMIT", "OFFSET"):  # a clause, or itself a name
        return not _is_clause(outer, place - 1)
    return before.word not in _BEFORE_NAMES


def _is_limit_by(outer: Sequence[Token], place: int) -> bool:
    """Whether it is a `LIMIT n BY columns`, which is a filter and has nothing to do with pages."""
    if outer[place].word != "LIMIT":
        return False
    for token in outer[place + 1 :]:
        if token.word in _END_OF_LIMIT:
            return False
        if token.word == "BY":
            return True
    return False
