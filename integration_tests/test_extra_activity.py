"""The activity log: newest first and by cursor, each row once, and back to the state."""

import random
from typing import Any

import pytest

from integration_tests.harness.connector import Output
from integration_tests.harness.in_process import answers_from, messages, read
from posthog_server import (
    SECOND,
    Age,
    Fault,
    PostHog,
    account_with,
    make_rows,
    microseconds,
    not_found,
    not_in_plan,
    rewrite,
)
from posthog_server.extra.activity_log import activity
from posthog_server.rows import drf_time
from posthog_server.values import Row

STREAM = "activity_log"
START = microseconds("2026-06-01T00:00:00Z")
MINUTE = 60 * SECOND


def logged(number: int, *, tied: int = 1) -> list[Row]:
    """Rows a minute apart, `tied` of them at one instant."""
    return [activity(drf_time(START + place // tied * MINUTE), f"{place:04}") for place in range(number)]


def posthog(*rows: Row, **options: Any) -> PostHog:
    cohorts = make_rows("cohorts", 2, random.Random(1), 7)
    return PostHog(account_with({7: []}, activity_log=list(rows), cohorts=cohorts), **options)


def log_of(posthog: PostHog) -> list[Row]:
    return posthog.account.projects[7].extra[STREAM]


def require(output: Output, *ids: str) -> None:
    assert (output.status, output.errors) == (0, [])
    assert output.ids(STREAM) == sorted(ids)


def state_in(output: Output) -> Any:
    (state,) = output.state
    return state["stream"]["stream_state"]


def cursors(posthog: PostHog) -> int:
    """How many pages were asked for."""
    return posthog.count(STREAM)


@pytest.mark.parametrize("tied", [1, 3, 7, 23])
def test_rows_of_one_instant_that_do_not_fit_a_page_come_once(tied: int) -> None:
    server = posthog(*logged(46, tied=tied), extra_cap=5)
    require(read(server, STREAM), *[row["id"] for row in log_of(server)])
    assert cursors(server) == 10


def test_an_older_server_gives_a_hundred_rows_a_page_whatever_it_is_asked_for() -> None:
    server = posthog(*logged(250, tied=2), age=Age.JANUARY_2024)
    output = read(server, STREAM)
    require(output, *[row["id"] for row in log_of(server)])
    assert cursors(server) == 3


def test_only_the_cursor_of_next_is_used_and_not_its_host() -> None:
    server = posthog(*logged(12), extra_cap=5, public_host="https://elsewhere.example.com")
    require(read(server, STREAM), *[row["id"] for row in log_of(server)])
    assert {seen.headers["host"] for seen in server.requests} == {"posthog.test"}
    assert {tuple(seen.query) for seen in server.requests if seen.stream == STREAM} == {
        ("page_size",),
        ("page_size", "cursor"),
    }


def test_the_next_sync_reads_back_to_the_state_and_its_instant_again() -> None:
    server = posthog(*logged(60), extra_cap=5)
    first = read(server, STREAM)
    last = log_of(server)[-1]["created_at"]
    assert state_in(first) == {"7": {"created_at": last.replace("Z", ".000000Z")}}
    log_of(server).append(activity(last, "at the instant of the last one"))
    log_of(server).append(activity(drf_time(START + 61 * MINUTE), "new"))
    log_of(server).append(activity(drf_time(START + 50 * MINUTE), "committed late"))
    server.reset()
    second = read(server, STREAM, state=first.state)
    again = [f"{place:04}" for place in range(49, 60)]  # ten minutes
    require(second, *again, "at the instant of the last one", "new", "committed late")
    assert cursors(server) == 3
    require(read(server, STREAM, state=second.state), *again[2:], "at the instant of the last one", "new")


def test_rows_that_arrive_while_the_log_is_read_come_with_the_next_sync() -> None:
    server = posthog(*logged(46), extra_cap=5)

    def arrive(_: Any) -> bool:
        place = len(log_of(server))
        log_of(server).append(activity(drf_time(START + place * MINUTE), f"{place:04}"))
        return False

    server.faults.add(Fault(stream=STREAM, when=arrive))
    first = read(server, STREAM)
    seen = [f"{place:04}" for place in range(47)]  # the first page has one that arrived with the request
    require(first, *seen)
    server.faults.clear()
    second = read(server, STREAM, state=first.state)
    require(second, *[row["id"] for row in log_of(server)[36:]])


def test_a_sync_that_stops_between_pages_claims_nothing() -> None:
    server = posthog(*logged(46), extra_cap=5)
    got: list[dict[str, Any]] = []
    with answers_from(server):
        for message in messages(None, STREAM, extra_streams=[STREAM]):
            got.append(message)
            if len(Output(got, "", 0).records(STREAM)) == 12:
                break
    assert Output(got, "", 0).state == []
    server.faults.add(Fault(stream=STREAM, skip=4, times=None, **rewrite(lambda body: {})))
    failed = read(server, STREAM)
    assert (failed.status, state_in(failed)) == (1, {})
    server.faults.clear()
    require(read(server, STREAM, state=failed.state), *[row["id"] for row in log_of(server)])


def test_pages_that_are_too_large_are_asked_for_with_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("source_posthog.api.client.MOST_BYTES_OF_AN_ANSWER", 40_000)
    server = posthog(*[{**row, "detail": {"name": "x" * 9_000}} for row in logged(12)])
    require(read(server, STREAM), *[row["id"] for row in log_of(server)])
    sizes = [int(seen.query["page_size"]) for seen in server.requests if seen.stream == STREAM]
    assert (sizes[0], min(sizes)) == (1000, 3)


def test_a_state_in_the_future_is_warned_of() -> None:
    server = posthog(*logged(3))
    past, ahead = "2026-06-01T00:00:00Z", "2121-01-01T00:00:00Z"
    for at, said in ((past, 0), (ahead, 1)):
        output = read(server, STREAM, state={STREAM: {"7": {"created_at": at}}})
        warnings = [line for line in output.logs if "is in the future (2121-01-01T00:00:00Z): nothing of it" in line]
        assert (output.status, len(warnings)) == (0, said)
        assert all(line.startswith("Stream activity_log: the state of project 7 is") for line in warnings)


def test_a_project_that_is_gone_in_the_middle_keeps_its_state() -> None:
    server = posthog(*logged(46), extra_cap=5)
    server.faults.add(Fault(stream=STREAM, skip=3, times=None, **not_found()))
    server.faults.add(Fault(stream="projects", project_id=7, times=None, **not_found()))
    output = read(server, STREAM)
    assert (output.status, len(output.ids(STREAM)), state_in(output)) == (0, 15, {})
    assert any("PostHog no longer has this project" in line for line in output.logs)


WRONG: dict[str, tuple[Any, str]] = {
    "itself as the next page": (
        lambda body: {**body, "next": "https://posthog.test/?cursor=bz01"},  # o=5
        "its `next` does not lead on",
    ),
    "no cursor": (lambda body: {**body, "next": "https://posthog.test/?offset=5"}, "its `next` does not lead on"),
    "oldest first": (
        lambda body: {**body, "results": body["results"][::-1]},
        "its rows are not in their order, newest first",
    ),
    "no instant": (
        lambda body: {**body, "results": [{"id": "one", "created_at": "today"}]},
        "the row one has no valid `created_at` ('today'), by which the stream is read",
    ),
    "ties in another order": (
        lambda body: {**body, "results": [activity(drf_time(START), "0009"), activity(drf_time(START), "0001")]},
        "rows that share an instant (created_at 2026-06-01T00:00:00Z) changed their order between two pages",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
def test_a_page_that_cannot_be_right_fails_the_project_and_its_state_stays(change: Any, sentence: str) -> None:
    rows = logged(10, tied=10) if "share an instant" in sentence else logged(10)
    server = posthog(*rows, extra_cap=5)
    server.faults.add(Fault(stream=STREAM, skip=0 if "lead on" in sentence else 1, times=None, **rewrite(change)))
    output = read(server, STREAM)
    assert output.status == 1
    assert output.errors[0].startswith(f"Stream {STREAM}, project 7: ")
    assert sentence in output.errors[0]
    assert state_in(output) == {}


def test_a_plan_without_audit_logs_fails_the_stream_alone() -> None:
    server = posthog(*logged(3))
    server.faults.add(Fault(stream=STREAM, times=None, **not_in_plan()))
    output = read(server, STREAM, "cohorts")
    assert output.status == 1
    assert output.errors[0] == (
        f"Stream {STREAM}, project 7: The account's PostHog plan does not include this (\"Audit logs is part of the "
        'premium PostHog offering."). Change the plan, or remove the stream from the connection.'
    )
    assert (output.stream_status(STREAM), output.stream_status("cohorts")) == ("INCOMPLETE", "COMPLETE")


def test_the_newest_servers_can_list_the_oldest_first() -> None:
    server = posthog(*logged(12, tied=4), extra_cap=5)
    got: list[str] = []
    url = f"/api/projects/7/{STREAM}/?ordering=created_at"
    while url:
        body = server.get(url).json()
        got += [row["id"] for row in body["results"]]
        url = body["next"]
    assert got == [row["id"] for row in log_of(server)]
    assert server.get(f"/api/projects/7/{STREAM}/?cursor=nonsense").status == 404
