"""Tables of PostHog that can be read by HogQL alone, as streams: the manifest has the query of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from source_posthog.api.exact_json import decoder
from source_posthog.exact.events.properties import set_properties
from source_posthog.exact.queries.definitions import PROJECT, Definition
from source_posthog.exact.queries.sql import one_select
from source_posthog.streams.queries import QueryRetriever


@dataclass
class TableRetriever(QueryRetriever):
    """Reads a query of the manifest in one project: every row once.

    Attributes:
        query: HogQL, without a LIMIT; what stands for `{name}` in it is the cursor's matter.
        primary_key: of the stream.
    """

    query: str = ""
    primary_key: Sequence[str] = ()

    def _definition(self) -> Definition:
        key = tuple(column for column in self.primary_key if column != PROJECT)
        return Definition(self.name, one_select(self.query), key, self.stream_slicer.column)

    def _row(self, data: dict[str, Any]) -> dict[str, Any]:
        """With the properties as an object: HogQL has them as text."""
        if "properties" in data:
            set_properties(data, data["properties"], _decoded)
        return data


def _decoded(text: str) -> Any:
    return decoder(text.encode("utf-8", "surrogatepass"))(text)
