"""Session recordings: each that begins in the range once and whole, in windows of time, and on from the state."""

from typing import Any

import pytest

from integration_tests.harness.connector import Output
from integration_tests.harness.in_process import answers_from, messages, now_is, read
from posthog_server import DAY, SECOND, Fault, PostHog, account_with, microseconds, rewrite
from posthog_server.extra.recordings import recording
from posthog_server.values import Row

STREAM = "session_recordings"
START = microseconds("2026-06-01T00:00:00Z")
NOW = START + 19 * DAY + 12 * 3600 * SECOND  # in the third window
WEEK, MILLISECOND = 7 * DAY, 1000


def posthog(*rows: Row, **options: Any) -> PostHog:
    return PostHog(account_with({7: []}, session_recordings=list(rows)), **options)


def of(posthog: PostHog) -> list[Row]:
    return posthog.account.projects[7].extra[STREAM]


def synced(posthog: PostHog, state: Any = None, at: int = NOW, **options: Any) -> Output:
    with now_is(at):
        return read(posthog, STREAM, state=state, **{"start_date": "2026-06-01T00:00:00Z", **options})


def require(output: Output, *ids: str) -> None:
    assert (output.status, output.errors) == (0, [])
    assert output.ids(STREAM) == sorted(ids)


def state_of(start_time: str) -> list[dict[str, Any]]:
    descriptor = {"stream_descriptor": {"name": STREAM}, "stream_state": {"7": {"start_time": start_time}}}
    return [{"type": "STREAM", "stream": descriptor}]


def test_one_that_crosses_the_boundary_of_a_window_comes_once_and_whole() -> None:
    """The server shows a part of it on each side: with the bounds of the window itself, it would come twice, cut."""
    long = {"seconds": 20 * 3600}
    rows = [
        recording(START - MILLISECOND, "before", **long),
        recording(START, "first"),
        recording(START + WEEK - 3600 * SECOND, "across", **long),
        recording(START + WEEK - MILLISECOND, "last of a window", **long),
        recording(START + WEEK, "first of a window", **long),
        recording(NOW - 3600 * SECOND, "still going on", **long),
    ]
    output = synced(posthog(*rows))
    require(output, *[row["id"] for row in rows[1:]])
    fields = ("id", "start_time", "recording_duration", "click_count")
    shown = {tuple(row[name] for name in fields) for row in output.records(STREAM)}
    assert shown == {tuple(row[name] for name in fields) for row in rows[1:]}


def test_without_bounds_only_three_days_would_be_listed() -> None:
    server = posthog(recording(START, "old"), recording(NOW - 4 * DAY, "of four days ago"), clock=lambda: NOW / SECOND)
    assert server.get(f"/api/projects/7/{STREAM}/").json()["results"] == []
    server.reset()
    require(synced(server), "old", "of four days ago")
    asked = [(seen.query["date_from"], seen.query["date_to"]) for seen in server.requests if seen.stream == STREAM]
    assert asked == [
        ("2026-05-31T00:00:00.000000Z", "2026-06-09T00:00:00.000000Z"),
        ("2026-06-07T00:00:00.000000Z", "2026-06-16T00:00:00.000000Z"),
        ("2026-06-14T00:00:00.000000Z", "2026-06-21T12:00:00.000000Z"),
    ]


def test_pages_that_deleted_ones_make_short_or_empty_are_no_end() -> None:
    rows = [recording(START + place * 60 * SECOND, f"{place:03}", deleted=40 < place < 260) for place in range(330)]
    server = posthog(*rows)
    require(synced(server), *[row["id"] for row in rows if not row["deleted"]])


@pytest.mark.parametrize("cap", [25, 60, 1000])
def test_pages_of_fewer_rows_than_were_asked_for_skip_none(cap: int) -> None:
    rows = [recording(START + place * 60 * SECOND, f"{place:03}") for place in range(230)]
    require(synced(posthog(*rows, extra_cap=cap)), *[row["id"] for row in rows])


