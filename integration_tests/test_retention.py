"""Where PostHog no longer has the events from start_date on, a warning a project says so, and nothing waits for it."""

from typing import Any

import pytest

from integration_tests.harness.connector import Output, config, expected_keys, project_state, run
from integration_tests.harness.connector import catalog as configured
from integration_tests.harness.in_process import URL, answers_from, now_is
from posthog_server import (
    Account,
    Fault,
    PostHog,
    Seen,
    account_with,
    busy,
    event,
    html,
    microseconds,
    missing_scope,
    not_found,
    reset,
    throttled,
)

pytestmark = pytest.mark.usefixtures("asked_for_retention", "way")

NOW = microseconds("2026-11-28T12:00:00Z")
YEAR = {"event_retention_months": 12, "events_retention_enforced": True}
OLD = "2025-11-27T00:00:00Z"  # more than twelve months back


@pytest.fixture
def asked_for_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_posthog.streams.retention.NEVER_LESS", 11)


def account(**alone: Any) -> Account:
    """Projects 7, 8 and 9, of which 7 and 9 keep events for a year; `alone` is what all three have instead."""
    made = account_with({one: [event("2026-11-01T00:00:00Z"), event("2026-11-02T00:00:00Z")] for one in (7, 8, 9)})
    for project in made.projects.values():
        project.alone = alone or (YEAR if project.id != 8 else {**YEAR, "events_retention_enforced": False})
    return made


def commands(posthog: PostHog, *streams: str, state: Any = None, **options: Any) -> tuple[Output, Output]:
    """A check and a sync."""
    options = config(URL, **{"start_date": OLD, **options})
    with answers_from(posthog), now_is(NOW):
        checked = run("check", config=options)
        posthog.reset()
        return checked, run("read", config=options, catalog=configured(*streams or ["events"]), state=state)


def warnings(got: Output) -> list[str]:
    return sorted(log["message"] for log in got.of("LOG") if log["level"] == "WARN")


def is_of_one(seen: Seen) -> bool:
    return seen.stream == "projects" and seen.project_id is not None


def asked(posthog: PostHog) -> list[int]:
    return sorted(seen.project_id or 0 for seen in posthog.requests if is_of_one(seen))


def test_check_and_read_warn_once_of_each_project_whose_events_are_gone() -> None:
    posthog = PostHog(made := account())
    for got in commands(posthog, "events", "cohorts"):
        assert warnings(got) == [
            f"Project {one}: `start_date` ({OLD}) lies before the events that PostHog keeps: events before 2025-11-28 "
            "no longer exist in PostHog."
            for one in (7, 9)
        ]
    assert asked(posthog) == [7, 8, 9]
    assert got.keys("events") == expected_keys(made)["events"]


def test_projects_that_are_named_are_asked_for_no_second_time() -> None:
    posthog = PostHog(account())
    for got in commands(posthog, project_ids=[9, 8]):
        assert [one[:10] for one in warnings(got)] == ["Project 9:"]
    assert asked(posthog) == [8, 9]


@pytest.mark.parametrize(
    ("streams", "options"),
    [(["events"], {"start_date": "2025-12-29T00:00:00Z"}), (["cohorts", "projects"], {})],
    ids=["start_date is not so far back", "no events are read"],
)
def test_nobody_is_asked_where_nothing_can_be_gone(streams: list[str], options: dict[str, Any]) -> None:
    posthog = PostHog(account())
    _, got = commands(posthog, *streams, **options)
    assert (got.status, warnings(got), asked(posthog)) == (0, [], [])


@pytest.mark.matrix
@pytest.mark.parametrize(
    "alone",
    [
        {},
        {**YEAR, "event_retention_months": 13},
        {"event_retention_months": 12},
        *({**YEAR, "events_retention_enforced": odd} for odd in (None, "yes", 1)),
        *({**YEAR, "event_retention_months": odd} for odd in (None, 0, -1, "12", 12.5, True, 10**30, [12])),
    ],
    ids=repr,
)
def test_no_retention_and_an_odd_one_are_not_warned_of(alone: dict[str, Any]) -> None:
    for got in commands(PostHog(account(**(alone or {"name": "x"})))):
        assert (got.status, warnings(got)) == (0, [])


TROUBLES: dict[str, dict[str, Any]] = {
    "refused": missing_scope("project:read"),
    "gone": not_found(),
    "throttled": throttled(3600),
    "busy": busy(),
    "a page": html(200),
    "no connection": reset(),
}


@pytest.mark.matrix
@pytest.mark.parametrize("trouble", TROUBLES)
def test_that_a_project_cannot_be_asked_for_fails_nothing(trouble: str, waits: list[float]) -> None:
    posthog = PostHog(made := account())
    posthog.faults.add(Fault(times=None, when=is_of_one, **TROUBLES[trouble]))
    checked, got = commands(posthog)
    assert (checked.connection, got.status, got.errors) == (("SUCCEEDED", ""), 0, [])
    assert got.keys("events") == expected_keys(made)["events"]
    assert (warnings(checked), warnings(got)) == ([], [])
    if trouble not in ("a page", "no connection"):
        assert (asked(posthog), waits) == ([7, 8, 9], [])


def test_the_first_events_of_each_of_many_projects_wait_for_no_such_request() -> None:
    ids = range(1, 41)
    made = account_with({one: [event("2026-11-01T00:00:00Z")] for one in ids})
    for project in made.projects.values():
        project.alone = YEAR
    posthog = PostHog(made)
    checked, got = commands(posthog)
    assert len(warnings(checked)) == 10
    assert len(warnings(got)) == 40
    assert asked(posthog) == list(ids)
    seen: set[int | None] = set()
    for one in posthog.requests:
        if is_of_one(one):
            assert one.project_id in seen
        seen.add(one.project_id if one.stream in ("events", "query") else None)


def test_a_later_sync_warns_too() -> None:
    _, got = commands(PostHog(account()), state=project_state(p7="2026-11-02T00:00:00Z"), project_ids=[7])
    assert len(warnings(got)) == 1
