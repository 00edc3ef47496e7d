"""The queue between the workers and whoever reads."""

from queue import Full
from typing import Any

import pytest
from airbyte_cdk.sources.types import Record

from source_posthog.engine import LARGEST_QUEUE, LONGEST_QUEUE, Output

WIDE = "x" * 500_000
SMALL: dict[str, Any] = {"id": 1}


def fill(output: Output, data: dict[str, Any]) -> int:
    """Put records with `data` into `output` until it takes no more; how many it has taken."""
    for number in range(LONGEST_QUEUE + 1):
        try:
            output.put(Record(data, "events"), block=False)
        except Full:
            return number
    raise AssertionError("it takes everything")


@pytest.mark.parametrize(
    "large", [{"properties": {"text": WIDE}}, {"number": 2**70, "text": WIDE}, {"text": WIDE + "\ud83e"}]
)
def test_the_queue_is_bounded_by_bytes_of_any_record(large: dict[str, Any]) -> None:
    output = Output()
    taken = fill(output, large)
    assert LARGEST_QUEUE <= taken * len(WIDE) <= LARGEST_QUEUE + 2 * len(WIDE)


def test_the_queue_is_bounded_by_the_number_of_small_records() -> None:
    assert fill(Output(), SMALL) == LONGEST_QUEUE


def test_what_is_taken_out_makes_room() -> None:
    output = Output()
    taken = fill(output, {"text": WIDE})
    for _ in range(taken):
        assert output.get()
        assert fill(output, {"text": WIDE}) == 1
    for _ in range(taken):
        output.get()
    assert fill(output, SMALL) == LONGEST_QUEUE
