"""How long PostHog may give no usable answer, for all streams together."""

import pytest

from source_posthog.api.errors import Outage
from source_posthog.api.health import MINUTE, Health, Trouble

FAULT, THROTTLE = Trouble("HTTP 503"), Trouble("HTTP 429", throttled=True)
CROWDED = Trouble("HTTP 429", throttled=True, crowded=True)


class Time:
    """The seconds of the clock."""

    now = 0.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr("source_posthog.api.clock.seconds", lambda: made.now)
    return made


def minutes_until_outage(health: Health, time: Time, trouble: Trouble) -> int:
    """So many minutes there is `trouble`, as of each of which the others have none."""
    for minute in range(400):
        time.now = minute * MINUTE
        try:
            health.troubled("events", trouble)
        except Outage:
            return minute
    raise AssertionError("no end")


@pytest.mark.parametrize(
    ("trouble", "minutes"),
    [(FAULT, 10), (CROWDED, 10), (Trouble("too slow", too_slow=True), 60), (THROTTLE, 360)],
    ids=["fault", "crowd of queries", "too slow", "throttle"],
)
def test_trouble_of_each_kind_may_last_for_its_time(time: Time, trouble: Trouble, minutes: int) -> None:
    health = Health()
    health.troubled("cohorts", trouble)
    assert minutes_until_outage(health, time, trouble) == minutes
    with pytest.raises(Outage):
        health.require("persons")


def test_of_a_stream_that_was_not_asked_for_nothing_is_known(time: Time) -> None:
    health = Health()
    assert minutes_until_outage(health, time, FAULT) == 10
    health.require("persons")
    with pytest.raises(Outage, match="no usable answer for 10 minutes"):
        health.troubled("persons", FAULT)
    with pytest.raises(Outage):
        health.require("cohorts")


def test_streams_that_were_in_trouble_before_a_usable_answer_do_not_count(time: Time) -> None:
    health = Health()
    health.troubled("cohorts", FAULT)
    health.recovered("projects")
    assert minutes_until_outage(health, time, FAULT) == 10
    health.require("cohorts")


def test_of_the_time_in_which_nothing_was_asked_nothing_is_known(time: Time) -> None:
    health = Health()
    for minute in (0, 11, 22, 33):
        time.now = minute * MINUTE
        health.troubled("events", FAULT)
    health.require("events")


def test_a_usable_answer_of_another_stream_says_that_posthog_is_up_and_not_that_this_list_is(time: Time) -> None:
    health = Health()
    for minute in range(10):
        time.now = minute * MINUTE
        health.recovered("cohorts")
        health.troubled("events", FAULT)
    time.now = 10 * MINUTE
    health.recovered("cohorts")
    with pytest.raises(Outage, match="for the stream events"):
        health.troubled("events", FAULT)
    health.require("cohorts")


def test_a_throttle_says_that_posthog_is_up(time: Time) -> None:
    health = Health()
    for minute, trouble in ((0, FAULT), (9, FAULT), (9, THROTTLE), (11, FAULT), (18, FAULT)):
        time.now = minute * MINUTE
        health.troubled("events", trouble)
    health.require("events")


def test_a_usable_answer_ends_the_trouble_of_its_stream(time: Time) -> None:
    health = Health()
    for minute in range(30):
        time.now = minute * MINUTE
        health.troubled("events", FAULT)
        health.recovered("events")
    health.require("events")
