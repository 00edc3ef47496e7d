"""Persons, which are long and read in full, take nothing from events: they are read when events are done."""

import random
from functools import cache
from typing import Any

import pytest

from integration_tests.harness.connection import NOW, START
from integration_tests.harness.connector import Output, Way, expected_keys
from integration_tests.harness.in_process import answers_from, now_is, sync
from posthog_server import (
    DAY,
    Account,
    Fault,
    PostHog,
    account_with,
    make_events,
    make_persons,
    no_project_access,
    server_error,
)

PROJECTS = (1, 2, 3)


@cache
def made() -> Account:
    rng = random.Random(5)
    return account_with(
        {project: make_events(400, rng, start=START, span=59 * DAY, project=project) for project in PROJECTS},
        persons={project: make_persons(1050, rng, project) for project in PROJECTS},
    )


def read(posthog: PostHog, *streams: str, workers: int = 2) -> Output:
    with answers_from(posthog), now_is(NOW):
        return sync(None, *streams, num_workers=workers, events_time_step=30)


def places(posthog: PostHog, stream: str) -> list[int]:
    """Where the requests of `stream` stand among all of the sync."""
    return [place for place, seen in enumerate(posthog.requests) if seen.stream == stream]


@pytest.mark.matrix
@pytest.mark.parametrize("workers", [2, 10])
@pytest.mark.parametrize("streams", [("persons", "events"), ("events", "persons", "cohorts")], ids="-".join)
def test_no_person_is_asked_for_before_all_windows_of_events(way: Way, workers: int, streams: tuple[str, ...]) -> None:
    posthog = PostHog(made(), cap=100, query_cap=100)
    output = read(posthog, *streams, workers=workers)
    assert max(places(posthog, way.stream)) < min(places(posthog, "persons"))
    due = expected_keys(posthog.account)
    assert {stream: output.keys(stream) for stream in streams} == {stream: due[stream] for stream in streams}
    assert [output.stream_status(stream) for stream in streams] == ["COMPLETE"] * len(streams)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("fault", "project"),
    [(no_project_access(), None), (server_error(), None), (server_error(), 2)],
    ids=["refused", "down", "one project down"],
)
def test_persons_are_read_whole_also_where_events_fail(way: Way, fault: dict[str, Any], project: int | None) -> None:
    posthog = PostHog(made(), cap=100, query_cap=100)
    posthog.faults.add(Fault(stream=way.stream, project_id=project, times=None, **fault))
    output = read(posthog, "events", "persons")
    assert output.keys("persons") == expected_keys(posthog.account)["persons"]
    assert (output.stream_status("events"), output.stream_status("persons")) == ("INCOMPLETE", "COMPLETE")
    assert max(places(posthog, way.stream)) < min(places(posthog, "persons"))


def test_persons_without_events_are_read_at_once() -> None:
    posthog = PostHog(made())
    assert read(posthog, "persons", "cohorts").keys("persons") == expected_keys(posthog.account)["persons"]
