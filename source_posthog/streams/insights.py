"""Insights, some of which are too heavy for the server, or broken."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.types import StreamSlice
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api.errors import Outage, PostHogError, Where, one_line
from source_posthog.exact.errors import Unanswered
from source_posthog.streams.lists import ListRetriever

logger = logging.getLogger("airbyte")


@dataclass
class InsightsRetriever(ListRetriever):
    """Reads insights, also those that fail alone: without their results.

    One insight with a heavy or broken query makes the whole page fail, so pages shrink as those of any list, down to
    that insight; it is then read with `basic=true`.
    """

    def _one_row(self, stream_slice: StreamSlice | None, params: Mapping[str, Any]) -> requests.Response | None:
        """The insight that `params` ask for, without its result if need be.

        Raises PostHogError where it cannot be read even without its result.
        """
        try:
            return super()._one_row(stream_slice, params)
        except Unanswered as refused:
            reason = str(refused)
        except AirbyteTracedException as error:
            if isinstance(error, Outage) or error.failure_type == FailureType.config_error:
                raise
            reason = str(error)
        try:
            response = self.requester.send_request(
                stream_slice=stream_slice, request_params={**params, "basic": "true"}
            )
        except Unanswered as refused:
            raise PostHogError(
                f"the insight at offset {params.get('offset', 0)} cannot be read, even without its result: {refused}.",
                where=Where.of(self.name, stream_slice),
            ) from refused
        rows = self.sync.answers.rows(response) if response is not None and response.ok else []
        names = ", ".join(f"{row['id']} ({one_line(str(row.get('name') or row.get('derived_name')))})" for row in rows)
        logger.warning(f"Insight {names} was read without its result, which PostHog could not provide: {reason}")
        return response
