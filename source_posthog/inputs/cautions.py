"""What is valid and probably not meant: said in a warning each, before anything is read."""

import ipaddress
import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from airbyte_cdk.models import ConfiguredAirbyteCatalog, SyncMode

from source_posthog.exact.events.ledger import instants_in
from source_posthog.exact.events.names import FILTER, Names, names_in
from source_posthog.exact.instants import instant
from source_posthog.inputs.states import State, named_in, taken

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


def warn_of_catalog(
    catalog: ConfiguredAirbyteCatalog, cursors: Mapping[str, str], config: Mapping[str, Any], logger: logging.Logger
) -> None:
    """Warn of what `catalog` asks for that there is not, and say which streams that `config` names are not in it.

    `cursors`: the cursor of each stream that is read, "" for one without.
    """
    queries = {query["name"] for query in config.get("queries", [])}
    if not catalog.streams:
        logger.warning("The catalog has no streams, so nothing is read. `source-posthog catalog` prints one of all.")
    for one in catalog.streams:
        name, wanted = one.stream.name, ".".join(one.cursor_field or [])
        if one.sync_mode != SyncMode.incremental or name not in cursors:
            continue
        if not cursors[name]:
            why = "since its query has no `cursor_field`" if name in queries else "as the catalog asks"
            logger.warning(f"Stream {name} cannot be read incrementally, {why}: it is read in full.")
        elif wanted not in ("", cursors[name]):
            logger.warning(
                f"Stream {name} is read by its own cursor, `{cursors[name]}`: `{wanted}`, which the catalog has as its "
                "`cursor_field`, has no effect."
            )
    if left_out := sorted({*queries, *config.get("extra_streams", [])} - {one.stream.name for one in catalog.streams}):
        logger.info(
            f"Streams of the configuration that are not in the catalog are not read: {_some_of(left_out)}. "
            "`source-posthog catalog --config config.json` prints a catalog with them."
        )


def warn_of_state(
    state: State,
    streams: Collection[str],
    modes: Mapping[str, SyncMode],
    names: Names,
    now: datetime,
    logger: logging.Logger,
) -> None:
    """Warn of what of `state` is not taken, which for one is that of streams that do not exist, of streams that are
    read from the beginning although there is a state, and of what lies after `now` in that of events.

    `modes`: how each stream that has a cursor is read. `names`: which events are wanted.
    """
    states, ignored = taken(state)
    by_name = {one.stream.stream_descriptor.name: vars(one.stream.stream_state) for one in states if one.stream}
    ignored += [f"stream {name}, which does not exist" for name in by_name if name not in streams]
    if ignored:
        logger.warning(f"Parts of the state mean nothing to this sync and are ignored: {_some_of(ignored)}.")
    if state:
        _warn_of_first_syncs(by_name, named_in(state), bool(ignored), modes, logger)
    if modes.get("events") == SyncMode.incremental:
        events = by_name.get("events", {})
        _warn_of_the_future(events, now, logger)
        _warn_of_new_names(names, names_in(events.get(FILTER)), logger)


def _warn_of_first_syncs(
    found: Collection[str], named: Collection[str], is_odd: bool, modes: Mapping[str, SyncMode], logger: logging.Logger
) -> None:
    """Say which streams are read from the beginning, although there is a state: of those in `named`, it has entries of
    those that were `found`.

    To be without an entry beside other streams, or what `is_odd`, may be a mistake. To be empty is common: so a sync
    writes it that found nothing, and so a connection hands it to its first sync.
    """
    for name in (name for name in found if modes.get(name) == SyncMode.full_refresh):
        logger.info(f"The state of stream {name} is not used, since the catalog has `sync_mode` full_refresh.")
    for name in (name for name, mode in modes.items() if mode == SyncMode.incremental and name not in found):
        if name not in named and (named or is_odd):
            logger.warning(f"The state has no entry for stream {name}, so this sync reads it from the beginning.")
        else:
            logger.info(f"The state of stream {name} is empty, so this sync reads it from the beginning.")


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


def _warn_of_new_names(names: Names, before: Names, logger: logging.Logger) -> None:
    """Warn of those of `names` that were not wanted `before`; without a state, all were."""
    added = names.without(before)
    if not added.are_none:
        logger.warning(
            "Stream events: `events_include` or `events_exclude` has changed. Of the names that were left out until "
            f"now ({added}), earlier events are not read. To read these too, clear the stream, or read those names in "
            "a connection of its own, with `start_date`."
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
