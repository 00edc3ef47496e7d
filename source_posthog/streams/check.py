"""What a key may read, reported before a sync finds out."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from airbyte_cdk.models import AirbyteConnectionStatus, AirbyteStream, FailureType, Status
from airbyte_cdk.sources.streams.concurrent.abstract_stream import AbstractStream
from airbyte_cdk.sources.streams.concurrent.partitions.partition import Partition
from airbyte_cdk.sources.types import Record
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets

from source_posthog.api.errors import PostHogError

# A project, or an organization, can refuse what the next one allows; a scope that is missing is refused by all.
PARTITIONS_TO_PROBE = 3


def list_projects(streams: list[AbstractStream]) -> list[Record]:
    """All projects that the sync covers.

    Raises AirbyteTracedException where PostHog refuses them, or its list of them cannot be relied on.
    """
    stream = next(stream for stream in streams if stream.name == "projects")
    return [project for partition in stream.generate_partitions() for project in partition.read()]


def check_access(
    projects: list[Record], probes: list[AbstractStream], logger: logging.Logger
) -> AirbyteConnectionStatus:
    """Ask each of `probes`, streams with pages of one row, for a row in the first of `projects`.

    Fails if there is no project, or no stream can be read; streams that cannot be read are named in the log.
    """
    if not projects:
        return failed(
            "The API key sees no project. Give its user access to a project, and check that `base_url` is the region "
            "(US, EU or self-hosted) where the project is."
        )
    logger.info(f"The API key sees {len(projects)} project(s): {_first_of([project['id'] for project in projects])}")
    refused = {probe.name: error for probe in probes if (error := _refusal(probe))}
    for name, error in refused.items():
        logger.warning(_sentence(name, error))
    if len(refused) == len(probes):
        return failed(f"No stream can be read with this API key. {next(iter(refused.values()))}")
    if refused:
        logger.warning(f"The connection works, but not for these streams: {', '.join(refused)}")
    return AirbyteConnectionStatus(status=Status.SUCCEEDED)


def shown(streams: Iterable[AbstractStream]) -> tuple[list[AirbyteStream], AirbyteTracedException | None]:
    """The streams as a catalog has them, and the error of those that have no schema: of queries that are refused."""
    found, errors = [], []
    for stream in streams:
        try:
            found.append(stream.as_airbyte_stream())
        except AirbyteTracedException as error:
            errors.append(error)
    if len(errors) < 2:
        return found, next(iter(errors), None)
    sentences = dict.fromkeys(map(str, errors))
    return found, AirbyteTracedException(message=" ".join(sentences), failure_type=errors[0].failure_type)


def refusal_of_query(probes: list[AbstractStream], logger: logging.Logger) -> AirbyteTracedException | None:
    """Why one of `probes`, streams of the user's own queries, can be read by no sync as it is; None where all can.

    That PostHog is too slow for one, or busy, may pass: it is named in the log.
    """
    for probe in probes:
        error = _refusal(probe)
        if error and error.failure_type != FailureType.transient_error:
            return error
        if error:
            logger.warning(_sentence(probe.name, error))
    return None


def _sentence(stream: str, error: AirbyteTracedException) -> str:
    """That the stream cannot be read, where and why; not what would come of it in a sync."""
    if not isinstance(error, PostHogError):
        return f"Stream {stream} cannot be read: {error}"
    project = f" in project {error.where.project}" if error.where and error.where.project else ""
    return f"Stream {stream} cannot be read{project}: {error.reason}"


def _refusal(probe: AbstractStream) -> AirbyteTracedException | None:
    """Why the stream cannot be read; None if it can, in one of the first projects or organizations."""
    refusal: AirbyteTracedException | None = None
    asked: set[Any] = set()
    for partition in _partitions(probe):
        if isinstance(partition, AirbyteTracedException):
            return refusal or partition
        where = partition.to_slice() or {}
        owner = where.get("project_id", where.get("organization_id"))
        if owner in asked:  # what it refused once it is not asked for again, which is no answer
            continue
        if len(asked) == PARTITIONS_TO_PROBE:
            break
        asked.add(owner)
        try:
            next(iter(partition.read()), None)
            return None
        except AirbyteTracedException as error:
            refusal = refusal or error
    return refusal


def _partitions(probe: AbstractStream) -> Iterator[Partition | AirbyteTracedException]:
    """The partitions of `probe`, or why PostHog refuses them: the organizations of a key, for example."""
    try:
        yield from probe.generate_partitions()
    except AirbyteTracedException as error:
        yield error


def failed(message: str) -> AirbyteConnectionStatus:
    """The status that says so; no key is in it, whatever PostHog answered."""
    return AirbyteConnectionStatus(status=Status.FAILED, message=filter_secrets(message))


def _first_of(ids: list[Any]) -> str:
    return ", ".join(map(str, ids[:10])) + (", ..." if len(ids) > 10 else "")
