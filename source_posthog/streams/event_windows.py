"""The windows of events as the manifest declares them, evaluated for a configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from airbyte_cdk.sources.declarative.datetime.datetime_parser import DatetimeParser
from airbyte_cdk.sources.declarative.interpolation import InterpolatedString
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource

from source_posthog.exact.events.windows import Plan
from source_posthog.exact.instants import MICROSECOND, duration, instant

MANIFEST = Path(__file__).parents[1] / "manifest.yaml"


@dataclass(frozen=True)
class DeclaredWindows:
    """`incremental_sync` of a stream, a DatetimeBasedCursor in the manifest's own words.

    Attributes:
        incremental_sync: as the manifest has it.
        config: with a value for each option that has a default.
    """

    incremental_sync: Mapping[str, Any]
    config: Mapping[str, Any]

    @property
    def cursor_field(self) -> str:
        return str(self.incremental_sync["cursor_field"])

    @property
    def step(self) -> timedelta:
        return self._duration("step")

    def plan(self, present: datetime) -> Plan:
        """The windows of a sync that begins at `present`; none ends later."""
        start, end = self._instant("start_datetime"), self._instant("end_datetime")
        granularity = self._duration("cursor_granularity")
        if granularity != MICROSECOND:
            raise ValueError(f"PostHog's bounds are exclusive at a microsecond; cursor_granularity is {granularity}")
        end = min(end, present) if end else present
        return Plan(start, end, present, self.step, self._duration("lookback_window"))

    def write(self, at: datetime) -> str:
        """`at` as the bound of a window."""
        return DatetimeParser().format(at.astimezone(timezone.utc), str(self.incremental_sync["datetime_format"]))

    def duration(self, declared: str) -> timedelta:
        """The ISO 8601 duration that `declared` is for the configuration; zero if it is empty."""
        return declared_duration(declared, self.config)

    def _instant(self, name: str) -> datetime | None:
        declared = self.incremental_sync.get(name)
        text = str(declared["datetime"] if isinstance(declared, Mapping) else declared or "")
        evaluated = InterpolatedString.create(text, parameters={}).eval(self.config) if text else None
        return instant(evaluated) if evaluated else None

    def _duration(self, name: str) -> timedelta:
        return self.duration(str(self.incremental_sync.get(name) or ""))


def declared_duration(declared: str, config: Mapping[str, Any]) -> timedelta:
    """The ISO 8601 duration that `declared`, a string of the manifest, is for `config`; zero if it is empty."""
    return duration(str(InterpolatedString.create(declared, parameters={}).eval(config)) if declared else "")


def with_defaults(config: Mapping[str, Any], specification: Mapping[str, Any]) -> dict[str, Any]:
    """`config`, and the default of each option of the JSON schema `specification` that it does not name."""
    defaults = {name: option["default"] for name, option in specification["properties"].items() if "default" in option}
    return {**defaults, **config}


def declared_windows(config: Mapping[str, Any]) -> DeclaredWindows:
    """The windows of the connector's own manifest, for a slicer that is built by hand."""
    manifest = _manifest()
    return DeclaredWindows(
        manifest["definitions"]["streams"]["events"]["incremental_sync"],
        with_defaults(config, manifest["spec"]["connection_specification"]),
    )


@cache
def _manifest() -> Mapping[str, Any]:
    return YamlDeclarativeSource(path_to_yaml=str(MANIFEST)).resolved_manifest
