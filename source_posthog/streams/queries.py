"""Streams of the user's own: any HogQL query, in every project."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.retrievers import Retriever
from airbyte_cdk.sources.declarative.schema import SchemaLoader
from airbyte_cdk.sources.types import Config, Record, StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.errors import PostHogError, QueryError, Skipped, Where
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import NotAccepted, Unanswered, UnfitColumns, UntrueAnswer
from source_posthog.exact.events.page_size import PageSize
from source_posthog.exact.queries.definitions import PROJECT, Definition, definition
from source_posthog.exact.queries.keys import cursor_key, primary_keys, require_names
from source_posthog.exact.queries.order import Types
from source_posthog.exact.queries.reading import read_query
from source_posthog.exact.queries.statements import any_rows, rows_without
from source_posthog.exact.queries.types import json_schema
from source_posthog.streams.projects import ProjectsRouter
from source_posthog.streams.query_asking import QueryAsking
from source_posthog.streams.query_cursor import QueryCursor

logger = logging.getLogger("airbyte")

PROJECTS_TO_ASK = 10  # a project can refuse what the next one allows; a scope that is missing is refused by all


@dataclass
class QuerySchemaLoader(SchemaLoader):
    """The schema of a query's stream: its columns and their types, in the first project that answers.

    Attributes:
        name: of the stream.
        requester: asks for one row of the query.
        projects: gives the projects.
    """

    name: str
    config: Config
    requester: PostHogRequester
    projects: ProjectsRouter
    sync: Sync = field(default_factory=Sync)

    def get_json_schema(self) -> Mapping[str, Any]:
        """Raises PostHogError, naming the query, where PostHog refuses it, its columns do not fit, or no project
        answers.

        In a sync it is that of the catalog: the engine wants it where an error would end all streams.
        """
        if (known := self.sync.schemas.get(self.name)) is not None:
            return known
        columns = {column: json_schema(type_) for column, type_ in self._types().items()}
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "additionalProperties": True,
            "properties": {**columns, PROJECT: {"type": "integer"}},
        }

    def _types(self) -> Types:
        return self.sync.once(("types", self.name), self._asked_types)

    def _asked_types(self) -> Types:
        query = definition(self.config["queries"], self.name)
        refusal: AirbyteTracedException | None = None
        for one in islice(self.projects.stream_slices(), PROJECTS_TO_ASK):
            try:
                return _types(query, QueryAsking(self.requester, one, self.sync, PageSize(1)))
            except Skipped:
                continue
            except PostHogError as error:
                if isinstance(error, QueryError) or error.failure_type != FailureType.config_error:
                    raise
                refusal = refusal or error
        raise refusal or PostHogError(
            f"Stream {self.name}: no project is left that could be asked for the columns of the query.",
            FailureType.config_error,
        )


@dataclass
class QueryRetriever(Retriever):
    """Reads a query in one project: every row once.

    The stock retriever pages by numbers of rows or by what an answer names, and PostHog refuses an OFFSET and names
    nothing. What is asked instead, and what an answer proves, is decided in `queries/`.

    Attributes:
        count_requester: asks for what only the log needs, once, whatever comes of it.
        stream_slicer: the state, of a query that has a cursor.
        needs: which PostHog has what the query reads; "" for a query that the user can correct.
    """

    name: str
    config: Config
    requester: PostHogRequester
    count_requester: PostHogRequester
    stream_slicer: QueryCursor
    needs: str = ""
    sync: Sync = field(default_factory=Sync)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The rows of the query in the project of `stream_slice`.

        Raises PostHogError, naming stream and project, where PostHog refuses, or rows would be lost.
        """
        if stream_slice is None:
            raise ValueError("A query is read in projects; read_records needs a slice")
        query, asking = self._definition(), QueryAsking(self.requester, stream_slice, self.sync)
        with suppress(Skipped), _naming(Where.of(self.name, stream_slice), self.needs):
            for_types = replace(asking, values=self.stream_slicer.values_without_rows())
            types = self.sync.once(("types", self.name), lambda: _types(query, for_types, self.needs))
            yield from self._records(query, types, asking)

    def _definition(self) -> Definition:
        return definition(self.config["queries"], self.name)

    def _row(self, data: dict[str, Any]) -> dict[str, Any]:
        """`data`, a row by its columns, as it is emitted."""
        return data

    def _records(self, query: Definition, types: Types, asking: QueryAsking) -> Iterator[Record]:
        project, by_cursor = asking.stream_slice["project_id"], self.stream_slicer.is_incremental
        since = self.stream_slicer.since(str(project)) if by_cursor else None
        asking = replace(asking, values=self.stream_slicer.values(str(project)))
        has_twins = False
        present = self.sync.clock.present()
        for batch in read_query(query, types, asking, by_cursor=by_cursor, since=since, present=present):
            rows = len(batch.rows)
            batch.rows.reverse()
            while batch.rows:  # let go of one by one: pages are most of the memory
                data = {**dict(zip(batch.columns, batch.rows.pop(), strict=True)), PROJECT: project}
                yield Record(data=self._row(data), stream_name=self.name, associated_slice=asking.stream_slice)
            if batch.reached is not None:
                self.stream_slicer.cover(str(project), batch.reached, rows)
            has_twins = has_twins or batch.has_twins
        self.sync.log.project_done(self.name)
        if has_twins:
            logger.warning(
                f"Stream {self.name}, project {project}: different rows have the same primary_key "
                f"({', '.join(query.primary_key)}), so a deduplicating destination keeps only one of them."
            )
        self.stream_slicer.complete(str(project))
        if by_cursor:
            self._name_rows_without_cursor(query, types, replace(asking, requester=self.count_requester))

    def _name_rows_without_cursor(self, query: Definition, types: Types, counting: QueryAsking) -> None:
        """Say how many rows have no cursor. It is a line of the log, and worth no failure and no second try."""
        key, project = cursor_key(query, types), counting.stream_slice["project_id"]
        if key is None or not key.is_nullable:
            return
        try:
            number = counting.number(rows_without(query.sql, query.cursor_field))
        except (AirbyteTracedException, Unanswered, UntrueAnswer, Skipped) as error:
            logger.debug(f"Stream {self.name}, project {project}: could not count the rows without a cursor ({error})")
            return
        if number:
            logger.info(
                f"Stream {self.name}, project {project}: {number} rows have no {query.cursor_field} (NULL) and are "
                "skipped by an incremental sync. A full refresh reads them."
            )


