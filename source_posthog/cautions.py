"""What is valid and probably not meant: said in a warning each, before anything is read."""

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from airbyte_cdk.models import AirbyteStateMessage

from source_posthog.events.instants import instant

MOST_NAMES = 10


def warn_of_config(
    config: Mapping[str, Any], specification: Mapping[str, Any], now: datetime, logger: logging.Logger
) -> None:
    """Warn of options that do not exist, of a start_date after `now`, and of a key that would travel in clear."""
    warn_of_unknown_options(config, specification["properties"], logger)
    if instant(config["start_date"]) > now:
        logger.warning(f"`start_date` is in the future ({config['start_date']}): no events are read until then.")
    warn_of_plain_http(config["base_url"], logger)


def warn_of_unknown_options(config: Iterable[str], known: Iterable[str], logger: logging.Logger) -> None:
    """Warn of each name in `config` that is not in `known`."""
    names = list(known)
    for name in config:
        if name in names:
            continue
        near = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
        advice = f"Did you mean `{near[0]}`?" if near else f"The options are {', '.join(names)}."
        logger.warning(f"There is no option `{name}`, so it has no effect. {advice}")


def warn_of_future_state(state: Iterable[AirbyteStateMessage], now: datetime, logger: logging.Logger) -> None:
    """Warn of the projects whose state of events lies after `now`: their events up to there are not read."""
    for message in state:
        if message.stream and message.stream.stream_descriptor.name == "events" and message.stream.stream_state:
            entries = {key: _timestamp(entry) for key, entry in vars(message.stream.stream_state).items()}
            ahead = [key for key, timestamp in entries.items() if _is_after(timestamp, now)]
            if ahead:
                whose = "all projects" if "timestamp" in ahead else f"project {_named(ahead)}"
                logger.warning(
                    f"The state of {whose} is in the future ({entries[ahead[0]]}): no events are read until then. "
                    "Correct the state, or clear the stream."
                )


def _timestamp(entry: Any) -> Any:
    return entry.get("timestamp") if isinstance(entry, Mapping) else entry


def _is_after(timestamp: Any, now: datetime) -> bool:
    try:
        return instant(timestamp) > now
    except (TypeError, ValueError):
        return False  # whoever reads the state says so


def _named(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def warn_of_plain_http(base_url: str, logger: logging.Logger) -> None:
    """Warn where the key would cross the internet in clear."""
    parts = urlsplit(base_url)
    if parts.scheme == "http" and not _is_private(parts.hostname or ""):
        logger.warning(
            f"The API key is sent to {parts.hostname} without encryption, since `base_url` begins with http://. Use "
            "https:// if the server has it."
        )


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal")) or "." not in host
