"""A configuration that cannot be used, as a value that carries the sentence which says why.

The CDK reads and configures before it looks at the command, and an exception there is a trace whatever the command.
But `check` must answer a bad configuration with a failed status. So a bad configuration is not refused where it is
read, but where it is used: by `check` with a status, by `discover` and `read` with an exception.
"""

from collections.abc import Mapping
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException


class Refused(dict[str, Any]):
    """A configuration that fits the spec, so that the CDK's own check of it passes, and that `accepted` refuses.

    Known by its class: a name in it could also stand in a user's configuration.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(api_key="no-key-was-accepted", start_date="2026-01-01T00:00:00Z")
        self.sentence = sentence


def accepted(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config`; raises AirbyteTracedException (config_error) where it is Refused."""
    if isinstance(config, Refused):
        raise AirbyteTracedException(message=config.sentence, failure_type=FailureType.config_error)
    return config
