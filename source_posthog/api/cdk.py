"""What the connector takes from the inside of the CDK, and what it mends there.

The CDK promises nothing of names that begin with an underscore. Each one that is used stands in PRIVATE_NAMES; a test
fails where the CDK no longer has it, takes other parameters, or another one is used.

The CDK parses each value that it interpolates with `ast.literal_eval`: the address, the parameters and the headers of
every request, in all workers. Python 3.11.0 to 3.11.7 (Debian 12 has 3.11.2) count how deep a literal is nested in one
place for all threads, so that now and then one of them fails with a SystemError, "AST constructor recursion depth
mismatch" (CPython's issue 106905), and its stream with it. There literals are parsed one at a time.
"""

import logging
import sys
from collections.abc import MutableMapping
from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, Any

from airbyte_cdk.sources.declarative.interpolation.jinja import JinjaInterpolation

_SOURCE = "sources.declarative.concurrent_declarative_source.ConcurrentDeclarativeSource"
_FACTORY = "sources.declarative.parsers.model_to_component_factory.ModelToComponentFactory"
_REQUESTER = "sources.declarative.requesters.http_requester.HttpRequester"

# By its name within airbyte_cdk: the parameters of what is called or overridden, None for an attribute; and why.
PRIVATE_NAMES: dict[str, tuple[tuple[str, ...] | None, str]] = {
    f"{_SOURCE}._stream_configs": (("manifest",), "the streams of the manifest, conditional ones included"),
    f"{_SOURCE}._dynamic_stream_configs": (
        ("manifest", "with_dynamic_stream_name"),
        "the streams of the user's queries",
    ),
    f"{_SOURCE}._migrate_and_transform_config": (("config_path", "config"), "the config as the manifest normalizes it"),
    f"{_SOURCE}._prepare_for_stream_build": ((), "the CDK builds all streams or none; a sync builds those it reads"),
    f"{_SOURCE}._create_streams": (("selected_configs", "all_configs"), "as above"),
    f"{_SOURCE}._config": (None, "the CDK reads it once, when a source is made; here it is that of the sync"),
    f"{_SOURCE}._config_for_validation": (None, "as above"),
    f"{_SOURCE}._connector_state_manager": (None, "as above, for the state"),
    f"{_SOURCE}._message_repository": (None, "one for each sync, so that syncs of one source do not mix"),
    f"{_SOURCE}._constructor": (None, "the factory, which is ours"),
    f"{_SOURCE}._slice_logger": (None, "what the CDK's own read hands to its engine"),
    f"{_FACTORY}._build_concurrent_cursor": (("model", "stream_slicer", "config"), "there are no custom cursors"),
    f"{_FACTORY}._create_component_from_model": (("model", "config", "kwargs"), "the parts of a policy of ours"),
    f"{_FACTORY}._connector_state_manager": (None, "for cursors of ours"),
    f"{_FACTORY}._message_repository": (None, "for cursors of ours"),
    f"{_REQUESTER}._http_client": (None, "the client, which is ours"),
    f"{_REQUESTER}._authenticator": (None, "for the client"),
    f"{_REQUESTER}._get_url": (
        ("path", "stream_state", "stream_slice", "next_page_token"),
        "another path of the same server",
    ),
    "sources.streams.call_rate.APIBudget._policies": (None, "the CDK takes a request from one policy only"),
    "sources.streams.http.http_client.HttpClient._session": (None, "where requests are sent"),
    "sources.streams.http.http_client.HttpClient._send": (
        ("request", "request_kwargs", "log_formatter", "exit_on_rate_limit"),
        "the CDK's waits cannot be ended, and it calls each a rate limit",
    ),
    "sources.declarative.interpolation.jinja.JinjaInterpolation._literal_eval": (
        ("result", "valid_types"),
        "see above",
    ),
    "utils.airbyte_secrets_utils.__SECRETS_FROM_CONFIG": (None, "masks of other sources in the process are kept"),
}

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:  # it takes no type before Python 3.11
    _Adapter = logging.LoggerAdapter


class Background(_Adapter):
    """A logger for the CDK's engine and its client: what they say of streams and requests, with tracebacks and whole
    answers, is for `--debug` alone, since the connector says it in sentences of its own."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})

    def log(self, level: int, msg: object, *arguments: Any, **options: Any) -> None:
        super().log(min(level, logging.DEBUG), msg, *arguments, **options)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


AFFECTED = (3, 11, 0) <= sys.version_info < (3, 11, 8)


def one_at_a_time() -> None:
    """Have the CDK wait for the literal of another thread; of the whole process, since what Python counts is too."""
    lock, parse = RLock(), JinjaInterpolation._literal_eval

    @wraps(parse)
    def parse_alone(interpolation: JinjaInterpolation, *arguments: Any) -> Any:
        with lock:
            return parse(interpolation, *arguments)

    setattr(JinjaInterpolation, "_literal_eval", parse_alone)  # noqa: B010  # mypy refuses an assignment
