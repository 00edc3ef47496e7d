"""What a configuration means, and in one sentence what is wrong with one, and where."""

import os
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils import AirbyteTracedException
from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from source_posthog.exact.events.names import EXCLUDE, INCLUDE, names_fault
from source_posthog.exact.instants import EARLIEST, instant, iso
from source_posthog.exact.queries.definitions import queries_fault
from source_posthog.inputs.dates import date_fault, utc_date

_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time", raises=ValueError)(lambda text: not isinstance(text, str) or bool(instant(text)))

KEY_VARIABLE = "POSTHOG_API_KEY"  # of the environment: the API key of a configuration that has none

MOST_CONFIG_LEVELS = 100  # of JSON within JSON. Many libraries give up, with a traceback, at some hundreds.


def normalized(config: Any, required: Collection[str] = ()) -> Any:
    """`config` as it is meant: no white space around a string, 3 for 3.0, dates in UTC, a start_date that PostHog can
    store, and a list for a query's key of one column. An option that is null or "" is one that is not there, where it
    is not `required`; so is a field of a query that is null.

    Names of events stay as they are.

    Names with an underscore in front are not the user's: those that the platform adds, and switches of the CDK's own
    (`_page_size`, `__injected_components_py`), which no configuration may set. They are taken out.

    What is no object, or deeper than MOST_CONFIG_LEVELS, stays as it is.
    """
    if not isinstance(config, Mapping) or is_deep(config):
        return config
    tidied = {
        name: value if name in (INCLUDE, EXCLUDE) else _tidied(value)
        for name, value in config.items()
        if not str(name).startswith("_")
    }
    plain = {name: value for name, value in tidied.items() if name in required or (value is not None and value != "")}
    for name in ("start_date", "end_date"):
        if isinstance(plain.get(name), str):
            plain[name] = utc_date(plain[name])
    if isinstance(plain.get("queries"), list):
        plain["queries"] = [_query(query) for query in plain["queries"]]
    try:
        if instant(plain["start_date"]) < EARLIEST:
            plain["start_date"] = iso(EARLIEST).replace(".000000", "")
    except (KeyError, TypeError, ValueError):
        pass  # `fault` says so
    return plain


def _tidied(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _tidied(inner) for name, inner in value.items()}
    return [_tidied(one) for one in value] if isinstance(value, list) else value


def _query(query: Any) -> Any:
    """An entry of `queries`, without fields that are null, its key a list."""
    if not isinstance(query, Mapping):
        return query
    fields = {name: value for name, value in query.items() if value is not None}
    key = fields.get("primary_key")
    return {**fields, "primary_key": [key]} if isinstance(key, str) and key else fields


def is_deep(value: Any) -> bool:
    """Whether `value`, decoded JSON, has more than MOST_CONFIG_LEVELS levels."""
    layer = [value]
    for _ in range(MOST_CONFIG_LEVELS):
        layer = [inner for one in layer for inner in _inside(one)]
        if not layer:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


def fault(config: Any, specification: Mapping[str, Any], streams: Collection[str] = ()) -> str:
    """What is wrong with `config`, a sentence for each option that does not fit the JSON schema `specification`.

    `streams`: the names that no query of the user's own can have.

    "" where nothing is. No value is shown, since a password can stand in a URL, but a date, and the server of a URL
    without a password.
    """
    if is_deep(config):
        levels = f"more than {MOST_CONFIG_LEVELS} levels"
        return f"The configuration has {levels}: give a JSON object with the connector's options."
    sentences: dict[str, str] = {}
    for error in Draft7Validator(specification, format_checker=_FORMATS).iter_errors(config):
        for option in _options(error):
            sentences.setdefault(option, _option_sentence(option, error, specification))
    if isinstance(config, Mapping) and str(config.get("api_key")).startswith("phc_"):
        sentences["api_key"] = (
            "The option `api_key` is a project API key (phc_...), which cannot read data: set it to a personal API key "
            "(phx_...), which you create in PostHog under Settings, Personal API keys."
        )
    are_dates = isinstance(config, Mapping) and not sentences.keys() & {"start_date", "end_date"}
    if are_dates and "end_date" in config and instant(config["end_date"]) <= instant(config["start_date"]):
        sentences["end_date"] = "The option `end_date` must be later than `start_date`, or omitted."
    if isinstance(config, Mapping) and isinstance(base_url := config.get("base_url"), str):
        root, project = meant(base_url)
        if root:
            sentences["base_url"] = f"The option `base_url` must be {root}, without anything after it." + (
                f" To read project {project} only, set `project_ids` to [{project}]." if project else ""
            )
        elif "base_url" not in sentences and not is_reachable(base_url):
            rule = _rule(specification["properties"]["base_url"])
            sentences["base_url"] = f"The option `base_url` must be {rule}. Its host or port is not valid."
    extra = specification["properties"]["extra_streams"]["items"]["enum"]
    if "extra_streams" in sentences and (sentence := _extra_streams_fault(config["extra_streams"], extra, streams)):
        sentences["extra_streams"] = sentence
    if isinstance(config, Mapping) and "queries" in config:
        detailed = queries_fault(config["queries"], {*streams, *extra})  # more than a schema can say
        sentences["queries"] = detailed or sentences.get("queries", "")
    for option in (INCLUDE, EXCLUDE):
        if isinstance(config, Mapping) and option in config and option not in sentences:
            sentences[option] = names_fault(config, option)
    return " ".join(sentences[option] for option in sorted(sentences) if sentences[option])


def _options(error: ValidationError) -> list[str]:
    """The names of the options that `error` is about; [""] for the configuration as a whole."""
    if error.absolute_path:
        return [str(error.absolute_path[0])]
    if error.validator == "required":
        return [str(name) for name in error.validator_value if name not in error.instance]
    return [""]


