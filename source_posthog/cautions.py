"""What is valid and probably not meant: said in a warning each, before anything is read."""

import ipaddress
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from source_posthog.events.instants import instant
from source_posthog.states import State, taken

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


def warn_of_state(state: State, streams: Collection[str], now: datetime, logger: logging.Logger) -> None:
    """Warn of what of `state` is not taken, which for one is that of streams that do not exist, and of what lies after
    `now` in that of events."""
    states, ignored = taken(state)
    by_name = {one.stream.stream_descriptor.name: vars(one.stream.stream_state) for one in states if one.stream}
    ignored += [f"stream {name}, which does not exist" for name in by_name if name not in streams]
    if ignored:
        logger.warning(f"Parts of the state mean nothing to this sync and are ignored: {_named(ignored)}.")
    _warn_of_the_future(by_name.get("events", {}), now, logger)


def _warn_of_the_future(entries: Mapping[str, Any], now: datetime, logger: logging.Logger) -> None:
    """Warn of projects whose events are not read up to their timestamp, or whose late events are looked for anew."""
    timestamps = {
        key: entry.get("timestamp") if isinstance(entry, Mapping) else entry for key, entry in entries.items()
    }
    if ahead := [key for key, timestamp in timestamps.items() if _is_after(timestamp, now)]:
        whose = "all projects" if "timestamp" in ahead else f"project {_named(ahead)}"
        logger.warning(
            f"The state of {whose} is in the future ({timestamps[ahead[0]]}): no events are read until then. "
            "Correct the state, or clear the stream."
        )
    arrivals = {key: entry.get("arrived") for key, entry in entries.items() if isinstance(entry, Mapping)}
    if ahead := [key for key, arrived in arrivals.items() if _is_after(arrived, now)]:
        logger.warning(
            f"The state of project {_named(ahead)} is in the future (`arrived` is {arrivals[ahead[0]]}): it does not "
            "say when the last sync began, so all events that arrived after the state's timestamp are read again."
        )


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
