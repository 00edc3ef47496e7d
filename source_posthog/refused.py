"""A configuration that cannot be used, as a value that carries the sentence which says why.

The CDK reads and configures before it looks at the command, and an exception there is a trace whatever the command.
But `check` must answer a bad configuration with a failed status. So a bad configuration is not refused where it is
read, but where it is used: by `check` with a status, by `discover` and `read` with an exception.
"""

from collections.abc import Mapping
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException

_SENTENCE = "_refused"


def refused(sentence: str) -> dict[str, Any]:
    """A configuration that fits the spec, so that the CDK's own check of it passes, and that `accepted` refuses."""
    return {"api_key": "no-key-was-accepted", "start_date": "2026-01-01T00:00:00Z", _SENTENCE: sentence}


def accepted(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config`; raises AirbyteTracedException (config_error) where it was made by `refused`."""
    if _SENTENCE in config:
        raise AirbyteTracedException(message=config[_SENTENCE], failure_type=FailureType.config_error)
    return config
