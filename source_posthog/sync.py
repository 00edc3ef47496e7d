"""What the components of one sync share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from source_posthog.answers import Answers
from source_posthog.clock import Clock
from source_posthog.gone import GoneProjects
from source_posthog.health import Health
from source_posthog.places import Places
from source_posthog.project_list import ProjectList
from source_posthog.query_facts import QueryFacts
from source_posthog.sync_log import SyncLog

# A fourth query of a project waits up to 30 s on the server and then fails with a 429 (docs/posthog-server.md).
QUERIES_AT_ONCE = 3


@dataclass
class Sync:
    """Made once for a sync, and handed to each custom component with a field `sync` by the factory.

    The CDK builds the components one by one from the manifest and gives them nothing in common. What they share stands
    here and in no module, so that two syncs in one process, also at the same time, do not mix.

    Attributes:
        log: counts, and the lines of progress made of them.
        answers: the answers' bodies.
        clock: the present, which is never later than PostHog's own.
        gone: the projects that are there no more.
        health: whether PostHog still gives usable answers.
        projects: the projects that the sync covers, read once.
        query_places: for the queries of a project, of all streams together.
        query_facts: what is known of the queries, asked for once.
        schemas: of the streams in the catalog that is read.
        is_check: somebody waits for the result of `check`.
        page_size: rows that every list is asked for; None where each asks for as many as it takes.
    """

    log: SyncLog = field(default_factory=SyncLog)
    answers: Answers = field(default_factory=Answers)
    clock: Clock = field(default_factory=Clock)
    gone: GoneProjects = field(default_factory=GoneProjects)
    health: Health = field(default_factory=Health)
    projects: ProjectList = field(default_factory=ProjectList)
    query_places: Places = field(default_factory=lambda: Places(QUERIES_AT_ONCE))
    query_facts: QueryFacts = field(default_factory=QueryFacts)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_check: bool = False
    page_size: int | None = None

    def answered(self, stream: str, response: requests.Response) -> None:
        """PostHog has just given a good answer for `stream`."""
        self.health.answered(stream)
        self.clock.answered(response)
