"""The persons of a project by distinct id, as the rows of events show them."""

import uuid
from collections.abc import Iterable

from .values import Row, encode

LIST_PROPERTIES = ("email", "name", "username")  # the only ones that the events list shows


class People:
    """A project's persons at one moment. What it encodes is kept, since benchmarks read it often."""

    def __init__(self, persons: Iterable[Row]) -> None:
        self._by_distinct_id = {one: person for person in persons for one in person.get("distinct_ids") or []}
        self._listed: dict[str, bytes] = {}
        self._queried: dict[str, bytes] = {}

    def of(self, distinct_id: str) -> Row | None:
        """The person's row in the list of persons."""
        return self._by_distinct_id.get(distinct_id)

    def listed(self, distinct_id: str) -> bytes:
        """What the events list gives with `include_person=true`, as JSON."""
        if distinct_id not in self._by_distinct_id:
            return b"null"
        if distinct_id not in self._listed:
            person = self._by_distinct_id[distinct_id]
            properties = person.get("properties") or {}
            self._listed[distinct_id] = encode(
                {
                    "is_identified": person.get("is_identified"),
                    "distinct_ids": person["distinct_ids"][:1],
                    "properties": {key: properties[key] for key in LIST_PROPERTIES if key in properties},
                }
            )
        return self._listed[distinct_id]

    def queried(self, distinct_id: str) -> bytes:
        """What an EventsQuery gives as `person`, as JSON."""
        if distinct_id not in self._queried:
            person = self._by_distinct_id.get(distinct_id)
            shown: Row = {}
            if person is not None:
                shown = {
                    "uuid": person["uuid"],
                    "created_at": person.get("created_at"),
                    "properties": person.get("properties") or {},
                }
            self._queried[distinct_id] = encode({**shown, "distinct_id": distinct_id})
        return self._queried[distinct_id]

    def id_of(self, distinct_id: str) -> str:
        """The uuid of the person. An event has one also where there is no person: made of its distinct id."""
        person = self._by_distinct_id.get(distinct_id)
        return str(person["uuid"]) if person is not None else str(uuid.uuid5(uuid.NAMESPACE_OID, distinct_id))
