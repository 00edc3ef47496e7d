"""The command `source-posthog spec|check|discover|read`."""

import sys

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.source import SourcePosthog


def run() -> None:
    """Run the connector on the command line's arguments.

    Exits with status 1 after an Airbyte trace message that says, in a sentence, what is wrong.
    """
    try:
        launch(SourcePosthog(), sys.argv[1:] or ["--help"])
    except AirbyteTracedException as error:
        error.emit_message()
        sys.exit(1)


if __name__ == "__main__":
    run()
