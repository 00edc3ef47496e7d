"""The state of a list that is incremental by an instant of its rows."""

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, cast

import pytest
from airbyte_cdk.models import Level
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.message import InMemoryMessageRepository

from source_posthog.api.errors import PostHogError, Where
from source_posthog.exact.instants import iso
from source_posthog.inputs.states import taken
from source_posthog.streams.parents import ParentRouter, ParentRow
from source_posthog.streams.time_cursor import TimeCursor, partition_of

AT = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


class Projects(ParentRouter):
    key = "project_id"

    def rows(self) -> list[ParentRow]:
        return [{"id": 7}, {"id": 8}]


def cursor(state: Any, lookback: str = "PT1H") -> TimeCursor:
    made = TimeCursor(parents=Projects(), column="at", lookback=lookback)
    manager = ConnectorStateManager(taken({"log": state})[0])
    made.bind("log", True, manager, InMemoryMessageRepository(Level.INFO))
    return made


def slices(made: TimeCursor) -> list[dict[str, Any]]:
    return [dict(one) for one in cast(Iterable[Any], made.stream_slices())]


def test_a_partition_with_a_state_is_read_from_the_lookback_before_it() -> None:
    made = cursor({"7": {"at": "2026-06-01T14:00:00+02:00"}})
    assert slices(made) == [{"project_id": 7, "since": "2026-06-01T11:00:00.000000Z"}, {"project_id": 8}]
    assert [partition_of(one) for one in made.stream_slices()] == ["7", "8"]


def test_a_state_at_the_beginning_of_time_leaves_room_for_the_lookback() -> None:
    assert slices(cursor({"7": {"at": "0001-01-01T00:00:00Z"}}))[0]["since"] == "1900-01-01T00:00:00.000000Z"


def test_a_state_never_moves_back() -> None:
    made = cursor({"7": {"at": iso(AT)}})
    made.cover("7", AT.replace(hour=11), 1)
    assert made.state == {"7": {"at": iso(AT)}}
    made.cover("7", AT.replace(hour=13), 1)
    assert made.state == {"7": {"at": "2026-06-01T13:00:00.000000Z"}}


@pytest.mark.parametrize("entry", [{"at": 7}, {"at": "now"}, {"at": "9999-12-31T23:00:00-05:00"}, [], "2026-01-01"])
def test_a_state_that_is_no_instant_is_refused(entry: Any) -> None:
    with pytest.raises(PostHogError, match="The state of project 7 in stream log is not valid"):
        cursor({"7": entry})


@pytest.mark.parametrize("value", [None, "soon", 7])
def test_a_row_without_its_instant_is_named(value: Any) -> None:
    with pytest.raises(PostHogError, match="Stream log: the row a has no valid `at`"):
        cursor({}).instant_of({"id": "a", "at": value}, Where("log"))
