"""HogQL as ClickHouse reads it: PostHog's own parser finds what differs, and that is edited in place.

SELECT id, properties.email FROM persons WHERE created_at > {after}

becomes, with the values `{"after": "2026-01-01"}` in a project of Tokyo,

SELECT `id`, replaceRegexpAll(nullIf(nullIf(JSONExtractRaw(`properties`, 'email'), ''), 'null'), '^"|"$', '')
AS `email` FROM (SELECT `id`, toTimeZone(`created_at`, 'Asia/Tokyo') AS `created_at`, ... FROM ...) AS `persons`
WHERE `created_at` > '2026-01-01' LIMIT 100
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from posthog_server.clickhouse.tables import Table, quoted
from posthog_server.grammar import HogQLError, children_of, nodes_of, parse_select

from .conditions import STRING
from .hogql import Dialect
from .traffic import invalid
from .values import Row

DEFAULT_LIMIT = 100

TABLE_FUNCTIONS = {"numbers"}
# Columns of these names and a dot are those of a table that is joined where a query names them.
JOINED, IDS = "person", "pdi"
HAS_PERSON = "pdi.has_person"  # which rows a join leaves
_NAMED = ("Alias", "ColumnsExpr", "Placeholder")  # columns whose names are not how they are written
_ESCAPED = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", "\b": "\\b"})


@dataclass(frozen=True)
class Statement:
    """A SELECT for ClickHouse.

    Attributes:
        limited: whether its LIMIT is the number of rows to give. Else it asks for one row more, as PostHog does for
            one SELECT without a LIMIT, but not for a UNION.
    """

    sql: str
    limited: bool


def translated(
    hogql: str, values: Row, table: Callable[[str], Table | None], dialect: Dialect, greatest: int
) -> Statement:
    """`hogql` for ClickHouse: `values` in the place of `{name}`, and the columns of a `table` in a time zone.

    In UTC the columns stay as they are. Raises Refusal (400) for what PostHog refuses.
    """
    is_of_2024 = dialect.age.is_of_2024
    if is_of_2024 and ";" in STRING.sub("", hogql):
        raise invalid(f"no viable alternative at input '{hogql[: hogql.index(';') + 1]}'")
    try:
        tree = parse_select(hogql)
    except HogQLError as error:
        code = "invalid_input" if is_of_2024 else "syntax_error"
        raise invalid(str(error).removesuffix(f": {hogql}"), code) from None
    nodes = list(nodes_of(tree))
    dialect.require_known(node["name"] for node in nodes if node["node"] == "Call")
    ctes = {node["name"] for node in nodes if node["node"] == "CTE"}
    editor = _Editor(hogql, values, table, dialect, ctes)
    editor.visit(tree)
    is_one = tree["node"] == "SelectQuery"
    limited = [editor.limit(select, greatest, one_more=is_one) for select in _outermost(tree)]
    return Statement(editor.edited(_place(tree, "end")), limited[0] or not is_one)


@dataclass
class _Editor:
    hogql: str
    values: Row
    table: Callable[[str], Table | None]
    dialect: Dialect
    ctes: set[str]
    chains: list[list[str | int]] = field(default_factory=list)  # what the SELECT that is being visited names
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    def edited(self, end: int) -> str:
        """The SQL with all edits. What follows `end` can be brackets, comments and a semicolon, which is taken off."""
        parts, place = [], 0
        for first, last, text in sorted(self.edits, key=lambda edit: edit[:2]):
            parts += [self.hogql[place:first], text]
            place = last
        return "".join([*parts, self.hogql[place:end], self.hogql[max(place, end) :].replace(";", "")])

    def limit(self, select: Row, greatest: int, *, one_more: bool) -> bool:
        """Give `select` a LIMIT, or clamp its own. Whether it had one."""
        limit = select.get("limit")
        if limit is None:
            self._insert(_place(select, "end"), f" LIMIT {min(DEFAULT_LIMIT, greatest) + one_more}")
            return False
        number = self._value(limit) if limit["node"] == "Placeholder" else limit.get("value")
        if isinstance(number, int) and number > greatest:
            start, end = _place(limit, "start"), _place(limit, "end")
            self.edits = [edit for edit in self.edits if edit[:2] != (start, end)]
            self.edits.append((start, end, str(greatest)))
        return True

    def visit(self, node: Row) -> None:
        """Edit what differs in `node` and all that is in it. Raises Refusal."""
        kind = node["node"]
        if node.get("offset_value") or (kind in ("SelectQuery", "SelectSetQuery") and node.get("offset")):
            raise invalid("OFFSET is not supported with personal API keys. Page by a key instead.")
        if kind == "Field":
            self._replace(node, _expression(node["chain"]))
        elif kind == "Placeholder":
            self._replace(node, literal(self._value(node)))
        elif kind == "ArrayAccess" and _is_property(node):
            self._replace(node, _expression([*node["array"]["chain"], node["property"]["value"]]))
        elif kind == "JoinExpr":
            self._visit_join(node)
        elif kind == "SelectQuery":
            outer, self.chains = self.chains, [one["chain"] for one in _own(node) if one["node"] == "Field"]
            self._visitchildren_of(node)
            self.chains = outer
            self._name_columns(node)
        else:
            self._visitchildren_of(node)
            if kind == "Alias":
                self._name(node)
            elif kind == "Call":
                self._read_as_said(node)

    def _visitchildren_of(self, node: Row) -> None:
        for child in children_of(node):
            self.visit(child)

    def _read_as_said(self, call: Row) -> None:
        """`toDateTime` of a string reads it to the microsecond and obeys its zone, where it names one."""
        if call["name"] != "toDateTime" or not call["args"]:
            return
        text, *zone = call["args"]
        value = self._value(text) if text["node"] == "Placeholder" else text.get("value")
        if isinstance(value, str):
            start = "toNullable(parseDateTime64BestEffort("
            self.edits.append((_place(call, "start"), _place(text, "start"), start))
            self._insert(_place(text, "end"), ", 6" if zone else f", 6, '{self.dialect.zone}'")
            self._insert(_place(call, "end"), ")")

    def _visit_join(self, node: Row) -> None:
        table = node["table"]
        for child in children_of(node):
            if child is not table or table["node"] != "Field":
                self.visit(child)
        if table["node"] != "Field":
            return
        name = ".".join(table["chain"])
        if node.get("table_args"):
            if name not in TABLE_FUNCTIONS:
                raise invalid(f"Unknown table function `{name}`.")
        elif name not in self.ctes:
            found = self.table(name)
            if found is None:
                shown = f'"{table["chain"][0]}"' if self.dialect.age.is_of_2024 else f"`{name}`"
                raise invalid(f"Unknown table {shown}.")
            selected = self._selected(found, str(node.get("alias") or name))
            self._replace(table, selected + ("" if node.get("alias") else f" AS {quoted(name)}"))

    def _selected(self, table: Table, alias: str) -> str:
        """Without the columns that a join gives, unless the query names one; a join may drop rows."""
        named = any(_is_joined(chain[1:] if chain[0] == alias else chain) for chain in self.chains)
        drops = self.dialect.joins_persons and HAS_PERSON in table.columns
        hidden = () if named else (f"{JOINED}.", f"{IDS}.", *(("person_id",) if drops else ()))
        columns = ", ".join(
            self._in_zone(quoted(name), type_)
            for name, type_ in table.columns.items()
            if not name.startswith(hidden) and name != HAS_PERSON
        )
        condition = f" WHERE {quoted(HAS_PERSON)}" if named and drops else ""
        return f"(SELECT {columns} FROM {table.name}{condition})"

    def _in_zone(self, column: str, type_: str) -> str:
        is_instant = type_.startswith(("DateTime", "Nullable(DateTime"))
        if self.dialect.in_utc or not is_instant:
            return column
        return f"toTimeZone({column}, '{self.dialect.zone}') AS {column}"

    def _name_columns(self, select: Row) -> None:
        """Columns are named by the end of a path, else as they are written.

        `*` skips those of a subquery that are named as they are written, but for function calls on today's servers.
        """
        columns = select["select"]
        times = Counter(_path(node)[-1] for node in columns if _path(node))
        for node in columns:
            path = _path(node)
            if path[-1:] == ["*"]:
                keeps_calls = not self.dialect.age.is_of_2024
                if unnamed := _unnamed((select.get("select_from") or {}).get("table"), keeps_calls):
                    names = ", ".join(quoted(self._written(column)) for column in unnamed)
                    self._insert(_place(node, "end"), f" EXCEPT ({names})")
            elif len(path) > 1 and times[path[-1]] == 1:
                self._insert(_place(node, "end"), f" AS {quoted(str(path[-1]))}")
            elif not path and node["node"] not in _NAMED:
                self._insert(_place(node, "end"), f" AS {quoted(self._written(node))}")

    def _written(self, node: Row) -> str:
        return self.hogql[_place(node, "start") : _place(node, "end")]

    def _name(self, alias: Row) -> None:
        """Write a name that ClickHouse would not read without quotes, e.g. one that begins with a dollar sign."""
        start, end = _place(alias, "start"), _place(alias, "end")
        inner = _place(alias["expr"], "start"), _place(alias["expr"], "end")
        before, after = self.hogql[start : inner[0]], self.hogql[inner[1] : end]
        if after.strip().strip(")"):
            brackets = after[: len(after) - len(after.lstrip(" \n\t)"))]
            self.edits.append((inner[1], end, f"{brackets} AS {quoted(alias['alias'])}"))
        else:  # `name: expression`
            self.edits.append((start, start + before.index(":") + 1, ""))
            self._insert(end, f" AS {quoted(alias['alias'])}")

    def _value(self, placeholder: Row) -> Any:
        name = ".".join(placeholder["expr"].get("chain") or ["?"])
        if name not in self.values:
            known = ", ".join(self.values)
            raise invalid(
                f"Placeholder {{{name}}} is not available in this context. You can use the following: {known}"
            )
        return self.values[name]

    def _replace(self, node: Row, text: str) -> None:
        self.edits.append((_place(node, "start"), _place(node, "end"), text))

    def _insert(self, place: int, text: str) -> None:
        self.edits.append((place, place, text))


def literal(value: object) -> str:
    """`value` as HogQL writes a constant. Raises Refusal (400) for what has no constant."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPED)}'"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    raise invalid(f"Unsupported constant type: {type(value).__name__}")


