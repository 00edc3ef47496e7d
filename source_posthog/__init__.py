"""Airbyte source connector for PostHog."""

TYPE_CHECKING = False  # as type checkers know it; `typing` takes milliseconds in which Ctrl-C is not silent yet
if TYPE_CHECKING:
    from source_posthog.inputs.catalog import configured_catalog
    from source_posthog.source import SourcePosthog

__all__ = ["SourcePosthog", "configured_catalog"]


def __getattr__(name: str) -> object:
    """The public names, imported when one is first used: that takes a second, in which Ctrl-C is to end the command.

    Airbyte's CDK sets the level of its logger when it is imported; one that the program has set is kept.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import logging

    level = logging.getLogger("airbyte").level
    from source_posthog.inputs.catalog import configured_catalog
    from source_posthog.source import SourcePosthog

    if level != logging.NOTSET:
        logging.getLogger("airbyte").setLevel(level)
    globals().update(SourcePosthog=SourcePosthog, configured_catalog=configured_catalog)
    return globals()[name]
