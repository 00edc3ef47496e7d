"""Airbyte source connector for PostHog."""

from source_posthog.inputs.catalog import configured_catalog
from source_posthog.source import SourcePosthog

__all__ = ["SourcePosthog", "configured_catalog"]
