"""What sets the PostHogs of other times and kinds apart from today's cloud: one row of a table for each of them."""

from enum import Enum

# Functions that HogQL does not know, each with the one that it proposes instead: at no age, and in January 2024.
NEVER_KNOWN = {"throwIf": ""}
NOT_YET_KNOWN = {"toDateTime64": "toDateTime", "cityHash64": "", "toUnixTimestamp64Micro": ""}


class Age(Enum):
    """Which PostHog the server is. docs/posthog-server.md, "Ages", has the facts and where they were learnt.

    PostHog(account, age=Age.SELF_HOSTED)
    """

    CLOUD = "the cloud of today"
    SELF_HOSTED = "a self-hosted server of today"
    JANUARY_2024 = "a self-hosted server of January 2024"

    @property
    def is_of_2024(self) -> bool:
        return self is Age.JANUARY_2024

    @property
    def joins_persons(self) -> bool:
        """Whether `person_id`, `person.*` and `pdi.*` of events come from an INNER JOIN with the distinct ids."""
        return self is not Age.CLOUD

    @property
    def list_cap(self) -> int:
        """The most events that one page of the events list gives."""
        return 10_000 if self.is_of_2024 else 1000

    @property
    def query_cap(self) -> int:
        """The most rows that one query gives."""
        return 10_000 if self.is_of_2024 else 50_000

    @property
    def has_spans(self) -> bool:
        """Whether the events list looks at short spans first, so that its `next: null` can be false."""
        return not self.is_of_2024

    @property
    def ties_by_id(self) -> bool:
        """Whether events of one timestamp come in the order of their ids, not in any."""
        return not self.is_of_2024

    @property
    def digits(self) -> int:
        """How many digits of a second's fraction an answer of `/query/` has."""
        return 3 if self.is_of_2024 else 6

    @property
    def unknown_functions(self) -> dict[str, str]:
        """The functions that HogQL does not know, each with the one that it proposes instead."""
        return NEVER_KNOWN | NOT_YET_KNOWN if self.is_of_2024 else NEVER_KNOWN

    def knows_table(self, name: str) -> bool:
        """Whether HogQL has the table. In January 2024 it had none of `sessions` and `system.*`."""
        return not self.is_of_2024 or not (name == "sessions" or name.startswith("system."))

    def modifiers(self, kind: str) -> set[str]:
        """The modifiers that a query of this `kind` may have. In January 2024 an EventsQuery had none."""
        if not self.is_of_2024:
            return {"convertToProjectTimezone", "personsOnEventsMode"}
        if kind == "EventsQuery":
            return set()
        return {"inCohortVia", "materializationMode", "personsArgMaxVersion", "personsOnEventsMode"}
