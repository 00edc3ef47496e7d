"""The connector as the CDK and Python programs see it."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
    Type,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.constants import ENV_REQUEST_CACHE_PATH

from source_posthog.answers import iso
from source_posthog.cautions import warn_of_config, warn_of_future_state
from source_posthog.check import check_access, list_projects
from source_posthog.components import now
from source_posthog.factory import ComponentFactory
from source_posthog.files import read_catalog, read_config, read_state
from source_posthog.masking import forms, mask, without_secrets
from source_posthog.refused import accepted, refused
from source_posthog.sync import Sync
from source_posthog.sync_log import SyncLog
from source_posthog.validation import fault, normalized

MANIFEST = Path(__file__).with_name("manifest.yaml")


class SourcePosthog(YamlDeclarativeSource):
    """PostHog's projects, cohorts, feature flags, persons, events, annotations and insights.

    Needs no arguments. The CDK reads config, catalog and state when a source is built and ignores those that `check`,
    `discover`, `streams` and `read` are given; here those methods go by what they are given.
    """

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,
    ) -> None:
        super().__init__(path_to_yaml=str(MANIFEST), catalog=catalog, config=normalized(config), state=state)
        self._masks: list[str] = []
        self._cache: TemporaryDirectory[str] | None = None
        self._sync = Sync()
        self._constructor = ComponentFactory(
            self._sync,
            message_repository=self._message_repository,
            connector_state_manager=self._connector_state_manager,
            configured_catalog=catalog,
        )

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """`config` as it is meant, or where it is not valid one that says so as soon as it is used (refused.py).

        The CDK's own validation, which comes after this, would not name the option. From here on the API key is masked
        in everything the CDK logs.
        """
        specification = self.spec(self.logger).connectionSpecification
        config = normalized(config)
        options = specification["properties"].items() if isinstance(config, Mapping) else []
        secrets = [config.get(name) for name, option in options if option.get("airbyte_secret")]
        new = [form for secret in secrets if isinstance(secret, str) for form in forms(secret)]
        self._masks = mask([*self._masks, *new])
        sentence = fault(config, specification)
        return refused(sentence) if sentence else config

    def check(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the connector can read with `config`; a failure is a status too, never an exception."""
        try:
            source, logger = self._built_with(config), logger or self.logger
            warn_of_config(source._config, source.spec(logger).connectionSpecification, now(), logger)
            # One row of each stream is enough to see whether the key may read it.
            a_minute_ago = iso(now() - timedelta(minutes=1))
            probe = SourcePosthog(config={**source._config, "_page_size": 1, "start_date": a_minute_ago})
            return check_access(source.streams(source._config), probe.streams(probe._config), logger)
        except AirbyteTracedException as error:
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(str(error)))

    def discover(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> AirbyteCatalog:
        return AirbyteCatalog(streams=[stream.as_airbyte_stream() for stream in self.streams(config)])

    def streams(self, config: Mapping[str, Any]) -> list[AbstractStream]:
        source = self if config == self._config else self._built_with(config)
        with source._own_cache():
            return super(SourcePosthog, source).streams(source._config)

    @contextmanager
    def _own_cache(self) -> Iterator[None]:
        """Let the CDK cache the list of projects for this source alone.

        Left to itself it takes memory that all sources of the process share, and a later source would read the projects
        of an earlier one.
        """
        self._cache = self._cache or TemporaryDirectory(prefix="source-posthog-", ignore_cleanup_errors=True)
        before = os.environ.get(ENV_REQUEST_CACHE_PATH)
        os.environ[ENV_REQUEST_CACHE_PATH] = self._cache.name
        try:
            yield
        finally:
            os.environ.pop(ENV_REQUEST_CACHE_PATH)
            if before is not None:
                os.environ[ENV_REQUEST_CACHE_PATH] = before

    def read(
        self,
        logger: logging.Logger | None,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        source = self._built_with(config, catalog, state)
        logger = logger or self.logger
        streams = source.streams(source._config)
        _require_known(catalog, streams)
        warn_of_config(source._config, source.spec(logger).connectionSpecification, now(), logger)
        warn_of_future_state(state or [], now(), logger)
        # All streams need the projects. Once read here they are asked for no more: the CDK caches a parent's answers.
        list_projects(streams)
        messages = super(SourcePosthog, source).read(logger, source._config, catalog, state)
        return _watched(messages, logger, source._sync.log)

    def _built_with(
        self,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog | None = None,
        state: list[AirbyteStateMessage] | None = None,
    ) -> "SourcePosthog":
        return SourcePosthog(catalog, accepted(self.configure(config, "")), state)

    # The CDK's own readers of files answer with a traceback.

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        try:
            return read_config(config_path)
        except AirbyteTracedException as error:
            return refused(str(error))

    @classmethod
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        return read_catalog(catalog_path)

    @classmethod
    def read_state(cls, state_path: str) -> list[AirbyteStateMessage]:
        return read_state(state_path)


def _watched(messages: Iterable[AirbyteMessage], logger: logging.Logger, log: SyncLog) -> Iterator[AirbyteMessage]:
    """`messages` without secrets, with a line in the log for each stream that ends."""
    for message in messages:
        if message.type is Type.RECORD and message.record:
            log.records[message.record.stream] += 1
            yield message
            continue
        yield without_secrets(message)
        status = message.trace.stream_status if message.type == Type.TRACE and message.trace else None
        if status and status.status in (AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE):
            logger.info(log.closing_line(status.stream_descriptor.name))


def _require_known(catalog: ConfiguredAirbyteCatalog, streams: list[AbstractStream]) -> None:
    known = [stream.name for stream in streams]
    unknown = sorted({stream.stream.name for stream in catalog.streams} - set(known))
    if unknown:
        raise AirbyteTracedException(
            message=f"The catalog names streams that do not exist: {', '.join(unknown)}. Refresh the schema of the "
            f"connection, or take them out; there are {', '.join(known)}.",
            failure_type=FailureType.config_error,
        )
