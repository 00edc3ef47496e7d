"""The columns that an EventsQuery can select, each with the cell of a row."""

from collections.abc import Callable
from datetime import timedelta, tzinfo

from .data import Event, Project
from .hogql import Dialect
from .values import EPOCH, SECOND, encode, wall_time


def timestamp(at: int, dialect: Dialect) -> str:
    """`at` (microseconds) as `shown_at` shows it in the zone of `dialect`."""
    return shown_at(at, dialect.shown_in, dialect)


def shown_at(at: int, zone: tzinfo, dialect: Dialect) -> str:
    """`at` (microseconds) as queries write it in `zone`: `Z` for an offset of zero.

    The fraction has the digits of the age (the others are cut), or none when it is zero.
    """
    if dialect.wall_time and str(zone) == "UTC":
        at = wall_time(at, dialect.zone)
    precision = {3: "milliseconds", 6: "microseconds"}[dialect.age.digits] if at % SECOND else "seconds"
    text = (EPOCH + timedelta(microseconds=at)).astimezone(zone).isoformat(timespec=precision)
    return text.replace("+00:00", "Z")


def _properties(event: Event) -> str:
    return encode(event.properties).decode()


def _everything(event: Event, project: Project, dialect: Dialect) -> bytes:
    """What `*` gives: an object, with what the server adds to the properties since some time after January 2024."""
    added = {} if dialect.age.is_of_2024 else {"$has_recording": False}
    return encode(
        {
            "uuid": event.id,
            "event": event.event,
            "properties": {**event.properties, **added},
            "timestamp": timestamp(event.at, dialect),
            "team_id": project.id,
            "distinct_id": event.distinct_id,
            "elements_chain": event.elements_chain,
            "created_at": timestamp(event.created_at, dialect),
        }
    )


def _person_id(event: Event, project: Project, dialect: Dialect) -> bytes:
    return encode(project.people.id_of(event.distinct_id))


Cell = Callable[[Event, Project, Dialect], bytes]

CELLS: dict[str, Cell] = {
    "*": _everything,
    "uuid": lambda event, project, dialect: encode(event.id),
    "event": lambda event, project, dialect: encode(event.event),
    "properties": lambda event, project, dialect: encode(_properties(event)),
    "timestamp": lambda event, project, dialect: encode(timestamp(event.at, dialect)),
    "distinct_id": lambda event, project, dialect: encode(event.distinct_id),
    "elements_chain": lambda event, project, dialect: encode(event.elements_chain),
    "person": lambda event, project, dialect: project.people.queried(event.distinct_id),
    "person_id": _person_id,
    "person.id": _person_id,
    "pdi.person_id": _person_id,
    "created_at": lambda event, project, dialect: encode(timestamp(event.created_at, dialect)),
}


def type_of(column: str, dialect: Dialect) -> str:
    """ClickHouse's type of a column."""
    instant = f"DateTime64(6, '{dialect.shown_in}')"
    types = {
        "*": f"Tuple(UUID, String, String, {instant}, Int64, String, String, {instant})",
        **dict.fromkeys(("uuid", "person_id", "person.id", "pdi.person_id"), "UUID"),
        **dict.fromkeys(("timestamp", "created_at"), instant),
    }
    return types.get(column, "String")
