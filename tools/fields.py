"""Writes docs/fields.md from the schemas: python -m tools.fields"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posthog_server.api import STREAMS
from posthog_server.extra import EXTRA
from source_posthog.streams.event_windows import MANIFEST

DOCUMENT = Path(__file__).parents[1] / "docs" / "fields.md"
HEAD = """# Fields

What each record can hold, generated from the [schemas](../source_posthog/schemas) by `make fields`. Every field but
those of the primary key can be missing: a null is not written. A field that PostHog adds later is passed on too.
"""


def document() -> str:
    """The whole page."""
    schemas = Path(MANIFEST).parent / "schemas"
    tables = [_table(stream, json.loads((schemas / f"{stream}.json").read_text())) for stream in (*STREAMS, *EXTRA)]
    return "\n".join([HEAD, *tables])


def _table(stream: str, schema: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {kind} | {note} |" for name, kind, note in _fields(schema)]
    return "\n".join([f"## {stream}\n", "| field | type | |", "|---|---|---|", *rows, ""])


def _fields(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        yield prefix + name, _kind(field), field.get("description", "")
        is_list = "items" in field
        yield from _fields(field["items"] if is_list else field, f"{prefix}{name}{'[]' if is_list else ''}.")


def _kind(field: dict[str, Any]) -> str:
    if field.get("format") == "date-time":
        return "timestamp"
    types = field.get("type", [])
    kinds = [one for one in ([types] if isinstance(types, str) else types) if one != "null"]
    if kinds == ["array"]:
        return f"list of {_kind(field.get('items', {}))}"
    return " or ".join(kinds) if 0 < len(kinds) < 4 else "any JSON"


if __name__ == "__main__":
    DOCUMENT.write_text(document())
