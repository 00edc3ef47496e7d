"""Lists that are too slow for PostHog: fewer rows are asked for, and more again, and every row is read once."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from integration_tests.harness.connector import catalog, config, expected_keys, run
from integration_tests.harness.in_process import read
from posthog_server import (
    Account,
    Fault,
    PostHog,
    PostHogServer,
    Seen,
    account_with,
    estimated_too_slow,
    html,
    make_persons,
    make_rows,
    out_of_memory,
    server_error,
    stall,
    too_many_bytes,
    too_slow,
)
from tools.proof import LONG

TOO_MUCH = {
    "504": too_slow(),
    "512": estimated_too_slow(),
    "513": out_of_memory(),
    "500": server_error(),
    "524": html(524),
    "400 too_many_bytes": too_many_bytes(),
}


def some(persons: int = 2600) -> Account:
    rng = random.Random(8)
    made = account_with(
        {7: [], 8: []},
        persons={7: make_persons(persons, rng, 7), 8: make_persons(30, rng, 8)},
        cohorts={project: make_rows("cohorts", 130, rng, project) for project in (7, 8)},
        annotations={project: make_rows("annotations", 130, rng, project) for project in (7, 8)},
        feature_flags={project: make_rows("feature_flags", 130, rng, project) for project in (7, 8)},
    )
    made.projects[7].dropped_persons = {3, *range(400, 700), *range(1000, 1300), persons - 1}
    return made


def asked(posthog: PostHog, stream: str, project: int = 7) -> list[tuple[int, int, int]]:
    """Offset, limit and status of each request of a list."""
    return [
        (int(seen.query.get("offset", 0)), int(seen.query["limit"]), seen.status)
        for seen in posthog.requests
        if (seen.stream, seen.project_id) == (stream, project)
    ]


def more_than(rows: int) -> Callable[[Seen], bool]:
    return lambda seen: int(seen.query["limit"]) > rows


@pytest.mark.matrix
@pytest.mark.parametrize("fault", TOO_MUCH.values(), ids=TOO_MUCH)
@pytest.mark.parametrize("stream", ["persons", "cohorts", "annotations", "feature_flags"])
def test_a_page_that_is_too_much_is_asked_for_with_fewer_rows_from_where_it_stood(
    stream: str, fault: dict[str, Any], waits: list[float]
) -> None:
    posthog = PostHog(some())
    most = {"persons": 300, "cohorts": 30}.get(stream, 100)
    posthog.faults.add(Fault(stream=stream, times=None, when=more_than(most), **fault))
    output = read(posthog, stream)
    assert output.keys(stream) == expected_keys(posthog.account)[stream]
    assert (output.status, output.errors, waits) == (0, [], [])
    pages = asked(posthog, stream)
    assert pages[1][:2] == (0, pages[0][1] // 4), "the first page again, a quarter of it"
    answered = [(offset, limit) for offset, limit, status in pages if status == 200]
    assert [offset for offset, _ in answered[1:]] == [offset + limit for offset, limit in answered[:-1]]


def test_a_page_that_stays_too_much_is_tried_less_and_less_often(waits: list[float]) -> None:
    posthog = PostHog(some(8000))
    posthog.faults.add(Fault(stream="persons", times=None, when=more_than(300), **too_slow()))
    output = read(posthog, "persons")
    assert output.keys("persons") == expected_keys(posthog.account)["persons"]
    tries = [place for place, (_, _, status) in enumerate(asked(posthog, "persons")) if status != 200]
    assert [later - sooner - 1 for sooner, later in pairwise(tries)] == [1, 2, 4, 8, 16]
    assert waits == []


def test_larger_pages_come_back_when_it_goes_well_again() -> None:
    posthog = PostHog(some(8000))
    posthog.faults.add(Fault(stream="persons", project_id=7, times=3, **too_slow()))
    output = read(posthog, "persons")
    assert output.keys("persons") == expected_keys(posthog.account)["persons"]
    limits = [limit for _, limit, status in asked(posthog, "persons")]
    assert limits[:7] == [1000, 250, 62, 15, 60, 240, 960]
    assert set(limits[7:]) == {1000}


@pytest.mark.parametrize("stream", ["persons", "cohorts", "projects"])
def test_a_list_of_which_not_one_row_can_be_answered_ends_in_one_sentence(stream: str, waits: list[float]) -> None:
    posthog = PostHog(some())
    project = None if stream == "projects" else 7
    fault = posthog.faults.add(Fault(stream=stream, project_id=project, times=None, **too_slow()))
    output = read(posthog, stream)
    assert output.status == 1
    about = f"Stream {stream}, project 7: " if project else "Stream projects: "
    (error,) = [error for error in output.errors if error.startswith(about)]
    assert "no usable answer in 6 tries, the last one: HTTP 504, Query has hit the max execution time" in error
    assert "PostHog is too slow for even a single row of this list: run the sync when it is less busy" in error
    assert fault.used <= 11
    assert (len(waits), 20 < sum(waits) < 120) == (5, True)
    if project:
        assert output.keys(stream) == [key for key in expected_keys(posthog.account)[stream] if key[0] == 8]


def test_a_single_row_that_is_slow_now_and_then_is_waited_for(waits: list[float]) -> None:
    posthog = PostHog(some())
    posthog.faults.add(Fault(stream="persons", project_id=7, times=8, **too_slow()))
    output = read(posthog, "persons")
    assert (output.status, output.keys("persons")) == (0, expected_keys(posthog.account)["persons"])
    assert len(waits) == 3


def test_a_read_that_times_out_asks_for_fewer_rows_too(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    original = HTTPAdapter.send

    def impatient(self: HTTPAdapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        return original(self, request, **{**options, "timeout": (5, 0.5)})

    monkeypatch.setattr(HTTPAdapter, "send", impatient)
    with PostHogServer(some()) as server:
        server.posthog.faults.add(Fault(stream="persons", project_id=7, times=2, **stall(2)))
        output = run("read", config=config(server.url), catalog=catalog("persons"))
        assert [limit for _, limit, _ in asked(server.posthog, "persons")][:3] == [1000, 250, 62]
    assert (output.status, output.keys("persons")) == (0, expected_keys(server.posthog.account)["persons"])
    assert waits == []


@pytest.mark.parametrize("seed", range(20 if LONG else 6))
def test_every_row_is_read_once_whatever_is_too_much_and_when(seed: int) -> None:
    """Pages fail by chance, more often the larger they are; some are short or empty with more to come."""
    rng = random.Random(seed)
    made = account_with({7: []}, persons=make_persons(rng.randrange(1, 4000), rng))
    made.projects[7].dropped_persons = set(rng.sample(range(4000), 500)) | set(range(rng.randrange(3000), 3000))
    posthog = PostHog(made)
    fault = rng.choice(list(TOO_MUCH.values()))
    posthog.faults.add(Fault(stream="persons", times=None, when=lambda seen: failing(seen, rng), **fault))
    output = read(posthog, "persons")
    assert (output.status, output.keys("persons")) == (0, expected_keys(made)["persons"])


def failing(seen: Seen, rng: random.Random) -> bool:
    return rng.random() < int(seen.query["limit"]) / 1200
