"""What each stream asks for, as the manifest says it: path, parameters, pager, primary key."""

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from requests_mock.mocker import Mocker

from source_posthog import SourcePosthog
from source_posthog.engine import Engine
from source_posthog.streams.event_windows import MANIFEST

CONFIG = {"api_key": "phx_secret_of_the_unit_tests", "start_date": "2026-01-01T00:00:00Z", "base_url": "http://posthog"}
STREAMS = {
    "cohorts": {"limit": ["100"]},
    "feature_flags": {"limit": ["1000"], "order": ["id"]},
    "persons": {"limit": ["1000"]},
    "annotations": {"limit": ["1000"]},
    "insights": {"limit": ["100"], "order": ["id"]},
}


def rows(ids: Iterable[int], following: str | None = None) -> dict[str, Any]:
    return {"count": 9, "next": following, "previous": None, "results": [{"id": number} for number in ids]}


def stream(name: str, **config: Any) -> AbstractStream:
    return next(one for one in SourcePosthog().streams({**CONFIG, **config}) if one.name == name)


def read(name: str, **config: Any) -> list[Mapping[str, Any]]:
    return [record.data for partition in stream(name, **config).generate_partitions() for record in partition.read()]


@pytest.fixture
def posthog(requests_mock: Mocker) -> Mocker:
    requests_mock.get("http://posthog/api/projects", json=rows([7]))
    return requests_mock


def last(posthog: Mocker) -> Any:
    """The newest request, as requests_mock has seen it."""
    return posthog.last_request


def test_there_are_seven_streams_with_the_primary_key_id() -> None:
    streams = {one.name: one.as_airbyte_stream() for one in SourcePosthog().streams(CONFIG)}
    assert list(streams) == [
        "projects",
        "cohorts",
        "feature_flags",
        "persons",
        "events",
        "annotations",
        "insights",
    ]
    assert all(one.source_defined_primary_key == [["id"]] for one in streams.values())


def test_only_events_are_incremental_and_by_their_timestamp() -> None:
    for one in (one.as_airbyte_stream() for one in SourcePosthog().streams(CONFIG)):
        modes = [mode.value for mode in one.supported_sync_modes]
        assert modes == (["full_refresh", "incremental"] if one.name == "events" else ["full_refresh"])
        assert one.default_cursor_field == (["timestamp"] if one.name == "events" else None)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_asks_each_project_for_its_list(posthog: Mocker, name: str) -> None:
    posthog.get(f"http://posthog/api/projects/7/{name}", json=rows([1, 2]))
    assert read(name) == [{"id": 1, "project_id": 7}, {"id": 2, "project_id": 7}]
    assert last(posthog).qs == STREAMS[name]
    assert last(posthog).headers["Authorization"] == f"Bearer {CONFIG['api_key']}"


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_follows_the_offset_of_next_and_not_its_host(posthog: Mocker, name: str) -> None:
    following = f"https://elsewhere.example.com/x/{name}/?limit=5&offset=5"
    posthog.get(f"http://posthog/api/projects/7/{name}", [{"json": rows([1], following)}, {"json": rows([2])}])
    assert [row["id"] for row in read(name)] == [1, 2]
    assert last(posthog).qs["offset"] == ["5"]
    assert {request.hostname for request in posthog.request_history} == {"posthog"}


def test_projects_are_listed_in_pages(posthog: Mocker) -> None:
    assert read("projects") == [{"id": 7}]
    assert last(posthog).qs == {"limit": ["100"]}


def test_projects_are_fetched_one_by_one_where_project_ids_are_given(requests_mock: Mocker) -> None:
    for number in (7, 8):
        requests_mock.get(f"http://posthog/api/projects/{number}/", json={"id": number, "name": "one"})
    assert [row["id"] for row in read("projects", project_ids=[7, 8])] == [7, 8]


