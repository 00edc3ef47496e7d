"""The projects, as the manifest's components need them: as records, and as the partitions of the other streams."""

from dataclasses import dataclass, field

from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream

from source_posthog.api.sync import PROJECTS, ProjectRow, Sync
from source_posthog.streams.parents import ParentRouter, rows_in_full


@dataclass
class ProjectsRouter(ParentRouter):
    """One partition a project, `{"project_id": 7}`.

    Attributes:
        projects: reads the projects from PostHog, each time it is asked.
    """

    key = "project_id"

    projects: AbstractStream
    sync: Sync = field(default_factory=Sync)

    def rows(self) -> list[ProjectRow]:
        """The projects. Raises AirbyteTracedException, also where PostHog's clock cannot be relied on."""
        return self.sync.once(PROJECTS, self._ask)

    def _ask(self) -> list[ProjectRow]:
        advice = "Run the sync again, or name the projects in `project_ids`."
        rows = rows_in_full(self.projects, "a project", advice)
        self.sync.clock.require_agreement()  # known as of the first answers, which these are
        self.sync.log.projects = len(rows)
        return rows
