"""Builds the components that the manifest names."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, cast

from airbyte_cdk.models import ConfiguredAirbyteCatalog, SyncMode
from airbyte_cdk.sources.declarative.models.declarative_component_schema import DatetimeBasedCursor, DeclarativeStream
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor
from airbyte_cdk.sources.types import Config

from source_posthog.api.client import MovingWindow
from source_posthog.api.sync import Sync
from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer
from source_posthog.streams.event_windows import DeclaredWindows
from source_posthog.streams.query_cursor import QueryCursor

# Fields of custom components of ours that are seldom needed, and of which there are many: a component has `make_...` in
# place of each, which makes it, once.
LATER = "response_filters", "instead"


class ComponentFactory(ModelToComponentFactory):
    """The CDK's factory, and four things that it cannot do.

    It hands `sync` to each custom component that has a field of this name. It lets a partition router of ours be the
    cursor of its stream: the CDK has custom partition routers, but no custom cursors. Its request budget leaves no
    threads behind. And what is LATER it makes when that is first needed.
    """

    def __init__(self, sync: Sync, configured_catalog: ConfiguredAirbyteCatalog | None = None, **options: Any) -> None:
        super().__init__(configured_catalog=configured_catalog, **options)
        self._sync = sync
        self._incremental = {
            one.stream.name
            for one in (configured_catalog.streams if configured_catalog else [])
            if one.sync_mode == SyncMode.incremental
        }

    def without_later(self, definition: Any, config: Config) -> Any:
        """`definition`, in which a function stands for each component that is made later.

        As streams are declared, before they are built: the CDK copies all that is in a definition.
        """
        if isinstance(definition, list):
            return [self.without_later(one, config) for one in definition]
        if not isinstance(definition, Mapping):
            return definition
        found = {name: self.without_later(value, config) for name, value in definition.items() if name not in LATER}
        for name in LATER:
            if later := definition.get(name):
                found[f"make_{name}"] = cache(partial(self._made, later, config))
        return found

    def create_custom_component(self, model: Any, config: Config, **kwargs: Any) -> Any:
        return super().create_custom_component(model, config, **{**kwargs, "sync": self._sync})

    def _made(self, definition: Any, config: Config) -> Any:
        if isinstance(definition, list):
            return [self._made(one, config) for one in definition]
        model_type = self.TYPE_NAME_TO_MODEL[definition["type"]]
        return self.create_component(model_type, self.without_later(definition, config), config)

    def create_moving_window_call_rate_policy(self, model: Any, config: Config, **kwargs: Any) -> Any:
        """A policy of ours, in place of the CDK's."""
        rates = [self._create_component_from_model(model=rate, config=config) for rate in model.rates]
        return MovingWindow(
            rates, [self._create_component_from_model(model=matcher, config=config) for matcher in model.matchers]
        )

    def _build_concurrent_cursor(
        self, model: DeclarativeStream, stream_slicer: PartitionRouter | None, config: Config
    ) -> Cursor:
        if isinstance(stream_slicer, EventsCartesianProductStreamSlicer):
            declared = DeclaredWindows(cast(DatetimeBasedCursor, model.incremental_sync).dict(), config)
            stream_slicer.bind(str(model.name), declared, self._connector_state_manager, self._message_repository)
            return stream_slicer
        if isinstance(stream_slicer, QueryCursor) and stream_slicer.column:
            name = str(model.name)
            is_incremental = name in self._incremental
            stream_slicer.bind(name, is_incremental, self._connector_state_manager, self._message_repository)
            return stream_slicer
        return super()._build_concurrent_cursor(model, stream_slicer, config)
