"""The projects, as the manifest's components need them: as records, and as the partitions of the other streams."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.types import StreamSlice, StreamState
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.sync import PROJECTS, ProjectRow, Sync


@dataclass
class ProjectsRouter(PartitionRouter):
    """One partition a project, `{"project_id": 7}`.

    The stock SubstreamPartitionRouter reads the parent stream for each child again, and keeps that cheap with a cache
    of HTTP answers, on disk or shared by all syncs of the process, which also keeps answers that are of no use. Here
    the projects are read once a sync and kept in `sync`.

    Attributes:
        projects: reads the projects from PostHog, each time it is asked.
    """

    projects: AbstractStream
    sync: Sync = field(default_factory=Sync)

    def rows(self) -> list[ProjectRow]:
        """The projects.

        Raises AirbyteTracedException where PostHog refuses them, or its list or its clock cannot be relied on: the list
        has no order of its own, so where a project comes twice another one may be on no page.
        """
        return self.sync.once(PROJECTS, self._ask)

    def _ask(self) -> list[ProjectRow]:
        rows = [record.data for partition in self.projects.generate_partitions() for record in partition.read()]
        self.sync.clock.require_agreement()  # known as of the first answers, which these are
        if len({row["id"] for row in rows}) < len(rows):
            raise AirbyteTracedException(
                message="PostHog's list of projects changed its order while it was read, so a project may be missing. "
                "Run the sync again, or name the projects in `project_ids`.",
                failure_type=FailureType.transient_error,
            )
        return rows

    def stream_slices(self) -> Iterable[StreamSlice]:
        return (StreamSlice(partition={"project_id": row["id"]}, cursor_slice={}) for row in self.rows())

    def get_stream_state(self) -> Mapping[str, StreamState] | None:
        """None: projects are read anew in each sync."""
        return None

    # A project goes into the path of a request, and nowhere else.

    def get_request_params(self, **_: Any) -> Mapping[str, Any]:
        return {}

    get_request_headers = get_request_body_data = get_request_body_json = get_request_params


@dataclass
class ProjectsRetriever(Retriever):
    """Gives the projects of the router as records, without asking for them again."""

    router: ProjectsRouter

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[ProjectRow]:
        return self.router.rows()
