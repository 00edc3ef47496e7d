"""What the components of one sync share."""

from dataclasses import dataclass, field

import requests

from source_posthog.clock import Clock
from source_posthog.project_list import ProjectList
from source_posthog.sync_log import SyncLog


@dataclass
class Sync:
    """Made once for a sync, and handed to each custom component with a field `sync` by the factory.

    The CDK builds the components one by one from the manifest and gives them nothing in common. What they share stands
    here and in no module, so that two syncs in one process, also at the same time, do not mix.

    Attributes:
        log: counts, and the lines of progress made of them.
        clock: the present, which is never later than PostHog's own.
        projects: the projects that the sync covers, read once.
    """

    log: SyncLog = field(default_factory=SyncLog)
    clock: Clock = field(default_factory=Clock)
    projects: ProjectList = field(default_factory=ProjectList)

    def answered(self, response: requests.Response) -> None:
        """PostHog has just given a good answer."""
        self.clock.answered(response)
