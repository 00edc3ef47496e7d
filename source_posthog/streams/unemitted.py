"""What was read and cannot be emitted: told at once, and as an error when all else is read."""

import logging
from dataclasses import dataclass, field
from typing import Any

from airbyte_cdk.models import FailureType

from source_posthog.api.errors import PostHogError, Where
from source_posthog.api.exact_json import MOST_LEVELS
from source_posthog.api.progress import SyncLog

logger = logging.getLogger("airbyte")


@dataclass
class Unemitted:
    """The records of one slice that are nested too deeply to be emitted.

    They are in the way of nothing: all others are emitted, and the state moves. So each is named before the state
    that covers it, and the stream fails in the end.
    """

    where: Where
    log: SyncLog
    ids: list[Any] = field(default_factory=list)

    def add(self, id: Any) -> None:
        self.ids.append(id)
        self.log.not_emitted(self.where.stream)
        logger.error(f"{self.where}: the record {id} is nested more than {MOST_LEVELS} levels deep and was not emitted")

    def require_none(self) -> None:
        """Raise PostHogError if there was one."""
        if self.ids:
            raise PostHogError(
                f"{len(self.ids)} records were not emitted, since they are nested more than {MOST_LEVELS} levels deep, "
                f"which Airbyte cannot write; the first is {self.ids[0]}. All others were emitted. Change them in "
                "PostHog if you can; events are not read again by the next sync.",
                FailureType.system_error,
                self.where,
            )
