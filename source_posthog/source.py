"""The connector as the CDK and Python programs see it."""

import logging
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import closing
from typing import Any

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateMessage,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    Status,
    Type,
)
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.utils import AirbyteTracedException

from source_posthog.api import cdk as literals
from source_posthog.api import clock
from source_posthog.api.progress import SyncLog
from source_posthog.engine import Engine
from source_posthog.exact.events.names import wanted_names
from source_posthog.inputs.catalog import missing
from source_posthog.inputs.cautions import warn_of_catalog, warn_of_config, warn_of_state
from source_posthog.inputs.configuration import (
    KEY_VARIABLE,
    RefusedConfig,
    ValidConfig,
    accepted,
    key_of_environment,
    validated,
)
from source_posthog.inputs.files import read_catalog, read_config, read_state
from source_posthog.inputs.masking import catalog_without_secrets, forms, mask, without_secrets
from source_posthog.inputs.states import State
from source_posthog.streams.check import check_access, failed, list_projects, refusal_of_query, shown
from source_posthog.streams.event_windows import MANIFEST

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
        config: not used; in the place where the CDK's own entry points put it.
        state: where an earlier sync ended, as `read_state` reads it from a file.
    """

    def __init__(
        self,
        catalog: ConfiguredAirbyteCatalog | None = None,
        config: Mapping[str, Any] | None = None,
        state: list[AirbyteStateMessage] | None = None,
    ) -> None:
        super().__init__(path_to_yaml=str(MANIFEST), catalog=catalog, config={})
        self._catalog = catalog
        self._state = state
        self._masks: list[str] = []
        self.message_repository = InMemoryMessageRepository()  # what the entrypoint prints before a command ends

    def configure(self, config: Mapping[str, Any], temp_dir: str) -> RefusedConfig | ValidConfig:
        """`config` as it is meant, or where it is not valid one that says so as soon as it is used (RefusedConfig).

        The CDK's own validation, which comes after this, would not name the option. From here on the API key is masked
        in everything the CDK logs.
        """
        specification = self.spec(self.logger).connectionSpecification
        options = specification["properties"].items() if isinstance(config, Mapping) else []
        key = key_of_environment(config)
        secrets = [key, *(config.get(name) for name, option in options if option.get("airbyte_secret"))]
        new = [form for secret in secrets if isinstance(secret, str) for form in forms(secret.strip())]
        self._masks = mask([*self._masks, *new])  # each time: the CDK's entrypoint lets go of the other ones
        streams = {stream["name"] for stream in self._stream_configs(self.resolved_manifest)}
        return validated(config, specification, streams, key)

    def check(self, logger: logging.Logger | None, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        """Whether the connector can read with `config`; a failure is a status too, never an exception."""
        try:
            logger = self._log(logger)
            engine = self._begun(config, logger)
            engine.sync.is_check = True
            projects, retention = list_projects(engine.built({"projects"})), engine.retention()
            for project in projects[:PROJECTS_TO_LOOK_AT]:  # of all of them, of which there can be thousands, by a sync
                retention.look(project["id"])
            status = check_access(projects, engine.probes(), logger)
            if status.status == Status.FAILED:
                return status
            found, refusal = shown(engine.built(engine.query_names))
            refusal = refusal or refusal_of_query(engine.query_probes(found), logger)
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
        return self._engine(config, self._catalog, self._state).built()

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
        logger = self._log(logger)
        engine = self._begun(config, logger, catalog, state)
        selected, known = {stream.stream.name for stream in catalog.streams}, engine.names
        streams = engine.built(selected | {"projects"})
        cursors = {one.name: one.cursor_field or "" for one in streams if one.name in selected}
        warn_of_catalog(catalog, cursors, engine.config, logger)
        # All streams need the projects, so what is wrong with them is wrong with the sync, and is said once.
        list_projects(streams)
        modes = {one.stream.name: one.sync_mode for one in catalog.streams if cursors.get(one.stream.name)}
        warn_of_state(state, known, modes, wanted_names(engine.config), engine.sync.clock.present(), logger)
        chosen = [one for one in streams if one.name in selected]
        # A stream that is gone, with the query that it was for example, is no reason to read none of the others.
        with closing(engine.messages(chosen, missing(selected, known))) as messages:  # an error holds on to no thread
            yield from _watched(messages, logger, engine.sync.log)

    def _log(self, given: logging.Logger | None) -> logging.Logger:
        """`given`; Airbyte's, whose level is the program's, instead of the class's own, which `launch` sets to INFO."""
        return given if given and given.name != self.logger.name else logging.getLogger("airbyte")

    def _engine(
        self, config: Mapping[str, Any], catalog: ConfiguredAirbyteCatalog | None = None, state: State = None
    ) -> Engine:
        """Raises AirbyteTracedException where `config` is not valid."""
        return Engine(self, accepted(self.configure(config, "")), catalog, state)

    def _begun(
        self,
        config: Mapping[str, Any],
        logger: logging.Logger,
        catalog: ConfiguredAirbyteCatalog | None = None,
        state: State = None,
    ) -> Engine:
        """As `_engine`, for a command that says what is odd in `config`."""
        valid = accepted(self.configure(config, ""))
        if valid.has_key_of_environment:
            logger.info(f"The API key is that of the environment variable {KEY_VARIABLE}.")
        engine = self._engine(valid, catalog, state)
        warn_of_config(engine.config, self.spec(logger).connectionSpecification, clock.now(), logger)
        return engine

    # The CDK's own readers of files answer with a traceback.

    @staticmethod
    def read_config(config_path: str) -> MutableMapping[str, Any]:
        try:
            return read_config(config_path)
        except AirbyteTracedException as error:
            return RefusedConfig(str(error))

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
            log.record(message.record.stream, message.record.data.get("project_id"))
            yield message
            continue
        yield without_secrets(message)
        status = message.trace.stream_status if message.type == Type.TRACE and message.trace else None
        if status and status.status in (AirbyteStreamStatus.COMPLETE, AirbyteStreamStatus.INCOMPLETE):
            for level, line in log.closing_lines(status.stream_descriptor.name):
                logger.log(level, line)
