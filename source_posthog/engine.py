"""One sync: its streams, the threads that read them, and the queue between those and whoever reads."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from queue import Empty, Queue, SimpleQueue
from typing import Any, ParamSpec, TypeVar, cast

import orjson
from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteMessage,
    AirbyteStream,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    Level,
    StreamDescriptor,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.concurrent_source.stream_thread_exception import StreamThreadException
from airbyte_cdk.sources.concurrent_source.thread_pool_manager import ThreadPoolManager
from airbyte_cdk.sources.connector_state_manager import ConnectorStateManager
from airbyte_cdk.sources.declarative.concurrency_level import ConcurrencyLevel
from airbyte_cdk.sources.declarative.models.declarative_component_schema import (
    ConcurrencyLevel as ConcurrencyLevelModel,
)
from airbyte_cdk.sources.declarative.models.declarative_component_schema import CustomRequester
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.message.concurrent_repository import ConcurrentMessageRepository
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.partitions.types import QueueItem
from airbyte_cdk.sources.types import Record
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message

from source_posthog.api.cdk import Background
from source_posthog.api.errors import Abandoned
from source_posthog.api.sync import Sync
from source_posthog.exact.instants import iso
from source_posthog.inputs.catalog import configured_catalog
from source_posthog.inputs.states import State, taken
from source_posthog.streams.event_windows import with_defaults
from source_posthog.streams.factory import ComponentFactory
from source_posthog.streams.failures import Failures
from source_posthog.streams.retention import Retention

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_QUEUE = 10_000  # records and other messages that are ready; more are not read ahead ...
LARGEST_QUEUE = 32_000_000  # ... nor more bytes of records, as JSON
PATIENCE = 1.0  # seconds without a message, after which the sync counts as idle


class Output(Queue[QueueItem]):
    """The queue that the workers fill, and that can be abandoned: then nobody waits in it, and nothing goes in.

    Attributes:
        idle: called again and again, in the thread that waits for a message, for as long as none comes.
        failures: the errors that came out of it.
    """

    def __init__(self, idle: Callable[[], None] = lambda: None) -> None:
        super().__init__(maxsize=LONGEST_QUEUE)
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._abandoned = False
        self.idle = idle
        self.failures = Failures()

    def get(self, block: bool = True, timeout: float | None = None) -> QueueItem:
        item = self._next(block, timeout)
        if isinstance(item, StreamThreadException):
            self.failures.add(item.stream_name, item.exception)
        return item

    def _next(self, block: bool, timeout: float | None) -> QueueItem:
        while block and timeout is None:
            self.failures.warn()
            with suppress(Empty):
                return super().get(timeout=PATIENCE)
            self.idle()
        return super().get(block, timeout)

    def put(self, item: QueueItem, block: bool = True, timeout: float | None = None) -> None:
        """Raises Abandoned when nobody reads any more."""
        if self._abandoned:
            raise Abandoned
        super().put(item, block, timeout)

    def _qsize(self) -> int:
        return len(self.queue) if self._bytes < LARGEST_QUEUE else self.maxsize

    def _put(self, item: QueueItem) -> None:
        self._sizes.append(_size(item))
        self._bytes += self._sizes[-1]
        super()._put(item)

    def _get(self) -> QueueItem:
        self._bytes -= self._sizes.popleft()
        return super()._get()

    def abandon(self) -> None:
        """Let go of what is in the queue, and of the workers that wait for room in it."""
        self._abandoned = True
        with self.mutex:
            self.queue.clear()
            self._sizes.clear()
            self._bytes = 0
            self.not_full.notify_all()


def _size(item: QueueItem) -> int:
    """About how many bytes a record takes; 0 for all else."""
    if not isinstance(item, Record):
        return 0
    try:
        return len(orjson.dumps(item.data, default=str))
    except TypeError:  # an integer of more than 64 bits, or half a surrogate pair
        return len(str(item.data))


class Workers(Executor):
    """At most `number` daemon threads.

    The interpreter waits for the threads of the stock ThreadPoolExecutor before it exits, whatever they are at.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._tasks.put((future, partial(fn, *args, **kwargs)))
        if len(self._threads) < self._number:
            thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while task := self._tasks.get():
            future, call = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # as in any executor: it belongs to whoever asks the future
                    future.set_exception(error)
            del task, future, call  # hold no records while waiting for the next task

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let the threads end after what was submitted, or after what they are at where `cancel_futures` is set."""
        while cancel_futures:
            try:
                task = self._tasks.get_nowait()
            except Empty:
                break
            if task:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads if wait else ():
            thread.join()


class Engine(YamlDeclarativeSource):
    """The CDK's source for one sync: it has the manifest in common with the one that it is made of, and nothing else.

    To resolve and to check the manifest takes a quarter of a second, and syncs of one source must not mix.

    Args:
        source: has resolved the manifest.
        config: a valid configuration.
        catalog: what is to be read; None where nothing is.
        state: where an earlier sync ended.
        sync: of another engine, to know what that knows.

    Attributes:
        declared: the streams as the manifest declares them for the configuration, with one for each query in it.
    """

    def __init__(
        self,
        source: YamlDeclarativeSource,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog | None = None,
        state: State = None,
        sync: Sync | None = None,
    ) -> None:
        vars(self).update(vars(source))  # in place of what the CDK's own would do once more
        streams = [one.stream for one in catalog.streams] if catalog else []
        self.sync = sync or Sync(schemas={stream.name: stream.json_schema for stream in streams})
        complete = with_defaults(config, self.resolved_manifest["spec"]["connection_specification"])
        self._config = self._config_for_validation = dict(self._migrate_and_transform_config(None, complete) or {})
        self._output = Output(self.sync.log.idle)
        self._connector_state_manager = _state_manager(state, catalog)
        self._message_repository = ConcurrentMessageRepository(self._output, InMemoryMessageRepository(Level.INFO))
        self._constructor = factory = ComponentFactory(
            self.sync,
            message_repository=self._message_repository,
            connector_state_manager=self._connector_state_manager,
            configured_catalog=catalog,
        )
        manifest = self.resolved_manifest
        queries = self._dynamic_stream_configs(manifest, with_dynamic_stream_name=True)
        self.declared: list[dict[str, Any]] = factory.without_later(
            self._stream_configs(manifest) + queries, self._config
        )

    @property
    def config(self) -> Mapping[str, Any]:
        """As the manifest normalizes it, with a value for each option that has a default."""
        return self._config

    @property
    def names(self) -> list[str]:
        return [stream["name"] for stream in self.declared]

    @property
    def query_names(self) -> set[str]:
        return {query["name"] for query in self.config.get("queries", [])}

    @property
    def concurrency(self) -> int:
        """How many threads read."""
        declared = self.resolved_manifest["concurrency_level"]
        level: ConcurrencyLevel = self._constructor.create_component(ConcurrencyLevelModel, declared, self._config)
        return level.get_concurrency_level()

    def built(self, names: Collection[str] | None = None) -> list[AbstractStream]:
        """The streams with these names, or all, with their components."""
        streams = [one for one in self.declared if names is None or one["name"] in names]
        self._prepare_for_stream_build()
        return self._create_streams(streams, streams)

    def messages(
        self, streams: list[AbstractStream], missing: Mapping[str, AirbyteTracedException] | None = None
    ) -> Generator[AirbyteMessage, None, None]:
        """What the CDK's engine makes of `streams`, read by threads that end with it.

        Those that are `missing`, each with its error, have failed before. Raises PostHogError at the end if one failed.
        """
        level = self.concurrency
        workers = Workers(level)
        engine = ConcurrentSource(
            # Annotated as a ThreadPoolExecutor, but used as any executor.
            threadpool=ThreadPoolManager(cast(ThreadPoolExecutor, workers), self.logger),
            logger=cast(logging.Logger, Background(self.logger)),
            slice_logger=self._slice_logger,
            queue=self._output,
            message_repository=self._message_repository,
            initial_number_partitions_to_generate=max(level // 2, 1),
        )
        failures = self._output.failures
        try:
            for name, error in (missing or {}).items():
                failures.add(name, error)
                yield from failures.around(
                    as_airbyte_message(StreamDescriptor(name=name), AirbyteStreamStatus.INCOMPLETE)
                )
            if streams:  # without any the engine would never end
                yield from self._told(engine, streams)
            failures.require_none(len(streams) + len(missing or {}))
        finally:
            if not sys.is_finalizing():  # then the threads stand still, perhaps with a lock that is needed here
                self.sync.is_over.set()
                workers.shutdown(wait=False, cancel_futures=True)
                self._output.abandon()

    def _told(self, engine: ConcurrentSource, streams: list[AbstractStream]) -> Iterator[AirbyteMessage]:
        """The messages of `engine`, but for its own errors."""
        failures = self._output.failures
        try:
            for message in engine.read(self._in_order(streams)):
                if message.type is Type.TRACE:
                    yield from failures.around(message)
                else:
                    yield message
        except AirbyteTracedException:
            if not failures:
                raise

    def _in_order(self, streams: list[AbstractStream]) -> list[AbstractStream]:
        """`streams`, with those at the end that follow another one in a group of the manifest's `stream_groups`."""
        groups = self.resolved_manifest["stream_groups"].values()
        followers = {stream["name"] for group in groups for stream in group["streams"][1:]}
        return sorted(streams, key=lambda stream: stream.name in followers)

    # --- for `check`

    def probes(self) -> list[AbstractStream]:
        """The streams of which one row is enough to see whether the key may read them.

        They ask the very questions of a sync, to a server that may not know all of their words: events for those of the
        last minute, and as if there had been a sync before, which also asks for what has arrived since.
        """
        present = self.sync.clock.present()
        last_minute = {"start_date": iso(present - timedelta(minutes=1)), "end_date": ""}
        state = {"events": {"timestamp": iso(present - timedelta(seconds=30))}}
        probe = Engine(self, {**self.config, **last_minute}, state=state, sync=replace(self.sync, page_size=1))
        return probe.built([*self.resolved_manifest["check"]["stream_names"], *self.config.get("extra_streams", [])])

    def query_probes(self, found: list[AirbyteStream]) -> list[AbstractStream]:
        """The queries of the user's own that were `found`, as an incremental sync reads them where it can."""
        catalog = configured_catalog(AirbyteCatalog(streams=found))
        return Engine(self, self.config, catalog, sync=self.sync).built(self.query_names) if found else []

    def retention(self) -> Retention:
        """What warns of events that no longer exist."""
        (events,) = [stream for stream in self.declared if stream["name"] == "events"]
        asking = events["retriever"]["project_requester"]
        requester = self._constructor.create_component(CustomRequester, asking, self._config)
        return Retention(requester, self.config["start_date"])


def _state_manager(state: State, catalog: ConfiguredAirbyteCatalog | None) -> ConnectorStateManager:
    """The state to go on from: none for a stream that the catalog wants to be read in full."""
    manager = ConnectorStateManager(taken(state)[0])
    for stream in catalog.streams if catalog else []:
        if stream.sync_mode == SyncMode.full_refresh:
            manager.update_state_for_stream(stream.stream.name, None, {})
    return manager