def test_those_that_begin_at_one_instant_come_once_though_their_order_differs_from_page_to_page() -> None:
    rows = [recording(START + place // 7 * 60 * SECOND, f"{place:03}") for place in range(250)]
    require(synced(posthog(*rows, moves=10**6)), *[row["id"] for row in rows])


def test_those_that_arrive_while_a_window_is_read_move_no_other_out_of_sight() -> None:
    rows = [recording(NOW - place * 60 * SECOND, f"{place:03}") for place in range(1, 251)]
    server = posthog(*rows)

    def arrive(_: Any) -> bool:
        of(server).append(recording(NOW - 30 * SECOND, f"new {len(of(server))}"))
        return False

    server.faults.add(Fault(stream=STREAM, when=arrive))
    output = synced(server)
    assert {row["id"] for row in rows} <= set(output.ids(STREAM))
    assert len(output.ids(STREAM)) == len(set(output.ids(STREAM)))
    of(server)[:] = of(server)[-20:]
    require(synced(server, output.state), *[row["id"] for row in of(server)])


def test_the_next_sync_reads_two_days_again_and_what_is_new() -> None:
    server = posthog(
        recording(NOW - 9 * DAY, "old"),
        recording(NOW - 2 * DAY - 3600 * SECOND, "settled"),
        recording(NOW - DAY, "grows", seconds=60),
        recording(NOW - 600 * SECOND, "newest"),
    )
    first = synced(server)
    require(first, "old", "settled", "grows", "newest")
    of(server)[2] = recording(NOW - DAY, "grows", seconds=3600)
    of(server).append(recording(NOW - 600 * SECOND, "at the same instant"))
    of(server).append(recording(NOW - DAY - 3600 * SECOND, "late"))
    of(server).append(recording(NOW + 3600 * SECOND, "new"))
    second = synced(server, first.state, NOW + 2 * 3600 * SECOND)
    again = ("grows", "newest", "at the same instant", "late")
    require(second, *again, "new")
    (grown,) = [row for row in second.records(STREAM) if row["id"] == "grows"]
    assert grown["recording_duration"] == 3600
    require(
        synced(server, second.state, NOW + 2 * 3600 * SECOND), "grows", "newest", "at the same instant", "late", "new"
    )


def test_the_state_of_a_quiet_project_moves_to_the_windows_that_are_settled_and_no_further() -> None:
    output = synced(posthog(recording(START, "only")))
    (state,) = output.state
    assert state["stream"]["stream_state"] == {"7": {"start_time": "2026-06-15T00:00:00.000000Z"}}


def test_a_sync_that_stops_anywhere_is_gone_on_from_and_nothing_is_lost() -> None:
    rows = [recording(START + place * DAY // 12, f"{place:03}") for place in range(220)]
    server, options = posthog(*rows), {"extra_streams": [STREAM], "start_date": "2026-06-01T00:00:00Z"}
    again = []
    for stop in range(0, 240, 24):
        got: list[dict[str, Any]] = []
        with answers_from(server), now_is(NOW):
            for message in messages(None, STREAM, **options):
                got.append(message)
                if len(Output(got, "", 0).records(STREAM)) > stop:
                    break
        first = Output(got, "", 0)
        second = synced(server, first.state)
        assert set(first.ids(STREAM)) | set(second.ids(STREAM)) == {row["id"] for row in rows}
        again.append(len(second.ids(STREAM)))
    assert again[-1] < again[0]


def test_the_range_is_that_of_start_date_and_end_date() -> None:
    rows = [recording(START + place * DAY, f"{place:02}") for place in range(15)]
    bounds: dict[str, Any] = {"start_date": "2026-06-03T00:00:00Z", "end_date": "2026-06-12T00:00:00Z"}
    require(synced(posthog(*rows), **bounds), *[f"{place:02}" for place in range(2, 11)])


def test_e_mail_addresses_and_the_person_are_left_out() -> None:
    (row,) = synced(posthog(recording(START, "one"))).records(STREAM)
    assert not row.keys() & {"viewers", "person"}
    assert "@" not in str(row)


WRONG: dict[str, tuple[Any, str]] = {
    "no word on more": (
        lambda body: {"results": body["results"]},
        "it does not say whether there is more (`has_next`)",
    ),
    "other bounds": (
        lambda body: {**body, "results": [recording(NOW + 30 * DAY, "far")]},
        "the recording far of 2026-07-20T12:00:00.000000Z is not in the range that was asked for",
    ),
    "no beginning": (
        lambda body: {**body, "results": [{"id": "one", "start_time": None}]},
        "the row one has no valid `start_time` (None), by which the stream is read",
    ),
}


@pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
def test_an_answer_that_cannot_be_right_fails_the_project_and_the_state_stays_before_it(
    change: Any, sentence: str
) -> None:
    server = posthog(recording(START, "one"), recording(START + 8 * DAY, "two"))
    server.faults.add(Fault(stream=STREAM, skip=1, times=None, **rewrite(change)))
    output = synced(server)
    assert (output.status, output.ids(STREAM)) == (1, ["one"])
    assert output.errors[0].startswith(f"Stream {STREAM}, project 7: ")
    assert sentence in output.errors[0]
    server.faults.clear()
    assert "two" in synced(server, output.state).ids(STREAM)


@pytest.mark.parametrize("text", ["yesterday", "9999-12-31T23:59:59-05:00", 7])
def test_a_state_that_is_no_instant_is_named(text: Any) -> None:
    output = synced(posthog(), state_of(text))
    assert output.status == 1
    assert f"The state of project 7 in stream {STREAM} is not valid" in output.errors[0]


def test_the_same_throttle_counts_recordings_and_events() -> None:
    server = posthog(cloud_throttles=True, clock=lambda: 0.0)
    statuses = [server.get(f"/api/projects/7/{path}/").status for path in ("events", STREAM) for _ in range(121)]
    assert statuses == [200] * 240 + [429] * 2