def _expression(chain: list[str | int]) -> str:
    """A path as ClickHouse reads it: what follows `properties` is taken out of its JSON, as a string or NULL."""
    names = [str(name) for name in chain]
    if IDS in names[:-1]:
        at = names.index(IDS)
        rest = chain[at + 1 :] if JOINED in names else [f"{IDS}.{names[at + 1]}"]
        return _expression([*chain[:at], *rest])
    if JOINED in names[:-1]:
        at = names.index(JOINED)
        return _expression([*chain[:at], f"{JOINED}.{names[at + 1]}", *chain[at + 2 :]])
    ends = [place for place, name in enumerate(names[:-1]) if name in ("properties", f"{JOINED}.properties")]
    place = ends[0] if ends else len(names) - 1
    column = ".".join(name if name == "*" else quoted(name) for name in names[: place + 1])
    keys = ", ".join(str(key + 1) if isinstance(key, int) else literal(key) for key in chain[place + 1 :])
    if not keys:
        return column
    return f"replaceRegexpAll(nullIf(nullIf(JSONExtractRaw({column}, {keys}), ''), 'null'), '^\"|\"$', '')"


def _path(node: Row) -> list[str | int]:
    if node["node"] == "ArrayAccess" and _is_property(node):
        return [*node["array"]["chain"], node["property"]["value"]]
    chain: list[str | int] = node["chain"] if node["node"] == "Field" else []
    return chain


