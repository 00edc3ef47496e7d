"""Whose turn it is to ask, while many windows of a project are read at the same time."""

import threading
from datetime import timedelta
from types import TracebackType

import pytest

from source_posthog.api.errors import Skipped
from source_posthog.api.once import Slots
from source_posthog.exact.events.windows import Window
from source_posthog.streams.lanes import Lane, Lanes
from unit_tests.exact.events.support import DAY, START

FIRST, SECOND, THIRD = (Window(START + place * DAY, START + (place + 1) * DAY) for place in range(3))


class Place(threading.BoundedSemaphore):
    """A place that is free at once, and what happens meanwhile all the same."""

    def __init__(self, *meanwhile: set[Window]) -> None:
        super().__init__(2)
        self.meanwhile = list(meanwhile)
        self.may: set[Window] = set()
        self.taken = 0

    def __enter__(self, blocking: bool = True, timeout: float | None = None) -> bool:
        self.taken += 1
        self.may = self.meanwhile.pop(0)
        return super().acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().release()


class Turns:
    """Those windows may read on that `place` says. A window that has to wait for its turn gets it at the next look."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.expected: list[Window] = []

    def may_read_on(self, window: Window) -> bool:
        return window in self.place.may

    def expect(self, window: Window) -> None:
        self.expected.append(window)


def turn(place: Place, *, reading: tuple[Window, ...] = (FIRST, SECOND)) -> list[Window]:
    """Have SECOND take its turn while `reading` are being read; those that were expected by then."""
    lane, turns = Lane(place), Turns(place)
    lane._reading = list(reading)
    place.may = {SECOND}
    with lane.turn(SECOND, turns):
        pass
    return turns.expected


def test_a_window_whose_turn_it_is_takes_one_place() -> None:
    place = Place({SECOND})
    assert turn(place) == [SECOND]
    assert place.taken == 1


def test_a_window_that_waited_for_its_place_gives_it_back_if_others_have_read_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place({FIRST}, {SECOND})
    monkeypatch.setattr(threading.Condition, "wait", lambda *_: place.may.add(SECOND))
    assert turn(place) == [SECOND]
    assert place.taken == 2


def test_a_window_reads_on_where_no_other_may_either() -> None:
    assert turn(Place(set())) == [SECOND]
    assert turn(Place({THIRD})) == [SECOND]  # which is not being read


def test_a_window_that_waited_for_a_place_of_the_way_that_is_gone_takes_one_of_the_other() -> None:
    other = threading.BoundedSemaphore(1)

    class Gone(Place):
        def __enter__(self, blocking: bool = True, timeout: float | None = None) -> bool:
            lane.requests = other
            return super().__enter__()

    place = Gone({SECOND})
    lane, place.may = Lane(place), {SECOND}
    with lane.turn(SECOND, Turns(place)):
        assert not other.acquire(blocking=False)
    assert other.acquire(blocking=False)


def test_all_lanes_take_the_places_of_the_way_that_they_turn_to_and_are_counted_anew() -> None:
    lists, queries = Slots(2), Slots(3)
    lanes = Lanes(lists)
    lanes.of(7).counted(None).is_asked = True
    lanes.turn_to(queries)
    assert [lanes.of(project).requests for project in (7, 8)] == [queries.of(7), queries.of(8)]
    assert not lanes.of(7).counted(None).is_asked


def test_an_abandoned_lane_gives_no_turn() -> None:
    place = Place({SECOND})
    lane = Lane(place)
    lane.is_abandoned = True
    with pytest.raises(Skipped), lane.turn(SECOND, Turns(place)):
        pass
    assert place.taken == 0


def test_a_place_is_given_back_after_an_error() -> None:
    requests = threading.BoundedSemaphore(1)
    lane, turns = Lane(requests), Turns(Place())
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), lane.turn(SECOND, turns):
            timedelta(1) / 0
