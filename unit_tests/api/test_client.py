"""Bodies that come slowly, and bodies that drip."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from source_posthog.api.client import BODY_GRACE, CHUNK, LEAST_RATE, TimedBody
from source_posthog.api.errors import SlowBody


def body(pieces: Iterator[tuple[float, int]], monkeypatch: pytest.MonkeyPatch) -> TimedBody:
    """A body of which each piece comes after some seconds and has some bytes."""
    now = 0.0

    def read1(_: int, decode_content: bool | None) -> bytes:
        nonlocal now
        seconds, size = next(pieces, (0.0, 0))
        now += seconds
        return b"x" * size

    monkeypatch.setattr("source_posthog.api.client.monotonic", lambda: now)
    return TimedBody(SimpleNamespace(read1=read1, close=lambda: None))


@pytest.mark.parametrize(
    ("seconds", "size", "pieces"),
    [(0.06, CHUNK, 1600), (10.0, CHUNK, 1600), (BODY_GRACE - 1, 1, 1), (1.0, LEAST_RATE, 10_000)],
    ids=["100 MB in two minutes", "100 MB in four hours", "a byte after a long time", "at the least rate"],
)
def test_a_large_page_on_a_slow_line_passes(
    seconds: float, size: int, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = body(iter([(seconds, size)] * pieces), monkeypatch)
    assert sum(map(len, slow.stream(1))) == size * pieces


def test_a_body_that_drips_ends_soon_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    dripping = body(iter([(1.0, 1)] * 1000), monkeypatch)
    received: list[bytes] = []
    with pytest.raises(SlowBody):
        received.extend(dripping.stream(1))
    assert BODY_GRACE <= len(received) <= BODY_GRACE + 2
