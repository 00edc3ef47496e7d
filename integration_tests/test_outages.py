"""When PostHog, or a part of it, is down: a sync ends, in time and with a sentence."""

import random
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from integration_tests.harness import in_process
from integration_tests.harness.connector import Output, catalog, config, expected_keys, run
from posthog_server import (
    DAY,
    Fault,
    PostHogServer,
    account_with,
    busy,
    disconnect,
    html,
    make_events,
    make_persons,
    make_rows,
    microseconds,
    reset,
    rewrite,
    throttled,
    too_slow,
)
from posthog_server.api import STREAMS

START = microseconds("2026-10-01T00:00:00Z")
LISTS = [stream for stream in STREAMS if stream not in ("projects", "events")]
HOUR = 3600


def account_of(projects: int) -> Any:
    rng = random.Random(3)
    return account_with(
        {
            project: make_events(5, rng, start=START, span=30 * DAY, project=project)
            for project in range(1, projects + 1)
        },
        cohorts={project: make_rows("cohorts", 2, rng, project) for project in range(1, projects + 1)},
    )


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    with PostHogServer(account_of(2), cap=100) as running:
        yield running


read = partial(in_process.read, start_date="2026-10-01T00:00:00Z", events_time_step=91)


def assert_complete(output: Output, server: PostHogServer, *streams: str) -> None:
    expected = expected_keys(server.posthog.account)
    assert {one: output.keys(one) for one in streams} == {one: expected[one] for one in streams}
    assert (output.status, output.errors) == (0, [])


def sentences(output: Output) -> list[str]:
    """The errors, without the summary of them at the end."""
    return [error for error in output.errors if " streams failed: " not in error]


# --- one outage for the whole sync (9)


@pytest.mark.parametrize(
    "fault", [busy(), html(502), reset(), disconnect()], ids=["503", "proxy", "connection reset", "half an answer"]
)
def test_a_sync_of_many_projects_ends_with_one_sentence_ten_minutes_after_posthog_went_down(
    waits: list[float], fault: dict[str, Any]
) -> None:
    with PostHogServer(account_of(300)) as server:
        server.posthog.faults.add(Fault(when=lambda seen: seen.project_id is not None, times=None, **fault))
        output = read(server, "events", "cohorts")
        assert server.posthog.count() < 250
    assert output.status == 1
    assert sum(waits) < 900
    outage = [error for error in sentences(output) if "for 10 minutes" in error]
    assert len(set(outage)) == 1
    assert "PostHog has given no usable answer for 10 minutes, the last one: " in outage[0]
    assert "Run the sync again later" in outage[0]
    assert (output.records("events"), output.records("cohorts")) == ([], [])


def test_a_permanent_throttle_ends_the_sync_after_six_hours_and_not_six_hours_a_project(waits: list[float]) -> None:
    with PostHogServer(account_of(60)) as server:
        server.posthog.faults.add(Fault(stream="events", times=None, **throttled(2202)))
        output = read(server, "events", num_workers=2)
        assert server.posthog.count("events") < 20
    assert output.status == 1
    assert 6 * HOUR <= sum(waits) < 8 * HOUR
    assert any("no usable answer for 6 hours, the last one: HTTP 429" in error for error in output.errors)


def test_a_list_that_is_down_ends_its_own_stream_while_the_others_are_read(waits: list[float]) -> None:
    with PostHogServer(account_of(150)) as server:
        server.posthog.faults.add(Fault(stream="events", times=None, **busy()))
        output = read(server)
        assert server.posthog.count("events") < 250
        expected = expected_keys(server.posthog.account)
    assert output.status == 1
    assert {one: output.keys(one) for one in LISTS} == {one: expected[one] for one in LISTS}
    assert any("no usable answer for" in error for error in output.errors)


def test_what_follows_a_list_that_is_down_is_read(waits: list[float]) -> None:
    with PostHogServer(made := account_of(80)) as server:
        made.projects[7].persons = make_persons(3, random.Random(1), 7)
        server.posthog.faults.add(Fault(stream="events", times=None, **busy()))
        output = read(server, "events", "persons")
        assert server.posthog.count("events") < 150
        assert output.keys("persons") == expected_keys(made)["persons"]
    assert any("no usable answer for 10 minutes, the last one: HTTP 503" in error for error in sentences(output))


def test_a_posthog_that_answers_now_and_then_is_not_given_up(waits: list[float]) -> None:
    with PostHogServer(account_of(100)) as server:
        for project in range(1, 101):
            server.posthog.faults.add(Fault(stream="cohorts", project_id=project, times=3, **busy()))
        assert_complete(read(server, "cohorts", num_workers=2), server, "cohorts")
    assert sum(waits) > 300


def test_a_throttle_says_that_posthog_is_up(waits: list[float]) -> None:
    with PostHogServer(account_of(4)) as server:
        server.posthog.faults.add(Fault(stream="cohorts", times=30, **throttled(400)))
        assert_complete(read(server, "cohorts", num_workers=2), server, "cohorts")


def test_a_server_that_is_too_slow_for_any_range_does_not_take_an_hour_for_each_project(waits: list[float]) -> None:
    with PostHogServer(account_of(20)) as server:
        server.posthog.faults.add(Fault(stream="events", times=None, **too_slow()))
        output = read(server, "events", num_workers=2)
    assert output.status == 1
    assert sum(waits) < 2 * HOUR


