"""What is valid and probably not meant: said in a warning each, before anything is read."""

import ipaddress
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from source_posthog.exact.events.ledger import instants_in
from source_posthog.exact.instants import instant
from source_posthog.inputs.states import State, taken

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
        logger.warning(f"Parts of the state mean nothing to this sync and are ignored: {_some_of(ignored)}.")
    _warn_of_the_future(by_name.get("events", {}), now, logger)


def _warn_of_the_future(entries: Mapping[str, Any], now: datetime, logger: logging.Logger) -> None:
    """Warn of projects whose events are not read up to their timestamp, or whose late events are looked for anew."""
    try:
        ahead = {path: text for path, text in instants_in(entries, "timestamp").items() if _is_after(text, now)}
    except ValueError:
        return  # whoever reads the state says so
    if timestamps := {path: text for path, text in ahead.items() if path[-1] == "timestamp" and "before" not in path}:
        projects = [path[0] for path in timestamps]
        whose = "all projects" if ("timestamp",) in ahead else f"project {_some_of(projects)}"
        logger.warning(
            f"The state of {whose} is in the future ({next(iter(timestamps.values()))}): no events are read until "
            "then. Correct the state, or clear the stream."
        )
    if arrivals := {path[0]: text for path, text in ahead.items() if path[1:] == ("arrived",)}:
        logger.warning(
            f"The state of project {_some_of(list(arrivals))} is in the future (`arrived` is "
            f"{next(iter(arrivals.values()))}): it does not say when the last sync began, so all events that arrived "
            "after the state's timestamp are read again."
        )


def _is_after(timestamp: Any, now: datetime) -> bool:
    try:
        return instant(timestamp) > now
    except (TypeError, ValueError):
        return False  # whoever reads the state says so


def _some_of(names: list[str]) -> str:
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
