"""Asks PostHog the questions of `queries/`: where they become requests, and what comes back their answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.request_window_split_exception import RequestWindowSplitRequiredException
from airbyte_cdk.sources.types import StreamSlice

from source_posthog.errors import one_line
from source_posthog.events.page_size import FIRST_LIMIT, LEAST_LIMIT, USUAL_LIMIT, PageSize
from source_posthog.lanes import Abandoned
from source_posthog.queries.reading import Answer, Refused, Unreadable
from source_posthog.queries.statements import Question, numbers
from source_posthog.requester import PostHogRequester
from source_posthog.sync import Sync


@dataclass
class QueryAsking:
    """The port of `queries.reading`, for one project.

    Attributes:
        sync: has the places that all queries of a project share.
        size: how many rows to ask for.
    """

    requester: PostHogRequester
    stream_slice: StreamSlice
    sync: Sync
    size: PageSize = field(default_factory=lambda: PageSize(FIRST_LIMIT, most=USUAL_LIMIT))

    def __call__(self, question: Question) -> Answer:
        """The answer to `question`.

        Raises Refused where PostHog does not accept it, Unreadable where it is none of a query, Abandoned where the
        project is gone, and otherwise what the requester raises.
        """
        response, limit = self._sent(question)
        answer = _answer(self.sync.answers.body(response))
        self.size.answered(limit, None, len(answer.rows), len(response.content), response.elapsed.total_seconds())
        answer.complete = not answer.rows or (len(answer.rows) < limit and len(answer.rows) < self._most_rows())
        return answer

    def _sent(self, question: Question) -> tuple[requests.Response, int]:
        """The answer to `question`, and for how many rows it was asked."""
        while True:
            limit = self.size.limit
            send = self.requester.send_patiently if limit <= LEAST_LIMIT else self.requester.send_request
            try:
                with self.sync.query_places.of(self.stream_slice["project_id"]):
                    response = send(stream_slice=self.stream_slice, request_body_json=_body(question, limit))
            except RequestWindowSplitRequiredException as slow:
                if slow.failure_type == FailureType.system_error:
                    raise Refused(str(slow.error_message).removeprefix("HTTP 400, ")) from slow
                self.size.too_slow(limit)
                continue
            if response is None or not response.ok:
                raise Abandoned
            return response, limit

    def _most_rows(self) -> int:
        """The most rows that this PostHog gives for a LIMIT of ours: of a greater LIMIT it makes its own, unsaid."""
        return self.sync.query_facts.most_rows(self._asked_most_rows)

    def _asked_most_rows(self) -> int:
        """As many as came of ten thousand. It may give more: a page with as many is followed by one question more."""
        try:
            asking = QueryAsking(self.requester, self.stream_slice, self.sync, PageSize(USUAL_LIMIT, most=USUAL_LIMIT))
            response, _ = asking._sent(numbers(USUAL_LIMIT))
        except Refused:  # an old server, which has no such table; a limit below our page is not known of any
            return USUAL_LIMIT
        return len(_answer(self.sync.answers.body(response)).rows)


def _body(question: Question, limit: int) -> dict[str, Any]:
    return {
        "query": {
            "kind": "HogQLQuery",
            "query": question.limited(limit),
            "values": question.values,
            "modifiers": {"convertToProjectTimezone": False},
        },
        "refresh": "force_blocking",  # else the answer may be an old one
    }


def _answer(body: Mapping[str, Any]) -> Answer:
    """The answer in `body`, decoded; as far as it says itself, it is complete. Raises Unreadable."""
    columns, types, rows = body.get("columns"), body.get("types"), body.get("results")
    if body.get("error"):
        raise Unreadable(f"PostHog answers with an error ({one_line(str(body['error']))})")
    if not isinstance(columns, list) or not isinstance(types, list) or not isinstance(rows, list):
        raise Unreadable("the answer has no `columns`, no `types` or no `results`")
    # By their places: ClickHouse has names of its own for some columns.
    if len(types) != len(columns) or not all(isinstance(pair, list) and len(pair) == 2 for pair in types):
        raise Unreadable("the answer does not say the type of each of its columns")
    if twice := sorted({str(name) for name in columns if columns.count(name) > 1}):
        raise Unreadable(f"two columns of its result have the name `{twice[0]}`: give each a name of its own with AS")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise Unreadable("a row of the answer has not one value for each column")
    named = {str(name): str(type_) for name, (_, type_) in zip(columns, types, strict=True)}
    return Answer(named, rows, complete=True)