# --- where nothing answers (23, 20, 21)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


def test_check_says_after_two_tries_that_nothing_answers(waits: list[float]) -> None:
    port = unused_port()
    output = run("check", config=config(f"http://127.0.0.1:{port}"))
    assert output.connection[0] == "FAILED"
    assert f"no usable answer in 2 tries, the last one: 127.0.0.1:{port} refused the" in output.connection[1]
    assert len(waits) == 1


def test_check_is_as_patient_as_a_sync_with_a_posthog_that_is_busy(server: PostHogServer, waits: list[float]) -> None:
    server.posthog.faults.add(Fault(stream="projects", times=4, **busy()))
    assert run("check", config=config(server.url)).connection == ("SUCCEEDED", "")


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """The address of a TLS server whose certificate nobody has signed."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    line = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*line.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is what is tested
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("command", ["check", "read"])
def test_a_self_signed_certificate_is_named_at_once(self_signed: str, command: str, waits: list[float]) -> None:
    files = {"catalog": catalog("cohorts")} if command == "read" else {}
    output = run(command, config=config(self_signed), **files)
    sentence = output.connection[1] if command == "check" else output.errors[0]
    assert "certificate of the server is not trusted: self" in sentence
    assert "REQUESTS_CA_BUNDLE" in sentence
    assert waits == []


# --- answers that nobody expects (10, 12, 13)


def test_one_page_of_html_for_the_list_of_projects_is_asked_for_again(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(stream="projects", times=1, **html(200)))
    assert_complete(read(server, "cohorts", "events"), server, "cohorts", "events")


@pytest.mark.matrix
@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("body", [{"detail": None}, {"detail": 5}, {"detail": ["x"]}, [], ["x"], "text", 5, None, {}])
@pytest.mark.parametrize("stream", ["events", "cohorts"])
def test_a_body_of_any_shape_is_no_reason_to_give_up(
    server: PostHogServer, stream: str, body: object, status: int
) -> None:
    body = b"null" if body is None else body
    fault = server.posthog.faults.add(Fault(stream=stream, times=3, status=status, body=body))
    assert_complete(read(server, stream), server, stream)
    assert fault.used == 3


@pytest.mark.parametrize("body", [{"detail": None}, {"code": 5}, [], "text"])
def test_a_refusal_of_any_shape_has_a_sentence(server: PostHogServer, body: object) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", times=None, status=403, body=body))
    output = read(server, "cohorts")
    assert 'PostHog refuses access ("no reason given")' in output.errors[0]


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def deep_cohorts(levels: int) -> bytes:
    return b'{"next": null, "results": [{"id": 1, "name": "a } in a string", "filters": ' + nested(levels) + b"}]}"


def deep_events(levels: int) -> bytes:
    event = b'{"id": "1", "timestamp": "2026-10-02T00:00:00Z", "event": "{[", "properties": ' + nested(levels) + b"}"
    return b'{"next": null, "results": [' + event + b"]}"


DEEP = {"cohorts": deep_cohorts, "events": deep_events}


@pytest.mark.parametrize("levels", [1010, 1030, 100_000])
def test_json_nested_without_end_fails_its_stream_and_project_and_nothing_else(
    server: PostHogServer, levels: int
) -> None:
    deep = Fault(stream="cohorts", project_id=1, times=None, status=200, body=deep_cohorts(levels))
    server.posthog.faults.add(deep)
    output = read(server, "cohorts", "events")
    assert output.status == 1
    (error,) = [error for error in sentences(output) if "levels deep" in error]
    assert error.startswith("Stream cohorts, project 1: 1 records were not emitted")
    expected = expected_keys(server.posthog.account)
    assert output.keys("cohorts") == [key for key in expected["cohorts"] if key[0] == 2]
    assert output.keys("events") == expected["events"]


@pytest.mark.parametrize("stream", DEEP)
def test_json_nested_as_deeply_as_can_be_emitted_is_read(server: PostHogServer, stream: str) -> None:
    body = DEEP[stream](700)
    server.posthog.faults.add(Fault(stream=stream, project_id=1, times=1, status=200, body=body))
    output = read(server, stream)
    assert (output.status, output.errors) == (0, [])


@pytest.mark.parametrize("status", [403, 500])
def test_an_error_nested_without_end_fails_its_stream_and_nothing_else(server: PostHogServer, status: int) -> None:
    server.posthog.faults.add(Fault(stream="cohorts", times=None, status=status, body=nested(2000)))
    output = read(server, "cohorts", "events")
    assert output.status == 1
    assert output.keys("events") == expected_keys(server.posthog.account)["events"]
    error = f"Stream cohorts, projects 1 and 2: no usable answer in 6 tries, the last one: HTTP {status}"
    assert [one.partition(".")[0] for one in sentences(output)] == [error]


def test_a_next_that_does_not_lead_on_ends_its_stream_and_says_where(server: PostHogServer) -> None:
    stuck = rewrite(lambda body: {**body, "next": f"{server.url}/api/projects/1/cohorts/?offset=0"})
    server.posthog.faults.add(Fault(stream="cohorts", project_id=1, times=None, **stuck))
    (error, *_) = read(server, "cohorts").errors
    assert error.startswith("Stream cohorts, project 1: PostHog's answer for /api/projects/1/cohorts cannot be used")
    assert "does not advance" in error
