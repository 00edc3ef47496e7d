"""Asks PostHog the questions of `queries/`: where they become requests, and what comes back their answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from airbyte_cdk.sources.types import StreamSlice

from source_posthog.api.errors import Skipped
from source_posthog.api.requester import PostHogRequester
from source_posthog.api.sync import Sync
from source_posthog.exact.errors import NotAccepted, TooSlow, UntrueAnswer
from source_posthog.exact.events.page_size import FIRST_LIMIT, LEAST_LIMIT, USUAL_LIMIT, PageSize
from source_posthog.exact.queries.reading import Result
from source_posthog.exact.queries.statements import Statement, numbers
from source_posthog.exact.query_api import is_whole, posted


@dataclass
class QueryAsking:
    """The port of `queries.reading`, for one project.

    Attributes:
        sync: has the places that all queries of a project share.
        size: how many rows to ask for.
        values: what stands for `{name}` in the query itself.
    """

    requester: PostHogRequester
    stream_slice: StreamSlice
    sync: Sync
    size: PageSize = field(default_factory=lambda: PageSize(FIRST_LIMIT, most=USUAL_LIMIT))
    values: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, question: Statement) -> Result:
        """The answer to `question`.

        Raises NotAccepted where PostHog does not accept it, UntrueAnswer where it is none of a query, Skipped where the
        project is gone, and otherwise what the requester raises.
        """
        response, limit = self._sent(question)
        body = self.sync.answers.body(response)
        answer = _answer(body, limit)
        if question.most is None:
            seconds = response.elapsed.total_seconds()
            self.size.answered(limit, body.get("limit"), len(answer.rows), len(response.content), seconds)
        # The LIMIT of the SQL is clamped without a word, and an answer to it says neither `limit` nor `hasMore`.
        answer.complete = answer.complete and (not answer.rows or len(answer.rows) < self._most_rows())
        return answer

    def number(self, question: Statement) -> int | None:
        """The number that `question` asks for, asked once; None where there is none in the answer. Raises as a call."""
        response = self._posted(self.requester.send_request, question, LEAST_LIMIT)
        match _answer(self.sync.answers.body(response), LEAST_LIMIT).rows:
            case [[int(number), *_]]:
                return number
        return None

    def _sent(self, question: Statement) -> tuple[requests.Response, int]:
        """The answer to `question`, and for how many rows it was asked."""
        while True:
            limit = min(self.size.limit, question.most or self.size.limit)
            send = self.requester.send_patiently if limit <= LEAST_LIMIT else self.requester.send_request
            try:
                return self._posted(send, question, limit), limit
            except TooSlow:
                self.size.too_slow(limit)

    def _posted(
        self, send: Callable[..., requests.Response | None], question: Statement, limit: int
    ) -> requests.Response:
        with self.sync.query_slots.of(self.stream_slice["project_id"]):
            response = send(stream_slice=self.stream_slice, request_body_json=_body(question, limit, self.values))
        if response is None or not response.ok:
            raise Skipped
        return response

    def _most_rows(self) -> int:
        """The most rows that this PostHog gives for a LIMIT of ours: of a greater LIMIT it makes its own, unsaid."""
        return self.sync.once("most rows of a query", self._asked_most_rows)

    def _asked_most_rows(self) -> int:
        """As many as came of ten thousand. It may give more: a page with as many is followed by one question more."""
        try:
            asking = QueryAsking(self.requester, self.stream_slice, self.sync, PageSize(USUAL_LIMIT, most=USUAL_LIMIT))
            response, _ = asking._sent(numbers(USUAL_LIMIT))
        except NotAccepted:  # an old server, which has no such table; a limit below our page is not known of any
            return USUAL_LIMIT
        return len(_answer(self.sync.answers.body(response), USUAL_LIMIT).rows)


def _body(question: Statement, limit: int, values: Mapping[str, str]) -> dict[str, Any]:
    return posted({"kind": "HogQLQuery", "query": question.limited(limit), "values": {**values, **question.values}})


def _answer(body: Mapping[str, Any], limit: int) -> Result:
    """The answer in `body`, decoded, to a question for `limit` rows. Raises UntrueAnswer."""
    try:
        complete = is_whole(body, limit)
    except UntrueAnswer as untrue:
        raise UntrueAnswer(f"PostHog's answer cannot be used, since {untrue}") from untrue
    columns, types, rows = body.get("columns"), body.get("types"), body.get("results")
    if not isinstance(columns, list) or not isinstance(types, list) or not isinstance(rows, list):
        raise UntrueAnswer("the answer lacks `columns`, `types` or `results`")
    # By their places: ClickHouse has names of its own for some columns.
    if len(types) != len(columns) or not all(isinstance(pair, list) and len(pair) == 2 for pair in types):
        raise UntrueAnswer("the answer does not say the type of each of its columns")
    if twice := sorted({str(name) for name in columns if columns.count(name) > 1}):
        raise UntrueAnswer(f"two columns of its result are named `{twice[0]}`: give each its own name with AS")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise UntrueAnswer("a row of the answer does not have one value per column")
    named = {str(name): str(type_) for name, (_, type_) in zip(columns, types, strict=True)}
    return Result(named, rows, complete)
