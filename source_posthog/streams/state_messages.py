"""The state of a stream that has an entry for each project, and when it is emitted."""

from collections.abc import Mapping
from typing import Any

from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.message import MessageRepository

# A state message holds all projects, so states of an account with many small ones would be larger than its records.
# One is emitted when so many records came for each of its entries: an entry has up to 150 bytes, a record 300 or more,
# so that states are an eighth of the records at the most, and the last one.
ROWS_TO_AN_ENTRY = 4


class StateMessages:
    """The state messages of one stream. Not safe for threads by itself: its owner has a lock, around the state too, so
    that a newer state is never emitted before an older one.

    Attributes:
        given: the state that the sync begins from.
    """

    def __init__(self, stream: str, manager: ConnectorStateManager, repository: MessageRepository) -> None:
        self.given: Mapping[str, Any] = manager.get_stream_state(stream, None)
        self._stream, self._manager, self._repository = stream, manager, repository
        self._rows = 0

    def add(self, rows: int) -> None:
        """So many more rows are emitted."""
        self._rows += rows

    def is_due(self, entries: int) -> bool:
        """Whether enough rows came since the last message for one of so many entries."""
        return self._rows >= ROWS_TO_AN_ENTRY * entries

    def emit(self, state: Mapping[str, Any]) -> None:
        self._rows = 0
        self._manager.update_state_for_stream(self._stream, None, state)
        self._repository.emit_message(self._manager.create_state_message(self._stream, None))
