"""The connector as the CDK and Python programs see it."""

import copy
import logging
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any, cast

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStream,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    Level,
    Status,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.concurrent_source.thread_pool_manager import ThreadPoolManager
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.models.declarative_component_schema import ConcurrencyLevel, CustomRequester
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.types import Record
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog import clock, literals
from source_posthog.catalog import configured_catalog, endings, require_known
from source_posthog.cautions import warn_of_config, warn_of_state
from source_posthog.check import check_access, failed, list_projects, refusal_of_query, shown
from source_posthog.declared import MANIFEST, with_defaults
from source_posthog.events.instants import iso
from source_posthog.factory import ComponentFactory
from source_posthog.files import read_catalog, read_config, read_state
from source_posthog.masking import catalog_without_secrets, forms, mask, without_secrets
from source_posthog.refused import Refused, accepted
from source_posthog.retention import Retention
from source_posthog.states import State, taken
from source_posthog.sync import Sync
from source_posthog.sync_log import SyncLog
from source_posthog.validation import fault, normalized
from source_posthog.workers import Output, Workers

PROJECTS_TO_LOOK_AT = 10  # by `check`, one after the other

if literals.AFFECTED:
    literals.one_at_a_time()


class SourcePosthog(YamlDeclarativeSource):
    """PostHog's projects, cohorts, feature flags, persons, events, annotations and insights.

    Needs no arguments:

        source = SourcePosthog()
        config = {"api_key": "phx_...", "start_date": "2026-01-01T00:00:00Z"}
        catalog = configured_catalog(source.discover(None, config), ["events"])
        for message in source.read(None, config, catalog):
            ...

    The CDK reads config, catalog and state when a source is built and ignores those that `check`, `discover`, `streams`
    and `read` are given; here those methods go by what they are given.

    Args:
        catalog: what the CDK's own entry points read; a configured catalog.
        config: the options, as `spec` describes them: `api_key` and `start_date`, and any of the others.
        state: where an earlier sync ended, as `read_state` reads it from a file.
    """

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,
    ) -> None:
        super().__init__(path_to_yaml=str(MANIFEST), catalog=catalog, config=normalized(config))
        self._catalog = catalog
        self._state = state
        self._masks: list[str] = []
        self._sync = Sync()
        self._output = Output()
        self.message_repository = InMemoryMessageRepository()  # what the entrypoint prints before a command ends

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
        streams = {stream["name"] for stream in self._stream_configs(self.resolved_manifest)}
        sentence = fault(config, specification, streams)
        return Refused(sentence) if sentence else config

    def check(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the connector can read with `config`; a failure is a status too, never an exception."""
        try:
            source, logger = self._for_sync(self.configure(config, "")), logger or self.logger
            warn_of_config(source._config, source.spec(logger).connectionSpecification, clock.now(), logger)
            source._sync.is_check = True
            projects = list_projects(source._built({"projects"}))
            source._look_at_retention(projects)
            status = check_access(projects, source._probes(), logger)
            if status.status == Status.FAILED:
                return status
            found, refusal = shown(source._built(source._query_names()))
            refusal = refusal or refusal_of_query(source._query_probes(found), logger)
            return failed(str(refusal)) if refusal else status
        except AirbyteTracedException as error:
            return failed(str(error))
        except Exception as error:  # a class of its own, of requests-mock for example, or a fault of ours
            sentence = f"The connection check failed with an unexpected {type(error).__name__}: {error}"
            return failed(sentence.rstrip(".") + ".")

    def check_connection(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """As `check`, in the form of the CDK's AbstractSource: whether it works, and if not, why."""
        status = self.check(logger, config)
        return (True, None) if status.status == Status.SUCCEEDED else (False, status.message)

    def discover(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> AirbyteCatalog:
        """All streams. Raises AirbyteTracedException where a query of the user's own cannot be read.

        The entrypoint then prints a catalog of the other streams before the error, which Airbyte shows with it.
        """
        streams, refusal = shown(self.streams(config))
        catalog = catalog_without_secrets(AirbyteCatalog(streams=streams))
        if refusal:
            self.message_repository.emit_message(AirbyteMessage(type=Type.CATALOG, catalog=catalog))
            raise refusal
        return catalog

    def streams(self, config: Mapping[str, Any]) -> list[AbstractStream]:
        """All streams, as a sync of their own: the projects are read anew, once for all of them."""
        return self._for_sync(self.configure(config, ""), self._catalog, self._state)._built()

    def read(
        self,
        logger: logging.Logger | None,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """The messages of one sync. It ends when whoever iterates stops, in whatever way.

        Raises AirbyteTracedException at the end if a stream could not be read to its end, or at once if none can.
        """
        source, logger = self._for_sync(self.configure(config, ""), catalog, state), logger or self.logger
        warn_of_config(source._config, source.spec(logger).connectionSpecification, clock.now(), logger)
        selected, known = {stream.stream.name for stream in catalog.streams}, source._names()
        streams = source._built(selected | {"projects"})
        # All streams need the projects, so what is wrong with them is wrong with the sync, and is said once.
        list_projects(streams)
        warn_of_state(state, known, source._sync.clock.present(), logger)
        chosen = source._in_order([one for one in streams if one.name in selected])
        # A stream that is gone, with the query that it was for example, is no reason to read none of the others.
        with closing(source._messages(chosen)) as messages:  # whoever holds on to an error holds on to no thread
            yield from _watched(chain(endings(selected, known), messages), logger, source._sync.log)
        require_known(selected, known)

    def _migrate_and_transform_config(
        self, config_path: str | None, config: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """`config` with a value for each option that has a default in the spec, so that it stands nowhere else."""
        if config:
            config = with_defaults(config, self.resolved_manifest["spec"]["connection_specification"])
        return super()._migrate_and_transform_config(config_path, config)

    # --- check

    def _probes(self) -> list[AbstractStream]:
        """The streams of which one row is enough to see whether the key may read them.

        They ask the very questions of a sync, to a server that may not know all of their words: events for those of the
        last minute, and as if there had been a sync before, which also asks for what has arrived since.
        """
        present = self._sync.clock.present()
        last_minute = {"start_date": iso(present - timedelta(minutes=1)), "end_date": ""}
        state = {"events": {"timestamp": iso(present - timedelta(seconds=30))}}
        probe = self._for_sync({**self._config, **last_minute}, state=state, sync=replace(self._sync, page_size=1))
        return probe._built(set(self.resolved_manifest["check"]["stream_names"]))

    def _look_at_retention(self, projects: list[Record]) -> None:
        """Warn of what the first of `projects` no longer have. All of them, of which there can be thousands, are looked
        at by a sync."""
        (events,) = [stream for stream in self._declared() if stream["name"] == "events"]
        asking = events["retriever"]["project_requester"]
        requester = self._constructor.create_component(CustomRequester, asking, self._config)
        retention = Retention(requester, self._config["start_date"])
        for project in projects[:PROJECTS_TO_LOOK_AT]:
            retention.look(project["id"])

    def _query_probes(self, found: list[AirbyteStream]) -> list[AbstractStream]:
        """The queries of the user's own that were `found`, as an incremental sync reads them where it can."""
        catalog = configured_catalog(AirbyteCatalog(streams=found))
        return self._for_sync(self._config, catalog, sync=self._sync)._built(self._query_names()) if found else []

    # --- one sync

    def _for_sync(
        self,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog | None = None,
        state: State = None,
        sync: Sync | None = None,
    ) -> "SourcePosthog":
        """This source for one sync: it has the manifest, which is costly to resolve, in common with this one, and
        nothing else, so that syncs of one source do not mix."""
        source = copy.copy(self)
        streams = [one.stream for one in catalog.streams] if catalog else []
        source._sync = sync or Sync(schemas={stream.name: stream.json_schema for stream in streams})
        source._output = Output(source._sync.log.idle)
        source._connector_state_manager = _state_manager(state, catalog)
        source._message_repository = ConcurrentMessageRepository(source._output, InMemoryMessageRepository(Level.INFO))
        source._constructor = ComponentFactory(
            source._sync,
            message_repository=source._message_repository,
            connector_state_manager=source._connector_state_manager,
            configured_catalog=catalog,
        )
        source._config = source._config_for_validation = dict(
            self._migrate_and_transform_config(None, accepted(config)) or {}
        )
        return source

    def _declared(self) -> list[dict[str, Any]]:
        """The streams as the manifest declares them for the configuration, with one for each query in it."""
        manifest = self.resolved_manifest
        return self._stream_configs(manifest) + self._dynamic_stream_configs(manifest, with_dynamic_stream_name=True)

    def _query_names(self) -> set[str]:
        return {query["name"] for query in self._config.get("queries", [])}

    def _names(self) -> list[str]:
        return [stream["name"] for stream in self._declared()]

    def _built(self, names: set[str] | None = None) -> list[AbstractStream]:
        """The streams with these names, or all, with their components."""
        source = copy.copy(self)
        streams = [one for one in self._declared() if names is None or one["name"] in names]
        source._source_config = {**self.resolved_manifest, "streams": streams, "dynamic_streams": []}
        return super(SourcePosthog, source).streams(self._config)

    def _in_order(self, streams: list[AbstractStream]) -> list[AbstractStream]:
        """`streams`, with those at the end that follow another one in a group of the manifest's `stream_groups`."""
        groups = self.resolved_manifest["stream_groups"].values()
        followers = {stream["name"] for group in groups for stream in group["streams"][1:]}
        return sorted(streams, key=lambda stream: stream.name in followers)

    def _messages(self, streams: list[AbstractStream]) -> Generator[AirbyteMessage, None, None]:
        """What the CDK's engine makes of `streams`, read by threads that end with it."""
        level = self._constructor.create_component(
            ConcurrencyLevel, self.resolved_manifest["concurrency_level"], self._config
        ).get_concurrency_level()
        workers = Workers(level)
        engine = ConcurrentSource(
            # Annotated as a ThreadPoolExecutor, but used as any executor.
            threadpool=ThreadPoolManager(cast(ThreadPoolExecutor, workers), self.logger),
            logger=self.logger,
            slice_logger=self._slice_logger,
            queue=self._output,
            message_repository=self._message_repository,
            initial_number_partitions_to_generate=max(level // 2, 1),
        )
        try:
            if streams:  # without any the engine would never end
                yield from engine.read(streams)
        finally:
            if not sys.is_finalizing():  # then the threads stand still, perhaps with a lock that is needed here
                workers.shutdown(wait=False, cancel_futures=True)
                self._output.abandon()

    # The CDK's own readers of files answer with a traceback.

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        try:
            return read_config(config_path)
        except AirbyteTracedException as error:
            return Refused(str(error))

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
            for level, line in log.closing_lines(status.stream_descriptor.name):
                logger.log(level, line)


def _state_manager(state: State, catalog: ConfiguredAirbyteCatalog | None) -> ConnectorStateManager:
    """The state to go on from: none for a stream that the catalog wants to be read in full."""
    manager = ConnectorStateManager(taken(state)[0])
    for stream in catalog.streams if catalog else []:
        if stream.sync_mode == SyncMode.full_refresh:
            manager.update_state_for_stream(stream.stream.name, None, {})
    return manager
