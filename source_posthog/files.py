"""Reads the files of the command line, and says in one sentence what is wrong with one."""

from collections.abc import Callable
from typing import TypeVar

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException

T = TypeVar("T")


def read_file(kind: str, reader: Callable[[str], T], path: str) -> T:
    """The content of the file at `path`; raises AirbyteTracedException that says in a sentence what is wrong."""
    try:
        return reader(path)
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        reason = "is not a text file"
    except ValueError as error:
        reason = "is not JSON" if "Could not read json" in str(error) else "does not have the shape of one"
    except Exception:  # the serializers of the protocol's messages raise errors of their own
        reason = "does not have the shape of one"
    raise AirbyteTracedException(
        message=f"The {kind} file {path} {reason}. Give the path of a JSON file with an Airbyte {kind}.",
        failure_type=FailureType.config_error,
    )
