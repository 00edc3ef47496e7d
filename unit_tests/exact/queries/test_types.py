"""ClickHouse's types as JSON schema."""

from typing import Any

import pytest

from source_posthog.exact.queries.types import ClickHouseType, json_schema, parsed

INSTANT = {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"}
STRING = {"type": ["null", "string"]}
WHOLE = {"type": ["null", "integer"]}
NUMBER = {"type": ["null", "number", "string"]}
LIST = {"type": ["null", "array"]}


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("String", STRING),
        ("UUID", STRING),
        ("FixedString(16)", STRING),
        ("Enum8('a' = 1, 'b)' = 2)", STRING),
        *((f"{sign}Int{bits}", WHOLE) for sign in ("", "U") for bits in (8, 16, 32)),
        ("Int64", WHOLE),
        *((name, NUMBER) for name in ("UInt64", "Int128", "UInt128", "Int256", "UInt256", "Nullable(UInt64)")),
        ("Float32", {"type": ["null", "number"]}),
        ("Float64", {"type": ["null", "number"]}),
        ("Decimal(18, 4)", NUMBER),
        ("Decimal64(4)", NUMBER),
        ("Bool", {"type": ["null", "boolean"]}),
        ("Date", {"type": ["null", "string"], "format": "date"}),
        ("Date32", {"type": ["null", "string"], "format": "date"}),
        ("DateTime", INSTANT),
        ("DateTime('UTC')", INSTANT),
        ("DateTime64(6, 'UTC')", INSTANT),
        ("Nullable(DateTime64(3, 'UTC'))", INSTANT),
        ("LowCardinality(String)", STRING),
        ("LowCardinality(Nullable(String))", STRING),
        ("SimpleAggregateFunction(max, DateTime64(6, 'UTC'))", INSTANT),
        ("Array(UInt64)", {**LIST, "items": NUMBER}),
        ("Array(Int64)", {**LIST, "items": WHOLE}),
        ("Map(String, Int128)", {"type": ["null", "object"], "additionalProperties": NUMBER}),
        (
            "Array(Array(Nullable(Int8)))",
            {"type": ["null", "array"], "items": {"type": ["null", "array"], "items": WHOLE}},
        ),
        ("Tuple(a String, b Int8)", {**LIST, "items": {}}),
        ("Map(String, DateTime('UTC'))", {"type": ["null", "object"], "additionalProperties": INSTANT}),
        ("JSON", {"type": ["null", "object"]}),
        ("JSON(max_dynamic_paths=8)", {"type": ["null", "object"]}),
        ("Nothing", {}),
        ("Nullable(Nothing)", {}),
        ("AggregateFunction(uniq, UUID)", {}),
        ("Point", {}),
        ("", {}),
        ("Nullable(", {}),
    ],
)
def test_a_type_has_a_schema_and_one_that_is_not_known_is_any_value(name: str, schema: dict[str, Any]) -> None:
    assert json_schema(name) == schema


def test_arguments_are_parted_outside_of_brackets_and_strings() -> None:
    assert parsed("Enum8('a, b' = 1, 'c\\'),' = 2)").arguments == ("'a, b' = 1", "'c\\'),' = 2")
    assert parsed("Nullable(DateTime64(6, 'UTC'))") == ClickHouseType("DateTime64", ("6", "'UTC'"), True)
    assert parsed("LowCardinality(Nullable(String))").is_nullable
