"""Says in one sentence what is wrong with a configuration, and where."""

from collections.abc import Mapping
from typing import Any

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException
from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from source_posthog.events.instants import instant

_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time", raises=ValueError)(lambda text: not isinstance(text, str) or bool(instant(text)))


def require_valid(config: Any, specification: Mapping[str, Any]) -> None:
    """Raise AirbyteTracedException (config_error) unless `config` fits the JSON schema `specification`.

    The message names every option that is wrong and what it must be. It shows no value: a password can stand in a URL.
    """
    errors = sorted(Draft7Validator(specification, format_checker=_FORMATS).iter_errors(config), key=_option)
    if errors:
        raise AirbyteTracedException(
            message=" ".join(dict.fromkeys(_sentence(error, specification) for error in errors)),
            internal_message=f"config does not fit the spec: {', '.join(_option(error) for error in errors)}",
            failure_type=FailureType.config_error,
        )


def _option(error: ValidationError) -> str:
    """The name of the option that `error` is about; "" for the configuration as a whole."""
    if error.validator == "required":
        return next(str(name) for name in error.validator_value if name not in error.instance)
    return str(error.absolute_path[0]) if error.absolute_path else ""


def _sentence(error: ValidationError, specification: Mapping[str, Any]) -> str:
    option = _option(error)
    if not option:
        return "The configuration must be a JSON object with the connector's options."
    schema = specification["properties"][option]
    if error.validator == "required":
        return f"The option `{option}` is missing: set it to {_rule(schema)}."
    return f"The option `{option}` must be {_rule(schema)}."


def _rule(schema: Mapping[str, Any]) -> str:
    """What a value must be, in words: the spec's own `pattern_descriptor`, else its type and bounds."""
    if "pattern_descriptor" in schema:
        return str(schema["pattern_descriptor"])
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return {"array": "a list of whole numbers", "string": "a text"}[schema["type"]]