def _option_sentence(option: str, error: ValidationError, specification: Mapping[str, Any]) -> str:
    if not option:
        return "The configuration must be a JSON object with the connector's options."
    schema = specification["properties"][option]
    if error.validator == "required" and not error.absolute_path:
        instead = f", or set the environment variable {KEY_VARIABLE}" if option == "api_key" else ""
        return f"The option `{option}` is missing: set it to {_rule(schema)}{instead}."
    if error.validator == "uniqueItems":
        return f"The option `{option}` has duplicates: list each value once."
    shown = date_fault(error.instance) if "format" in schema and isinstance(error.instance, str) else ""
    return f"The option `{option}` must be {_rule(schema)}{shown and f'; {shown}'}."


def _extra_streams_fault(given: Any, known: Collection[str], built_in: Collection[str]) -> str:
    """Which of the names `given` is no extra stream, and the nearest one that is; "" where it is not the names."""
    if not isinstance(given, list):
        return ""
    for place, name in enumerate(given, start=1):
        if name in known:
            continue
        if name in built_in:
            return f"Entry {place} of `extra_streams` is one of the seven streams, which are always there: remove it."
        near = get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
        advice = f"Did you mean `{near[0]}`?" if near else f"They are {', '.join(known)}."
        return f"Entry {place} of `extra_streams` is not the name of an extra stream. {advice}"
    return ""


def _rule(schema: Mapping[str, Any]) -> str:
    """What a value must be, in words: the spec's own `pattern_descriptor`, else its values, or its type and bounds."""
    if "pattern_descriptor" in schema:
        return str(schema["pattern_descriptor"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "minimum" in schema:
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if schema.get("items", {}).get("type") == "string":
        return "a list of names"
    if schema.get("items", {}).get("type") == "integer":
        return "a list of positive numbers"
    return {"array": "a list", "string": "a string", "object": "an object"}.get(schema["type"], str(schema["type"]))


# What comes after PostHog's own address in a browser, and in the addresses of its API. A number in it is a project's.
_PAGE = re.compile(
    r"/project/(\d+)(?=/|$)"
    r"|/api(?:/?$|/(?:projects|environments)(?:/(\d+))?(?=/|$))"
    r"|/(?:settings|organization|login|signup)(?=/|$)"
)


def meant(base_url: str) -> tuple[str, str]:
    """The address of PostHog itself, where `base_url` is one of a page in it, and the project's number, if it has one.

    "https://us.posthog.com/project/101/insights" -> ("https://us.posthog.com", "101")

    Empty strings where `base_url` is no address of a page, or where it cannot be shown since a password stands in it.
    A server of one's own may be under a path, PostHog's cloud is not.
    """
    try:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
    except ValueError:
        return "", ""
    if parts.scheme not in ("http", "https") or "@" in base_url or not is_reachable(f"{parts.scheme}://{parts.netloc}"):
        return "", ""
    page = _PAGE.search(parts.path)
    path = "" if host.endswith(".posthog.com") else parts.path[: page.start()] if page else parts.path
    root = f"{parts.scheme}://{parts.netloc}{path}".rstrip("/")
    if root.lower() == base_url.rstrip("/").lower():
        return "", ""
    return root, next(filter(None, page.groups()), "") if page else ""


def is_reachable(base_url: str) -> bool:
    """Whether host and port of `base_url` can exist; nobody is asked."""
    try:
        host = urlsplit(requests.Request("GET", base_url).prepare().url or "").hostname or ""
        host.encode("idna")  # as the socket does: no label is empty or has more than 63 characters
    except ValueError:  # also requests' InvalidURL, and UnicodeError
        return False
    return "\\" not in base_url and bool(re.fullmatch(r"[\w.-]+|[^/]*:[^/]*", host))


class RefusedConfig(dict[str, Any]):
    """A configuration that fits the spec, so that the CDK's own check of it passes, and that `accepted` refuses.

    Known by its class: a name in it could also stand in a user's configuration.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(api_key="no-key-was-accepted", start_date="2026-01-01T00:00:00Z")
        self.sentence = sentence


class ValidConfig(dict[str, Any]):
    """A configuration that was found valid, as it is meant; known by its class.

    Attributes:
        has_key_of_environment: whether the API key is that of the environment.
    """

    has_key_of_environment = False


def key_of_environment(config: Any) -> str:
    """The API key in the environment, where `config`, not yet `validated`, has none; else ""."""
    if not isinstance(config, Mapping) or isinstance(config, (RefusedConfig, ValidConfig)):
        return ""
    return "" if normalized({"api_key": config.get("api_key")}) else os.environ.get(KEY_VARIABLE, "").strip()


def validated(
    config: Any, specification: Mapping[str, Any], streams: Collection[str], key: str = ""
) -> RefusedConfig | ValidConfig:
    """`config` as it is meant, or what says why it is refused; see `fault`. Looked at once: what this gave stays.

    `key`: the `key_of_environment`.
    """
    if isinstance(config, (RefusedConfig, ValidConfig)):
        return config
    config = normalized({**config, "api_key": key} if key else config, specification["required"])
    if sentence := fault(config, specification, streams):
        name = f"environment variable {KEY_VARIABLE}" if key else "option `api_key`"
        return RefusedConfig(sentence.replace("option `api_key`", name))
    valid = ValidConfig(config)
    valid.has_key_of_environment = bool(key)
    return valid


def accepted(config: RefusedConfig | ValidConfig) -> ValidConfig:
    """`config`; raises AirbyteTracedException (config_error) where it is RefusedConfig."""
    if isinstance(config, RefusedConfig):
        raise AirbyteTracedException(message=config.sentence, failure_type=FailureType.config_error)
    return config
