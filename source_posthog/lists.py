"""Pages of the lists other than events: `{count, next, previous, results}`, paged by offset over a live table."""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any

import requests
from airbyte_cdk.sources.declarative.extractors.record_extractor import RecordExtractor
from airbyte_cdk.sources.declarative.requesters.paginators.strategies.pagination_strategy import PaginationStrategy
from airbyte_cdk.sources.types import Record, StreamSlice

from source_posthog.answers import offset
from source_posthog.sync import Sync


@dataclass
class ResultsExtractor(RecordExtractor):
    """Takes `results` out of an answer.

    The stock DpathExtractor walks the whole body and takes a missing `results` for an empty page; here it is an error.

    Attributes:
        single_row: the answer may also be one row by itself, as `/api/projects/:id/` gives it.
    """

    single_row: bool = False
    sync: Sync = field(default_factory=Sync)

    def extract_records(self, response: requests.Response) -> Iterable[Mapping[str, Any]]:
        body = self.sync.answers.body(response)
        if self.single_row and "results" not in body and body.get("id") is not None:
            return [body]
        return self.sync.answers.rows(response)


@dataclass
class NextOffset(PaginationStrategy):
    """The offset in `next`, to the end of the list: where `next` is null.

    The stock CursorPagination decodes the body once more, and follows a `next` that does not lead on without end.

    Attributes:
        page_size: rows a page, where `sync` does not say.
    """

    page_size: int
    parameters: InitVar[Mapping[str, Any] | None] = None
    sync: Sync = field(default_factory=Sync)

    @property
    def initial_token(self) -> int | None:
        return None

    def next_page_token(
        self,
        response: requests.Response,
        last_page_size: int,
        last_record: Record | None,
        last_page_token_value: Any | None,
        page_size_override: int | None = None,
        stream_slice: StreamSlice | None = None,
    ) -> int | None:
        """The next offset. Raises PostHogError where `next` does not lead on."""
        return next_offset(response, int(last_page_token_value or 0), self.sync)

    def get_page_size(self) -> int:
        return self.sync.page_size or self.page_size


def next_offset(response: requests.Response, before: int, sync: Sync) -> int | None:
    """The offset in the `next` of a page that was asked for with the offset `before`; None at the end of the list.

    Only its offset is taken, since behind a proxy `next` can name another host, which must not get the key.
    Raises PostHogError where it does not lead on.
    """
    following = sync.answers.body(response).get("next")
    if not following:
        return None
    if offset(following) <= before:
        raise sync.answers.unusable(response, f"its `next` does not advance ({following!r})")
    return offset(following)
