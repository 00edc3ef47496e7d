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
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets, get_secrets, update_secrets
from airbyte_cdk.utils.constants import ENV_REQUEST_CACHE_PATH

from source_posthog import clock
from source_posthog.check import check_access, list_projects, warn_of_plain_http
from source_posthog.declared import with_defaults
from source_posthog.events.instants import iso
from source_posthog.factory import ComponentFactory
from source_posthog.files import read_file
from source_posthog.sync import Sync
from source_posthog.sync_log import SyncLog
from source_posthog.validation import require_valid

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
        super().__init__(path_to_yaml=str(MANIFEST), catalog=catalog, config=config, state=state)
        self._cache: TemporaryDirectory[str] | None = None
        self._sync = Sync()
        self._constructor = ComponentFactory(
            self._sync,
            message_repository=self._message_repository,
            connector_state_manager=self._connector_state_manager,
            configured_catalog=catalog,
        )

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> Mapping[str, Any]:
        """`config`, once it is known to be valid.

        Raises AirbyteTracedException with a sentence that names the option. The CDK's own validation, which comes after
        this, would not name it. From here on the API key is masked in everything the CDK logs.
        """
        specification = self.spec(self.logger).connectionSpecification
        update_secrets(get_secrets(specification, config) if isinstance(config, Mapping) else [])
        require_valid(config, specification)
        return config

    def check(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the connector can read with `config`; a failure is a status too, never an exception."""
        try:
            source, logger = self._built_with(config), logger or self.logger
            warn_of_plain_http(source._config["base_url"], logger)
            # One row of each stream is enough to see whether the key may read it.
            a_minute_ago = iso(clock.now() - timedelta(minutes=1))
            probe = SourcePosthog(config={**source._config, "_page_size": 1, "start_date": a_minute_ago})
            source._sync.is_check = probe._sync.is_check = True
            return check_access(source.streams(source._config), probe.streams(probe._config), logger)
        except AirbyteTracedException as error:
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(str(error)))
        except Exception as error:  # a class of its own, of requests-mock for example, or a fault of ours
            sentence = f"The connection could not be checked, because of an unexpected {type(error).__name__}: {error}"
            return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(sentence.rstrip(".") + "."))

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
        warn_of_plain_http(source._config["base_url"], logger)
        # All streams need the projects. Once read here they are asked for no more: the CDK caches a parent's answers.
        list_projects(streams)
        messages = super(SourcePosthog, source).read(logger, source._config, catalog, state)
        return _watched(messages, logger, source._sync.log)

    def _migrate_and_transform_config(
        self, config_path: str | None, config: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """`config` with a value for each option that has a default in the spec, so that it stands nowhere else."""
        if config:
            config = with_defaults(config, self.resolved_manifest["spec"]["connection_specification"])
        return super()._migrate_and_transform_config(config_path, config)

    def _built_with(
        self,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog | None = None,
        state: list[AirbyteStateMessage] | None = None,
    ) -> "SourcePosthog":
        return SourcePosthog(catalog, self.configure(config, ""), state)

    # The CDK's own readers of files answer with a traceback.

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        return read_file("config", YamlDeclarativeSource.read_config, config_path)

    @classmethod
    def read_catalog(cls, catalog_path: str) -> ConfiguredAirbyteCatalog:
        return read_file("catalog", super().read_catalog, catalog_path)

    @classmethod
    def read_state(cls, state_path: str) -> list[AirbyteStateMessage]:
        return read_file("state", super().read_state, state_path)


def _watched(messages: Iterable[AirbyteMessage], logger: logging.Logger, log: SyncLog) -> Iterator[AirbyteMessage]:
    """`messages` without secrets, with a line in the log for each stream that ends."""
    for message in messages:
        if message.type is Type.RECORD and message.record:
            log.records[message.record.stream] += 1
            yield message
            continue
        yield _without_secrets(message)
        status = message.trace.stream_status if message.type == Type.TRACE and message.trace else None
        if status and status.status in (AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE):
            logger.info(log.closing_line(status.stream_descriptor.name))


def _without_secrets(message: AirbyteMessage) -> AirbyteMessage:
    """Mask the API key in an error: PostHog, or a proxy, may have repeated it in an answer that the error quotes."""
    if message.type == Type.TRACE and message.trace and (error := message.trace.error):
        for name in ("message", "internal_message", "stack_trace"):
            setattr(error, name, filter_secrets(getattr(error, name) or ""))
    return message


def _require_known(catalog: ConfiguredAirbyteCatalog, streams: list[AbstractStream]) -> None:
    known = [stream.name for stream in streams]
    unknown = sorted({stream.stream.name for stream in catalog.streams} - set(known))
    if unknown:
        raise AirbyteTracedException(
            message=f"The catalog names streams that do not exist: {', '.join(unknown)}. Refresh the schema of the "
            f"connection, or take them out; there are {', '.join(known)}.",
            failure_type=FailureType.config_error,
        )
