"""The projects are read once a sync, and are that sync's alone."""

import random
import threading
from collections import Counter

import pytest
from airbyte_cdk.models import ConfiguredAirbyteCatalogSerializer, SyncMode, Type
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream

from integration_tests.harness.connector import catalog, config, expected_keys, project_state, run
from integration_tests.harness.in_process import answers_from, sync
from posthog_server import (
    DAY,
    KEY,
    Fault,
    Key,
    PostHog,
    PostHogServer,
    account_with,
    html,
    make_events,
    make_rows,
    microseconds,
    rewrite,
)
from posthog_server.api import STREAMS
from source_posthog import SourcePosthog
from tools.proof import LONG

START = microseconds("2026-01-02T00:00:00Z")


def server_of(*projects: int) -> PostHogServer:
    """A PostHog whose projects have a few events and cohorts each."""
    rng = random.Random(projects[0])
    return PostHogServer(
        account_with(
            {one: make_events(5, rng, start=START, span=9 * DAY, project=one) for one in projects},
            cohorts={one: make_rows("cohorts", 2, rng, one) for one in projects},
        )
    )


@pytest.mark.parametrize("streams", [STREAMS, ("events",), ("projects",), ("cohorts", "insights")], ids=" ".join)
def test_the_list_of_projects_is_asked_for_once_a_sync_whatever_streams_are_read(streams: tuple[str, ...]) -> None:
    with server_of(7, 8) as server:
        output = run("read", config=config(server.url), catalog=catalog(*streams))
        assert output.status == 0
        assert server.posthog.count("projects") == 1
        expected = expected_keys(server.posthog.account)
    assert {stream: output.keys(stream) for stream in streams if stream != "projects"} == {
        stream: expected[stream] for stream in streams if stream != "projects"
    }
    assert output.ids("projects") == ([7, 8] if "projects" in streams else [])


def test_each_project_of_project_ids_is_asked_for_once_a_sync() -> None:
    with server_of(7, 8, 9) as server:
        output = run("read", config=config(server.url, project_ids=[9, 7]), catalog=catalog())
        asked = [seen.path.strip("/") for seen in server.posthog.requests if seen.stream == "projects"]
    assert output.ids("projects") == [7, 9]
    assert asked == ["api/projects/9", "api/projects/7"]


def test_an_answer_that_is_html_with_200_for_the_list_of_projects_is_asked_for_again() -> None:
    with server_of(7, 8) as server:
        server.posthog.faults.add(Fault(stream="projects", **html(200)))
        output = run("read", config=config(server.url), catalog=catalog("projects", "cohorts"))
        assert server.posthog.count("projects") == 2
    assert (output.status, output.ids("projects")) == (0, [7, 8])


@pytest.mark.parametrize("stream", ["projects", "cohorts", "events"])
def test_a_list_that_gives_a_project_twice_is_not_relied_on_by_any_way_in(stream: str) -> None:
    with server_of(7, 8) as server:
        twice = Fault(stream="projects", times=None, **rewrite(lambda body: {**body, "results": body["results"] * 2}))
        server.posthog.faults.add(twice)
        options = config(server.url)
        output = run("read", config=options, catalog=catalog(stream))
        assert (output.status, output.records(stream)) == (1, [])
        assert "a project may be missing" in output.errors[0]
        assert "a project may be missing" in run("check", config=options).connection[1]
        (one,) = [one for one in SourcePosthog().streams(options) if one.name == stream]
        with pytest.raises(Exception, match="a project may be missing"):
            rows_of(one)


def rows_of(stream: AbstractStream) -> list[int]:
    return sorted(row["id"] for partition in stream.generate_partitions() for row in partition.read())


def stream_of(source: SourcePosthog, url: str, name: str) -> AbstractStream:
    return next(one for one in source.streams(config(url)) if one.name == name)


def test_streams_that_are_asked_for_twice_see_a_project_that_came_in_between() -> None:
    source = SourcePosthog()
    with server_of(7, 8) as server:
        before = stream_of(source, server.url, "projects")
        assert rows_of(before) == [7, 8]
        server.posthog.account.projects[9] = account_with({9: []}).projects[9]
        assert rows_of(stream_of(source, server.url, "projects")) == [7, 8, 9]
        assert rows_of(before) == [7, 8]


def test_streams_that_are_asked_for_once_can_be_tried_again_after_a_failure() -> None:
    with server_of(7, 8) as server:
        one = stream_of(SourcePosthog(), server.url, "projects")
        server.posthog.faults.add(Fault(stream="projects", status=400, body={"detail": "no"}))
        with pytest.raises(Exception, match="projects"):
            rows_of(one)
        assert rows_of(one) == [7, 8]


SYNCS = 12 if LONG else 4  # a thread


@pytest.mark.parametrize("shared", [True, False], ids=["of one source", "of two sources"])
def test_syncs_at_the_same_time_read_their_own_account_with_their_own_key(shared: bool) -> None:
    wanted = ConfiguredAirbyteCatalogSerializer.load(catalog("projects", "cohorts", "events"))
    source = SourcePosthog()
    problems: list[object] = []

    def syncs(server: PostHogServer, key: str) -> None:
        expected = expected_keys(server.posthog.account)
        mine = source if shared else SourcePosthog()
        try:
            for _ in range(SYNCS):
                got: dict[str, list[tuple[int, object]]] = {"projects": [], "cohorts": [], "events": []}
                for message in mine.read(None, config(server.url, api_key=key, num_workers=2), wanted):
                    if message.type is Type.RECORD and message.record:
                        row = message.record.data
                        got[message.record.stream].append((row.get("project_id", row["id"]), row["id"]))
                for stream, keys in got.items():
                    if sorted(keys) != expected[stream]:
                        problems.append((stream, keys))
        except Exception as error:
            problems.append(error)

    with server_of(7, 8) as one, server_of(101, 102, 103) as other:
        one.posthog.account.add_key(Key("phx_of_one"))
        threads = [
            threading.Thread(target=syncs, args=(one, "phx_of_one")),
            threading.Thread(target=syncs, args=(other, KEY)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        for server, key in ((one, "phx_of_one"), (other, KEY)):
            assert {seen.headers["authorization"] for seen in server.posthog.requests} == {f"Bearer {key}"}
            assert server.posthog.count("projects") == SYNCS


def test_many_pages_of_projects_are_read_once_and_each_is_read_from() -> None:
    ids = range(1, 2_001 if LONG else 501)
    posthog = PostHog(account_with({one: [] for one in ids}))
    with answers_from(posthog):
        output = sync(None, "projects", "annotations")
    asked = Counter(seen.project_id for seen in posthog.requests if seen.stream == "annotations")
    assert posthog.count("projects") == len(ids) // 100
    assert output.status == 0
    assert output.ids("projects") == list(ids)
    assert asked == Counter(ids)


# --- what the catalog says


def test_full_refresh_of_events_reads_all_of_them_whatever_the_state_says() -> None:
    with server_of(7, 8) as server:
        full = catalog("events")
        full["streams"][0]["sync_mode"] = SyncMode.full_refresh.value
        state = project_state(p7="2026-01-10T12:00:00Z", p8="2026-01-10T12:00:00Z")
        output = run("read", config=config(server.url), catalog=full, state=state)
        incremental = run("read", config=config(server.url), catalog=catalog("events"), state=state)
        expected = expected_keys(server.posthog.account)["events"]
    assert output.keys("events") == expected
    assert len(incremental.keys("events")) < len(expected)
