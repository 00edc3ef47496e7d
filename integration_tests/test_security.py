"""Where the API key goes, and that it is never to be seen."""

import logging
import random
from collections.abc import Iterator

import pytest

from integration_tests.harness.connector import catalog, config, run, run_command
from posthog_server import (
    Fault,
    Key,
    PostHogServer,
    account_with,
    event,
    html,
    make_persons,
    redirect,
    rewrite,
    server_error,
    throttled,
    wrong_key,
)
from source_posthog.inputs.cautions import warn_of_plain_http

SECRET = "phx_a_key_that_must_not_be_seen"


@pytest.fixture
def server() -> Iterator[PostHogServer]:
    persons = make_persons(2500, random.Random(1))
    made = account_with({7: [event("2026-11-01T00:00:00Z")]}, persons={7: persons}, keys=[Key(SECRET)])
    with PostHogServer(made) as running:
        yield running


@pytest.fixture
def stranger() -> Iterator[PostHogServer]:
    with PostHogServer(account_with({7: []}, keys=[Key(SECRET)])) as running:
        yield running


TROUBLES = {
    "none": None,
    "wrong key": Fault(times=None, **wrong_key()),
    "refused stream": Fault(stream="persons", times=None, **wrong_key()),
    "HTML": Fault(stream="events", times=None, **html(200)),
    "throttled": Fault(stream="persons", times=1, **throttled(3)),
    "500": Fault(stream="events", times=2, **server_error()),
    "odd answer": Fault(stream="cohorts", times=None, **rewrite(lambda body: {"secret": SECRET})),
    "answer that repeats the key": Fault(stream="cohorts", times=None, status=403, body={"detail": f"no: {SECRET}"}),
}


@pytest.mark.matrix
@pytest.mark.parametrize("flags", [[], ["--debug"]], ids=["info", "debug"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_key_is_in_no_output_of_any_kind(server: PostHogServer, trouble: str, flags: list[str]) -> None:
    if fault := TROUBLES[trouble]:
        server.posthog.faults.add(fault)
    options = config(server.url, api_key=SECRET)
    for output in (run("check", *flags, config=options), run("read", *flags, config=options, catalog=catalog())):
        assert SECRET not in output.text


def test_the_key_is_in_no_output_of_the_command_either(server: PostHogServer) -> None:
    server.posthog.faults.add(Fault(stream="events", times=None, **rewrite(lambda body: {"results": [{"a": SECRET}]})))
    output = run_command("read", "--debug", config=config(server.url, api_key=SECRET), catalog=catalog("events"))
    assert output.status == 1
    assert SECRET not in output.text


def test_the_key_is_in_no_output_where_the_config_is_refused() -> None:
    output = run("check", config={"api_key": SECRET, "start_date": SECRET, "num_workers": SECRET})
    assert output.connection[0] == "FAILED"
    assert SECRET not in output.text


def test_the_host_that_next_names_is_never_asked(server: PostHogServer, stranger: PostHogServer) -> None:
    server.posthog.public_host = stranger.url
    output = run("read", config=config(server.url, api_key=SECRET), catalog=catalog("persons"))
    assert len(output.ids("persons")) == 2500
    assert stranger.posthog.requests == []


def test_the_key_does_not_cross_a_redirect_to_another_host(server: PostHogServer, stranger: PostHogServer) -> None:
    away = stranger.url.replace("127.0.0.1", "localhost")
    server.posthog.faults.add(Fault(stream="persons", times=1, **redirect(f"{away}/api/projects/7/persons/")))
    run("read", config=config(server.url, api_key=SECRET), catalog=catalog("persons"))
    assert stranger.posthog.requests == []


@pytest.mark.parametrize(
    ("base_url", "warned"),
    [
        ("http://posthog.example.com", True),
        ("http://8.8.8.8:8000", True),
        ("https://posthog.example.com", False),
        ("http://localhost:8000", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:80", False),
        ("http://192.168.1.4", False),
        ("http://posthog", False),
        ("http://posthog.internal", False),
    ],
)
def test_a_key_that_would_cross_the_internet_in_clear_is_warned_of(
    base_url: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        warn_of_plain_http(base_url, logging.getLogger("airbyte"))
    assert bool(caplog.records) == warned