def _types(query: Definition, asking: QueryAsking, needs: str = "") -> Types:
    """The types of the columns of `query`. Raises QueryError where PostHog refuses it, or it cannot be read by them."""
    with _naming(Where.of(query.name, asking.stream_slice), needs):
        types = asking(any_rows(query.sql)).types
        require_names(types)
        primary_keys(query, types)
        cursor_key(query, types)
    return types


@contextmanager
def _naming(where: Where, needs: str) -> Iterator[None]:
    """Say `where` it was, and why, in the errors of `queries/` that are raised inside; see `QueryRetriever.needs`."""
    try:
        yield
    except NotAccepted as refused:
        words = str(refused).removeprefix("HTTP 400, ")
        if needs:
            raise QueryError(
                f'This PostHog server does not have what the stream is read from ("{words}"), which needs {needs}. '
                "Remove the stream from `extra_streams`, or update PostHog.",
                FailureType.config_error,
                where,
            ) from refused
        raise QueryError(
            f'PostHog refuses the query ("{words}"). Correct it in `queries`.', FailureType.config_error, where
        ) from refused
    except UnfitColumns as unfit:
        raise QueryError(f"The query {unfit}.", FailureType.config_error, where) from unfit
    except UntrueAnswer as unreadable:
        reason = f"The query cannot be read in full: {unreadable}. None of that page was read."
        raise QueryError(reason, FailureType.system_error, where) from unreadable
