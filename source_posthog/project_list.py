"""The list of projects, read once a sync."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException

Row = Mapping[str, Any]


class ProjectList:
    """The projects that a sync covers, for all of its streams: whoever needs them first has them read.

    A failure is not remembered: it is raised to whoever had them read, and the next one who needs them tries again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[Row] | None = None

    def row(self, project: Any) -> Row:
        """The row of `project`, as it was read; empty where it was not."""
        with self._lock:
            return next((row for row in self._rows or [] if row["id"] == project), {})

    def rows(self, ask: Callable[[], Iterable[Row]]) -> list[Row]:
        """The projects; `ask` reads them from PostHog, where nobody has done so yet.

        Raises what `ask` raises, and AirbyteTracedException where PostHog gives a project twice: its list has no order
        of its own, so another project may then be on no page.
        """
        with self._lock:
            if self._rows is None:
                rows = list(ask())
                if len({row["id"] for row in rows}) < len(rows):
                    raise AirbyteTracedException(
                        message="PostHog's list of projects changed its order while it was read, so a project may be "
                        "missing. Run the sync again, or name the projects in `project_ids`.",
                        failure_type=FailureType.transient_error,
                    )
                self._rows = rows
            return self._rows
