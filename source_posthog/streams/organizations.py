"""The organizations, as records and as the partitions of the streams of an organization."""

from dataclasses import dataclass, field

from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.types import Config

from source_posthog.api.sync import Sync
from source_posthog.streams.parents import ParentRouter, ParentRow, rows_in_full
from source_posthog.streams.projects import ProjectsRouter


@dataclass
class OrganizationsRouter(ParentRouter):
    """One partition an organization, `{"organization_id": "0190a000-..."}`.

    Those of the key's user, or where `project_ids` are set those of these projects: what else the user sees is not
    asked for then.

    Attributes:
        organizations: reads them from PostHog, each time it is asked.
        projects: gives the projects, which name their organizations.
    """

    key = "organization_id"

    organizations: AbstractStream
    projects: ProjectsRouter
    config: Config
    sync: Sync = field(default_factory=Sync)

    def rows(self) -> list[ParentRow]:
        """The organizations. Raises AirbyteTracedException."""
        rows = self.sync.once("organizations", self._ask)
        if not self.config.get("project_ids"):
            return rows
        wanted = {project.get("organization") for project in self.projects.rows()}
        return [row for row in rows if row["id"] in wanted]

    def _ask(self) -> list[ParentRow]:
        return rows_in_full(self.organizations, "an organization", "Run the sync again.")
