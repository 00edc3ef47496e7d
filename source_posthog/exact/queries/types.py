"""ClickHouse's types, as the answers of queries name them, in words of JSON schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]

_INSTANT = {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
_SCALARS: Mapping[str, Schema] = {
    "String": {"type": "string"},
    "FixedString": {"type": "string"},
    "UUID": {"type": "string"},
    "Enum8": {"type": "string"},
    "Enum16": {"type": "string"},
    "IPv4": {"type": "string"},
    "IPv6": {"type": "string"},
    "Bool": {"type": "boolean"},
    "Float32": {"type": "number"},
    "Float64": {"type": "number"},
    "Date": {"type": "string", "format": "date"},
    "Date32": {"type": "string", "format": "date"},
    "DateTime": _INSTANT,
    "DateTime64": _INSTANT,
    "JSON": {"type": "object"},
    **{name: {"type": "integer"} for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32")},
}
# Too long for an integer of a destination, which has 64 bits with a sign; a float has fewer digits.
_LONG = ("UInt64", "Int128", "UInt128", "Int256", "UInt256")


@dataclass(frozen=True)
class ClickHouseType:
    """`Nullable(DateTime64(6, 'UTC'))` is DateTime64 with the arguments ("6", "'UTC'"), and nullable.

    What only says how values are stored (LowCardinality, SimpleAggregateFunction) is taken off.
    """

    name: str
    arguments: tuple[str, ...] = ()
    is_nullable: bool = False


def parsed(text: str) -> ClickHouseType:
    """The type that `text` names; one without a known name where it is none."""
    name, _, rest = text.strip().partition("(")
    arguments = _split(rest.removesuffix(")")) if rest else ()
    if name == "Nullable" and arguments:
        inner = parsed(arguments[0])
        return ClickHouseType(inner.name, inner.arguments, is_nullable=True)
    if name in ("LowCardinality", "SimpleAggregateFunction") and arguments:
        return parsed(arguments[-1])
    return ClickHouseType(name, arguments)


def json_schema(text: str) -> Schema:
    """The JSON schema of a column's values; any value, `{}`, for a type that is not known.

    All values may be null: the same query can have other types in another project.
    """
    type_ = parsed(text)
    if type_.name in _SCALARS:
        schema = _SCALARS[type_.name]
        return {**schema, "type": ["null", schema["type"]]}
    if type_.name in _LONG or type_.name.startswith("Decimal"):  # a string, so that it stays exact, or a number
        return {"type": ["null", "number", "string"]}
    if type_.name == "Array":
        return {"type": ["null", "array"], "items": json_schema(type_.arguments[0]) if type_.arguments else {}}
    if type_.name in ("Tuple", "Nested"):
        return {"type": ["null", "array"], "items": {}}
    if type_.name == "Map":
        values = json_schema(type_.arguments[1]) if len(type_.arguments) == 2 else {}
        return {"type": ["null", "object"], "additionalProperties": values}
    return {}


def _split(text: str) -> tuple[str, ...]:
    """The arguments in `text`, which are parted by commas outside of brackets and strings."""
    parts, depth, quoted, escaped = [""], 0, False, False
    for sign in text:
        if quoted:
            quoted = escaped or sign != "'"
            escaped = sign == "\\" and not escaped
        elif sign == "'":
            quoted = True
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += sign
    return tuple(part.strip() for part in parts)
