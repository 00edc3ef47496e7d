"""Connections made with `airbyte-source-posthog` go on with this connector, and back."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from ecosystem_tests.earlier import VERSIONS, make, run_earlier
from integration_tests.harness.connector import Output, config, expected_keys, run
from posthog_server import (
    DAY,
    SECOND,
    Event,
    PostHogServer,
    account_with,
    event,
    make_events,
    make_persons,
    make_rows,
    microseconds,
)
from posthog_server.api import STREAMS

START = microseconds("2026-02-01T00:00:00Z")
LAST = START + 20 * DAY  # the newest event of the earlier release's sync
HOUR = 3600 * SECOND
BUSY, QUIET, NEW = 7, 8, 9  # the last has no events at first, so that the state has no entry for it

ENVIRONMENTS = tuple(partial(make, version) for version in VERSIONS)


@dataclass
class Connection:
    """What Airbyte keeps of a connection, after the first sync with an earlier release.

    Attributes:
        events: all that there were then, by project.
        synced: what the first sync printed.
    """

    version: str
    server: PostHogServer
    config: dict[str, Any]
    catalog: dict[str, Any]
    state: list[dict[str, Any]]
    events: dict[int, list[Event]]
    synced: Output

    @property
    def timestamps(self) -> dict[str, int]:
        """The events' state, in microseconds."""
        return timestamps(self.synced)


def timestamps(synced: Output) -> dict[str, int]:
    entries = {project: entry for project, entry in synced.states[-1].items() if project != "filter"}
    return {project: microseconds(entry["timestamp"]) for project, entry in entries.items()}


def configured(discovered: Output) -> dict[str, Any]:
    """The catalog that Airbyte makes of what `discover` printed: all streams, events incremental."""
    (found,) = discovered.of("CATALOG")
    return {
        "streams": [
            {
                "stream": stream,
                "sync_mode": stream["supported_sync_modes"][-1],
                "destination_sync_mode": "append_dedup",
                "primary_key": stream["source_defined_primary_key"],
                "cursor_field": stream.get("default_cursor_field", []),
            }
            for stream in found["streams"]
        ]
    }


@pytest.fixture(scope="module", params=VERSIONS)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection of that release. One project has more events at one instant than the release reads."""
    rng = random.Random(7)
    tie = make_events(1300, rng, start=START + 10 * DAY, span=1, project=BUSY)
    events = {
        BUSY: [*make_events(300, rng, start=START, span=20 * DAY, project=BUSY), *tie, event(LAST)],
        QUIET: [event(START), event(LAST - 2 * HOUR), event(LAST - HOUR // 2), event(LAST + 123_456)],
        NEW: [],
    }
    lists: dict[str, Any] = {
        stream: {BUSY: make_rows(stream, 30, rng, BUSY)} for stream in ("cohorts", "feature_flags", "insights")
    }
    persons = {BUSY: make_persons(30, rng, BUSY)}
    with PostHogServer(account_with(events, persons=persons, **lists)) as server:
        options = config(server.url, start_date="2026-02-01T00:00:00Z")
        catalog = configured(run_earlier(request.param, "discover", config=options))
        synced = run_earlier(request.param, "read", config=options, catalog=catalog)
        assert synced.status == 0, synced.text
        yield Connection(request.param, server, options, catalog, synced.state, events, synced)


def test_the_catalog_of_an_earlier_release_has_the_same_streams(connection: Connection) -> None:
    assert [one["stream"]["name"] for one in connection.catalog["streams"]] == list(STREAMS)


def test_a_sync_goes_on_from_the_state_of_an_earlier_release(connection: Connection) -> None:
    """Every event that has appeared since, once, also late; of what was read already no more than the margin."""
    timestamps = connection.timestamps
    assert timestamps == {str(BUSY): LAST, str(QUIET): LAST + 123_456}
    account = connection.server.posthog.account
    # One at the very instant of the state, and one in the past of a project that had none.
    late = event(LAST - 9 * DAY, created_at=LAST + 3 * DAY)
    since = {BUSY: [event(LAST), event(LAST + DAY), late], QUIET: [event(LAST + 2 * DAY)], NEW: [event(START + DAY)]}
    for project, events in since.items():
        account.projects[project].add_events(events)
    connection.server.posthog.reset()
    synced = run("read", config=connection.config, catalog=connection.catalog, state=connection.state)
    assert synced.status == 0, synced.text

    expected = expected_keys(account)
    # What arrived after the state, less the margin: the state does not say when its sync began.
    due = {project: timestamps.get(str(project), START + HOUR) - HOUR for project in since}
    pairs = [(project, one) for project in since for one in account.projects[project].events]
    expected["events"] = sorted((project, one.id) for project, one in pairs if one.created_at >= due[project])
    assert {stream: synced.keys(stream) for stream in STREAMS[1:]} == {name: expected[name] for name in STREAMS[1:]}
    assert synced.ids("projects") == [BUSY, QUIET, NEW]
    asked = [seen for seen in connection.server.posthog.requests if seen.stream == "events"]
    in_full = [seen for seen in asked if "created_at" not in seen.query.get("properties", "")]
    assert all(seen.after >= due[seen.project_id or 0] - 1 for seen in in_full), "nothing is read in full again"


def test_an_earlier_release_goes_on_from_our_state(connection: Connection) -> None:
    """With all that can stand in it beside the timestamps."""
    options = {**connection.config, "events_exclude": ["never sent"]}
    synced = run("read", config=options, catalog=connection.catalog, state=connection.state)
    reached = timestamps(synced)
    assert all({"timestamp", "since", "arrived"} <= synced.states[-1][project].keys() for project in reached)
    assert "filter" in synced.states[-1]
    newer = event(max(reached.values()) + SECOND)
    connection.server.posthog.account.projects[BUSY].add_events([newer])
    back = run_earlier(
        connection.version, "read", config=connection.config, catalog=connection.catalog, state=synced.state
    )
    assert back.status == 0, back.text
    assert back.errors == []
    assert newer.id in back.ids("events")
    given = set(back.ids("events"))
    for project in connection.server.posthog.account.projects.values():
        assert all(one.at >= reached[str(project.id)] for one in project.events if one.id in given)

    # And forth again: what that release wrote is taken, also what arrived late meanwhile.
    at = max(timestamps(back).values())
    late = event(at - 5 * DAY, created_at=at + SECOND)
    connection.server.posthog.account.projects[BUSY].add_events([late])
    forth = run("read", config=connection.config, catalog=connection.catalog, state=back.state)
    assert (forth.status, forth.errors) == (0, [])
    assert late.id in forth.ids("events")


def test_a_sync_without_state_brings_back_what_an_earlier_release_lost(connection: Connection) -> None:
    """Clear the stream and sync it again: docs/posthog-migrations.md."""
    lost = len(connection.events[BUSY]) + len(connection.events[QUIET]) - len(connection.synced.ids("events"))
    assert lost > 0
    synced = run("read", config=connection.config, catalog=connection.catalog)
    assert synced.keys("events") == expected_keys(connection.server.posthog.account)["events"]