def test_events_are_asked_for_with_persons_and_exclusive_bounds_around_the_window(
    posthog: Mocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("source_posthog.api.clock.now", lambda: datetime(2026, 1, 20, tzinfo=timezone.utc))
    posthog.get("http://posthog/api/projects/7/events/", json={"next": None, "results": []})
    partition = next(iter(stream("events", events_time_step=10).generate_partitions()))
    assert list(partition.read()) == []
    assert last(posthog).qs == {
        "limit": ["1000"],
        "include_person": ["true"],
        "after": ["2025-12-31t23:59:59.999999z"],
        "before": ["2026-01-11t00:00:00.000000z"],
    }


@pytest.mark.parametrize("base_url", ["http://posthog/", "http://posthog//", "http://posthog"])
def test_slashes_at_the_end_of_base_url_make_no_difference(posthog: Mocker, base_url: str) -> None:
    assert [row["id"] for row in read("projects", base_url=base_url)] == [7]


def test_base_url_can_have_a_path(requests_mock: Mocker) -> None:
    requests_mock.get("http://host/ph/api/projects", json=rows([7]))
    assert [row["id"] for row in read("projects", base_url="http://host/ph/")] == [7]


def test_base_url_is_the_us_cloud_where_none_is_given(requests_mock: Mocker) -> None:
    requests_mock.get("https://app.posthog.com/api/projects", json=rows([7]))
    config = {key: value for key, value in CONFIG.items() if key != "base_url"}
    projects = next(one for one in SourcePosthog().streams(config) if one.name == "projects")
    assert [record["id"] for part in projects.generate_partitions() for record in part.read()] == [7]


@pytest.mark.parametrize(("workers", "used"), [(None, 10), (1, 2), (2, 2), (40, 40)])
def test_num_workers_sets_the_concurrency_but_one_worker_alone_would_stop_the_engine(
    workers: int | None, used: int
) -> None:
    engine = Engine(SourcePosthog(), {**CONFIG, **({"num_workers": workers} if workers else {})})
    assert engine.concurrency == used


def test_every_option_of_the_spec_is_explained_and_in_order() -> None:
    properties = SourcePosthog().spec(logging.getLogger("airbyte")).connectionSpecification["properties"]
    assert [one["order"] for one in properties.values()] == list(range(len(properties)))
    assert all(one["title"] and one["description"] for one in properties.values())
    assert properties["api_key"]["airbyte_secret"] is True


def test_the_request_budget_is_below_the_throttles_of_the_cloud_and_for_the_cloud_only() -> None:
    budget = yaml.safe_load(Path(MANIFEST).read_text())["api_budget"]
    limits = [{rate["interval"]: rate["limit"] for rate in policy["rates"]} for policy in budget["policies"]]
    assert limits == [
        {"PT1H": 1140},  # of 1200
        {"PT1M": 228},  # of 240
        {"PT1M": 228, "PT1H": 2280},  # of 240 and 2400
        {"PT1M": 456, "PT1H": 4560},  # of 480 and 4800
    ]
    hosts = {matcher["url_base"] for policy in budget["policies"] for matcher in policy["matchers"]}
    assert hosts == {"https://us.posthog.com", "https://eu.posthog.com", "https://app.posthog.com"}


@pytest.mark.parametrize(
    ("path", "an_hour"),
    [
        ("projects/7/events", [1140]),
        ("projects/7/session_recordings", [1140]),
        ("projects/7/insights", [1140]),
        ("projects/7/persons", []),
        ("projects/7/activity_log", [4560]),
        ("organizations/0190a000/members", [4560]),
    ],
)
def test_a_list_takes_from_the_buckets_that_posthog_counts_it_in(path: str, an_hour: list[int]) -> None:
    budget = yaml.safe_load(Path(MANIFEST).read_text())["api_budget"]
    found = [
        {rate["interval"]: rate["limit"] for rate in policy["rates"]}
        for policy in budget["policies"]
        if any(
            matcher["method"] == "GET" and re.search(matcher["url_path_pattern"], f"/api/{path}")
            for matcher in policy["matchers"]
        )
    ]
    assert [one["PT1H"] for one in found if "PT1H" in one] == an_hour
    assert len([one for one in found if "PT1M" in one]) == 1
