"""Streams whose rows are the partitions of other streams: read once a sync, for all of these."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.types import StreamSlice, StreamState
from airbyte_cdk.utils import AirbyteTracedException

ParentRow = Mapping[str, Any]


class ParentRouter(PartitionRouter):
    """One partition a row of another stream, `{"project_id": 7}`.

    The stock SubstreamPartitionRouter reads the parent stream for each child again, and keeps that cheap with a cache
    of HTTP answers, on disk or shared by all syncs of the process, which also keeps answers that are of no use. Here
    the rows are read once a sync and kept in `sync`.
    """

    key: ClassVar[str]  # of a partition

    @abstractmethod
    def rows(self) -> list[ParentRow]:
        """The rows. Raises AirbyteTracedException where PostHog refuses them, or its list cannot be relied on."""

    def stream_slices(self) -> Iterable[StreamSlice]:
        return (StreamSlice(partition={self.key: row["id"]}, cursor_slice={}) for row in self.rows())

    def get_stream_state(self) -> Mapping[str, StreamState] | None:
        """None: the rows are read anew in each sync."""
        return None

    # A row's id goes into the path of a request, and nowhere else.

    def get_request_params(self, **_: Any) -> Mapping[str, Any]:
        return {}

    get_request_headers = get_request_body_data = get_request_body_json = get_request_params


@dataclass
class ParentRetriever(Retriever):
    """Gives the rows of the router as records, without asking for them again."""

    router: ParentRouter

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[ParentRow]:
        return self.router.rows()


def rows_in_full(parent: AbstractStream, one: str, advice: str) -> list[ParentRow]:
    """The rows of `parent`, each of which is `one`, "a project".

    Raises AirbyteTracedException, with `advice`, where a row comes twice: the list has no order of its own, so another
    one may be on no page.
    """
    rows = [record.data for partition in parent.generate_partitions() for record in partition.read()]
    if len({row["id"] for row in rows}) < len(rows):
        raise AirbyteTracedException(
            message=f"PostHog's list of {parent.name} changed its order while it was read, so {one} may be missing. "
            f"{advice}",
            failure_type=FailureType.transient_error,
        )
    return rows
