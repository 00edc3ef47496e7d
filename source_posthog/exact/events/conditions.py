"""What holds for the events of a question, in HogQL, and its constants."""

from datetime import datetime

from source_posthog.exact.events.names import Names
from source_posthog.exact.events.port import Query
from source_posthog.exact.instants import iso

_ESCAPES = {"\\": "\\\\", "'": "\\'"} | {
    character: f"\\{letter}" for character, letter in zip("\b\f\r\n\t\a\v", "bfrntav", strict=True)
}


def conditions(query: Query) -> list[str]:
    """What together holds for the events of `query` in its range, in words that every server knows.

    None of them reads a column of persons, by which a server may leave out the events that have none.
    """
    found = name_conditions(query.names)
    if query.like:
        found.append(f"toString(uuid) like '{query.like}'")
    found += [f"toString(uuid) != '{id}'" for id in query.unlike]
    if query.arrived_from:
        found.append(f"created_at >= {hogql(query.arrived_from)}")
    return found


def name_conditions(names: Names) -> list[str]:
    """What holds for the events that have one of `names`; nothing where these are all."""
    listed = sorted(map(string, names.listed))
    if len(listed) > 1:  # a list: it makes the shortest address
        return [f"event {'not in' if names.left_out else 'in'} ({', '.join(listed)})"]
    return [f"event {'!=' if names.left_out else '='} {name}" for name in listed]


def hogql(at: datetime) -> str:
    """`at` in HogQL, at microseconds. A string without Z would be read in the time zone of the project."""
    return f"toDateTime('{iso(at)}')"


def string(name: str) -> str:
    """`name` as a string of HogQL."""
    return "'" + "".join(_ESCAPES.get(character, character) for character in name) + "'"
