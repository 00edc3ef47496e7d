"""The properties of an event, also where they are none.

PostHog stores them as a string, and shows whatever an application or an import has put into it: nothing, a list, JSON
that was cut off, or that was encoded twice. Such an event is emitted like any other.
"""

import json
from collections.abc import Callable
from typing import Any

UNREADABLE = "_unreadable"  # the field that has the string where `properties` is null
BYTE_ORDER_MARK = "\ufeff"

# JSON as Python, exactly; raises ValueError for what is none, or cannot be emitted.
Decode = Callable[[str], Any]


def set_properties(row: dict[str, Any], given: Any, decode: Decode) -> None:
    """Give `row` the properties in `given`: a JSON object, decoded or not, and be it encoded several times.

    {"a": 1}, '{"a": 1}', '"{\\"a\\": 1}"'  ->  "properties": {"a": 1}
    '{"a": 1', [], None                   ->  "properties": None, "_unreadable": '{"a": 1', "[]", "null"
    """
    value = given
    while isinstance(value, str):  # each time it is shorter
        try:
            value = decode(value.removeprefix(BYTE_ORDER_MARK))
        except ValueError:
            break
    if isinstance(value, dict):
        row["properties"] = value
        return
    row["properties"] = None
    row[UNREADABLE] = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
