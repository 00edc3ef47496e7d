"""Pages of the lists other than events: `{count, next, previous, results}`, paged by offset over a live table."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor
from airbyte_cdk.sources.declarative.retrievers import SimpleRetriever
from airbyte_cdk.sources.types import Record, StreamSlice

from source_posthog.api.answers import offset
from source_posthog.api.errors import Skipped, Where, one_line
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import Unanswered
from source_posthog.streams.unemitted import Unemitted

SHRINK = 4  # a page that is too much is asked for with a quarter of its rows: 1,000, 250, 62, 15, 3, 1
MOST_PATIENCE = 64  # pages


@dataclass
class ResultsExtractor(RecordExtractor):
    """Takes `results` out of an answer, without rows that are nested too deeply to be emitted.

    The stock DpathExtractor walks the whole body and takes a missing `results` for an empty page; here it is an error.

    Attributes:
        key: the field that tells rows apart.
        single_row: the answer may also be one row by itself, as `/api/projects/:id/` gives it.
    """

    key: str = "id"
    single_row: bool = False
    sync: Sync = field(default_factory=Sync)

    def extract_records(self, response: requests.Response) -> Iterable[Mapping[str, Any]]:
        answers = self.sync.answers
        if self.single_row and (row := answers.single_row(response)):
            return [row]
        deep = answers.deep_rows(response)
        return [row for place, row in enumerate(answers.rows(response, self.key)) if place not in deep]


@dataclass
class RowLimit:
    """How many rows of a list to ask for: fewer where PostHog cannot answer for so many, and more again later.

        1,000 fails, 250 is answered, 1,000 fails, 250 is answered twice, 1,000 fails, 250 is answered four times, ...

    Attributes:
        rows: of the next page.
        most: the most that is ever asked for.
        answers: so many came since `rows` was set.
        patience: so many have to come before a larger page is tried; twice as many after each try that failed.
        is_try: `rows` is more than what was answered last.
    """

    rows: int
    most: int
    answers: int = 0
    patience: int = 1
    is_try: bool = False

    def failed(self) -> None:
        if self.is_try:
            self.patience = min(2 * self.patience, MOST_PATIENCE)
        self.rows, self.answers, self.is_try = max(self.rows // SHRINK, 1), 0, False

    def answered(self) -> None:
        if self.is_try:
            self.patience, self.is_try = 1, False
        self.answers += 1
        if self.rows < self.most and self.answers >= self.patience:
            self.rows, self.answers, self.is_try = min(self.rows * SHRINK, self.most), 0, True


@dataclass
class ListRetriever(SimpleRetriever):
    """Reads a list of one project, or of none, to its end: where the `next` of a page is null.

    A page can be short, or empty, with more to come, so what is asked for next is the server's own word. Where it
    cannot answer for a page, it is asked for fewer rows from the same offset, down to a single one. The stock
    paginators decode the body once more, follow a `next` that does not lead on without end, and ask for the same page
    again where it was too much.

    Attributes:
        page_size: rows of a page, as long as that goes well. That of `sync` replaces it.
        key: the field that tells rows apart.
    """

    requester: PostHogRequester
    page_size: int = 100
    key: str = "id"
    sync: Sync = field(default_factory=Sync)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[Record]:
        """The rows of the list, for the project of `stream_slice`.

        Raises PostHogError where one cannot be read, and at the end where one cannot be emitted. That PostHog has no
        such list is raised for the first project or organization alone.
        """
        unemitted = Unemitted(Where.of(self.name, stream_slice), self.sync.log)
        try:
            yield from self._records_of(records_schema, stream_slice, unemitted)
            self.sync.log.project_done(self.name)
        except Skipped:
            pass
        unemitted.require_none()

    def _records_of(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None, unemitted: Unemitted
    ) -> Iterable[Record]:
        """The records of all pages; what cannot be emitted goes into `unemitted`."""
        for response in self._pages(stream_slice):
            yield from self.record_selector.select_records(response, {}, records_schema, stream_slice)
            for id in self._deep_ids(response):
                unemitted.add(id)

    def _deep_ids(self, response: requests.Response) -> list[Any]:
        """The ids of the rows of a page that are nested too deeply to be emitted."""
        answers = self.sync.answers
        return [answers.rows(response, self.key)[place][self.key] for place in answers.deep_rows(response)]

    def _pages(self, stream_slice: StreamSlice | None, start: Any = 0) -> Iterator[requests.Response]:
        """The pages of the list, from `start` to its end. Raises Skipped where its project is gone."""
        most = self.sync.page_size or self.page_size
        limit = RowLimit(most, most)
        while start is not None:
            response = self._page(stream_slice, start, limit)
            if response is None or not response.ok:  # the project is gone, and the requester has said so
                raise Skipped
            yield response
            start = self._next_offset(response, start)

    def _next_offset(self, response: requests.Response, before: Any) -> Any:
        """The offset in the `next` of a page that was asked for with the offset `before`; None at the end of the list.

        Only its offset is taken, since behind a proxy `next` can name another host, which must not get the key.
        Raises PostHogError where it does not lead on.
        """
        following = self.sync.answers.readable(response).get("next")
        if not following:
            return None
        if offset(following) <= before:
            raise self.sync.answers.unusable(response, f"its `next` does not advance ({one_line(repr(following))})")
        return offset(following)

    def _page(self, stream_slice: StreamSlice | None, start: Any, limit: RowLimit) -> requests.Response | None:
        """The page at `start`, of as many rows as PostHog can answer for."""
        while limit.rows > 1:
            try:
                response = self.requester.send_request(
                    stream_slice=stream_slice, request_params=self._params(start, limit.rows)
                )
            except Unanswered:
                limit.failed()
                continue
            limit.answered()
            return response
        response = self._one_row(stream_slice, self._params(start, 1))
        limit.answered()
        return response

    def _params(self, start: Any, rows: int) -> dict[str, Any]:
        """The parameters that ask for the page at `start`, of so many rows."""
        return {"limit": rows, "offset": start} if start else {"limit": rows}

    def _one_row(self, stream_slice: StreamSlice | None, params: Mapping[str, Any]) -> requests.Response | None:
        """The page of the one row that `params` ask for: the least that can be asked for."""
        return self.requester.send_patiently(stream_slice=stream_slice, request_params=params)
