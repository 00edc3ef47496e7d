"""Airbyte source connector for PostHog."""

from source_posthog.source import SourcePosthog

__all__ = ["SourcePosthog"]
