"""How long PostHog keeps a project's events, which is said where start_date lies before that.

On its cloud, events that are older than the account's plan allows are in no answer, counts included, as if they had
never been there (docs/posthog-server.md).
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pendulum
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.requester import PostHogRequester
from source_posthog.exact.errors import Unanswered
from source_posthog.exact.instants import instant

logger = logging.getLogger("airbyte")

NEVER_LESS = 11  # months; PostHog's shortest retention is one of a year
LONGEST = 1200  # months; more is no retention


@dataclass
class Retention:
    """Warns of events that no longer exist, once a project.

    Attributes:
        requester: asks for a project by itself: PostHog's list of them does not say how long it keeps their events.
        start_date: of the configuration.
    """

    requester: PostHogRequester
    start_date: str
    _asked: set[Any] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self, project_id: Any) -> None:
        """Warn of `project_id` if need be. What PostHog does not say, or refuses to, is worth no failure."""
        present = self.requester.sync.clock.present()
        with self._lock:
            if project_id in self._asked or instant(self.start_date) >= _before(present, NEVER_LESS):
                return
            self._asked.add(project_id)
        try:
            kept_from = _kept_from(self._project(project_id), present)
        except (AirbyteTracedException, Unanswered) as error:
            logger.info(f"Project {project_id}: could not find out how long PostHog keeps its events ({error})")
            return
        if kept_from and instant(self.start_date) < kept_from:
            logger.warning(
                f"Project {project_id}: `start_date` ({self.start_date}) lies before the events that PostHog keeps: "
                f"events before {kept_from:%Y-%m-%d} no longer exist in PostHog."
            )

    def _project(self, project_id: Any) -> Mapping[str, Any]:
        known = self.requester.sync.project(project_id)
        if "events_retention_enforced" in known:  # of a project that was read by itself anyway
            return known
        stream_slice = StreamSlice(partition={"project_id": project_id}, cursor_slice={})
        response = self.requester.send_request(stream_slice=stream_slice)
        return self.requester.sync.answers.body(response) if response is not None and response.ok else {}


def _kept_from(project: Mapping[str, Any], present: datetime) -> datetime | None:
    """From when on PostHog has the events of `project`; None where it keeps all."""
    months = project.get("event_retention_months")
    is_enforced = project.get("events_retention_enforced") is True
    return _before(present, months) if is_enforced and type(months) is int and 0 < months <= LONGEST else None


def _before(present: datetime, months: int) -> datetime:
    return datetime.fromisoformat(pendulum.instance(present).subtract(months=months).isoformat())
