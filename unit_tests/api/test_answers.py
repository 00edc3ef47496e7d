"""Bodies of answers: decoded once, and not when they are nested without end."""

import pytest
import requests

from source_posthog.api.answers import Answers
from source_posthog.api.errors import NestedTooDeeply, PostHogError, Where


def answer(body: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content, made.url = 200, body, "http://posthog/api/projects/7/cohorts"
    return made


def nested(levels: int, inside: bytes = b"1") -> bytes:
    return b'{"a":[' * (levels // 2) + inside + b"]}" * (levels // 2)


def test_a_body_is_decoded_once_and_let_go_of_with_its_answer() -> None:
    answers, response = Answers(), answer(b'{"results": [{"id": 1}]}')
    assert answers.rows(response) is answers.rows(response)
    del response
    assert len(answers._bodies) == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>" + b"{" * 2000, PostHogError),
        (b"[" * 5000, PostHogError),
        (b"[]", PostHogError),
        (b"null", PostHogError),
        (b" " + nested(2000), NestedTooDeeply),
    ],
)
def test_what_is_no_object_says_of_which_stream_and_project_it_is(body: bytes, error: type[PostHogError]) -> None:
    answers, response = Answers(), answer(body)
    answers.locate(response, Where("cohorts", 7))
    with pytest.raises(
        PostHogError, match=r"^Stream cohorts, project 7: PostHog's answer for /api/projects/7/cohorts"
    ) as got:
        answers.rows(response)
    assert type(got.value) is error
    assert answers.detail(response) == ""
