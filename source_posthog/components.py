"""The classes that a manifest of one's own may name; they live in `streams/`."""

from source_posthog.streams.event_cursor import EventsCartesianProductStreamSlicer
from source_posthog.streams.events import EventsSimpleRetriever
from source_posthog.streams.insights import InsightsRetriever

__all__ = ["EventsCartesianProductStreamSlicer", "EventsSimpleRetriever", "InsightsRetriever"]
