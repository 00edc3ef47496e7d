"""What is masked in all output: the API key, in every form in which it can be printed."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus

from airbyte_cdk.models import AirbyteCatalog, AirbyteMessage, Type
from airbyte_cdk.utils import airbyte_secrets_utils
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets, filter_secrets, update_secrets

# A key of PostHog has some 40 characters. To mask a few would star out the protocol's own words and numbers.
SHORTEST = 8

# How a string looks in JSON (of either kind), in Python's repr, in the repr of bytes, and in a URL.
_WAYS: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode(errors="surrogatepass"))[2:-1],
    lambda text: quote(text, errors="replace"),
    lambda text: quote(text, safe="", errors="replace"),
    lambda text: quote_plus(text, errors="replace"),
)


def forms(secret: str) -> list[str]:
    """`secret` and how it looks when printed in one of the ways, or in one within another; the longest first."""
    once = {secret, *(way(secret) for way in _WAYS)}
    return sorted(once | {way(form) for form in once for way in _WAYS}, key=len, reverse=True)


def mask(secrets: Iterable[str]) -> list[str]:
    """Mask `secrets` from here on, beside all that is masked already, and return all of them.

    The CDK keeps one list for the process, and its entrypoint replaces that list by the key of the configuration it
    runs with. Whoever masks what was returned once more after that loses no key of another source.
    """
    known: list[str] = getattr(airbyte_secrets_utils, "__SECRETS_FROM_CONFIG", [])
    if any(len(str(secret)) < SHORTEST for secret in known):
        update_secrets([secret for secret in known if len(str(secret)) >= SHORTEST])
        known = getattr(airbyte_secrets_utils, "__SECRETS_FROM_CONFIG", [])
    for secret in secrets:
        if len(secret) >= SHORTEST and secret not in known:
            add_to_secrets(secret)  # one by one: another thread may do the same at this moment
    return list(known)


def without_secrets(message: AirbyteMessage) -> AirbyteMessage:
    """Mask the API key in an error: PostHog, or a proxy, may have repeated it in an answer that the error quotes."""
    if message.type == Type.TRACE and message.trace and (error := message.trace.error):
        masked = replace(
            error,
            message=filter_secrets(error.message),
            internal_message=filter_secrets(error.internal_message or ""),
            stack_trace=filter_secrets(error.stack_trace or ""),
        )
        return replace(message, trace=replace(message.trace, error=masked))
    return message


def catalog_without_secrets(catalog: AirbyteCatalog) -> AirbyteCatalog:
    """Mask the API key in `catalog`: a column of a query can have it as its name."""
    return AirbyteCatalog(streams=[replace(one, **_masked(vars(one))) for one in catalog.streams])


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return filter_secrets(value)
    if isinstance(value, dict):
        return {_masked(name): _masked(inner) for name, inner in value.items()}
    return [_masked(one) for one in value] if isinstance(value, list) else value