def _unnamed(subquery: Row | None, keeps_calls: bool) -> list[Row]:
    """The columns of a subquery that have no name of their own: PostHog does not see them from outside.

    `keeps_calls`: a function call has one all the same, as it is printed.
    """
    first = next(_outermost(subquery), None) if subquery else None
    named = (*_NAMED, "Call") if keeps_calls else _NAMED
    return [node for node in first["select"] if not _path(node) and node["node"] not in named] if first else []


def _is_property(access: Row) -> bool:
    """Whether an access to an array is one to the properties."""
    array, key = access["array"], access["property"]
    return array["node"] == "Field" and "properties" in array["chain"] and isinstance(key.get("value"), str)


def _outermost(tree: Row) -> Iterator[Row]:
    """The SELECTs that make the rows of the answer: more than one in a UNION."""
    if tree["node"] == "SelectQuery":
        yield tree
    elif tree["node"] == "SelectSetQuery":
        yield from _outermost(tree["initial_select_query"])
        for following in tree["subsequent_select_queries"]:
            yield from _outermost(following["select_query"])


def _own(select: Row) -> Iterator[Row]:
    """The nodes of a SELECT without those of the SELECTs in it."""
    for child in children_of(select):
        if child["node"] not in ("SelectQuery", "SelectSetQuery"):
            yield child
            yield from _own(child)


def _is_joined(path: list[str | int]) -> bool:
    """Whether a path from the events on is one that a join gives."""
    return path == ["person_id"] or (len(path) > 1 and path[0] in (JOINED, IDS))


def _place(node: Row, end: str) -> int:
    place: int = node[end]["offset"]
    return place
