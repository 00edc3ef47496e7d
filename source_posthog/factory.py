"""Builds the components that the manifest names."""

from typing import Any, cast

from airbyte_cdk.sources.declarative.models.declarative_component_schema import DatetimeBasedCursor, DeclarativeStream
from airbyte_cdk.sources.declarative.parsers.model_to_component_factory import ModelToComponentFactory
from airbyte_cdk.sources.declarative.partition_routers.partition_router import PartitionRouter
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor
from airbyte_cdk.sources.types import Config

from source_posthog.declared import DeclaredWindows
from source_posthog.slicer import EventsCartesianProductStreamSlicer
from source_posthog.sync import Sync


class ComponentFactory(ModelToComponentFactory):
    """The CDK's factory, and two things that it cannot do.

    It hands `sync` to each custom component that has a field of this name. And it lets the events slicer be the cursor
    of its stream: the CDK has custom partition routers, but no custom cursors.
    """

    def __init__(self, sync: Sync, **options: Any) -> None:
        super().__init__(**options)
        self._sync = sync

    def create_custom_component(self, model: Any, config: Config, **kwargs: Any) -> Any:
        return super().create_custom_component(model, config, **{**kwargs, "sync": self._sync})

    def _build_concurrent_cursor(
        self, model: DeclarativeStream, stream_slicer: PartitionRouter | None, config: Config
    ) -> Cursor:
        if isinstance(stream_slicer, EventsCartesianProductStreamSlicer):
            declared = DeclaredWindows(cast(DatetimeBasedCursor, model.incremental_sync).dict(), config)
            stream_slicer.bind(str(model.name), declared, self._connector_state_manager, self._message_repository)
            return stream_slicer
        return super()._build_concurrent_cursor(model, stream_slicer, config)
