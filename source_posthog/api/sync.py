"""What the components of one sync share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import requests

from source_posthog.api.answers import Answers
from source_posthog.api.clock import Clock
from source_posthog.api.errors import Abandoned
from source_posthog.api.health import Health
from source_posthog.api.once import Once, Slots, Switch
from source_posthog.api.progress import SyncLog

# A fourth query of a project waits up to 30 s on the server and then fails with a 429 (docs/posthog-server.md).
QUERIES_AT_ONCE = 3

PROJECTS = "projects"  # what the list of projects is called in `Sync.once`

ProjectRow = Mapping[str, Any]


@dataclass
class Sync:
    """Made once for a sync, and handed to each custom component with a field `sync` by the factory.

    The CDK builds the components one by one from the manifest and gives them nothing in common. What they share stands
    here and in no module, so that two syncs in one process, also at the same time, do not mix.

    Attributes:
        log: counts, and the lines of progress made of them.
        answers: the answers' bodies.
        clock: the present, which is never later than PostHog's own.
        health: whether PostHog still gives usable answers.
        once: the projects, which of them are gone, and what is known of the queries.
        query_slots: for the queries of a project, of all streams together.
        modifiers_refused: this PostHog does not know the modifiers of our queries, EventsQuery included.
        schemas: of the streams in the catalog that is read.
        is_check: somebody waits for the result of `check`.
        page_size: rows that every list is asked for; None where each asks for as many as it takes.
        is_over: nobody reads the sync any more.
    """

    log: SyncLog = field(default_factory=SyncLog)
    answers: Answers = field(default_factory=Answers)
    clock: Clock = field(default_factory=Clock)
    health: Health = field(default_factory=Health)
    once: Once = field(default_factory=Once)
    query_slots: Slots = field(default_factory=lambda: Slots(QUERIES_AT_ONCE))
    modifiers_refused: Switch = field(default_factory=Switch)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_check: bool = False
    page_size: int | None = None
    is_over: Event = field(default_factory=Event)

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises Abandoned as soon as the sync is over."""
        if self.is_over.wait(seconds):
            raise Abandoned

    def answered(self, stream: str, response: requests.Response) -> None:
        """PostHog has just given a good answer for `stream`."""
        self.health.recovered(stream)
        self.log.answer(stream, response)
        self.clock.learn(response)

    def project(self, project_id: Any) -> ProjectRow:
        """The row of a project, as PostHog's list has it; empty where that was not read."""
        rows: list[ProjectRow] = self.once.known(PROJECTS, [])
        return next((row for row in rows if row["id"] == project_id), {})
