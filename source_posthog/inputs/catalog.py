"""The configured catalog of a sync: what to read and how."""

from collections.abc import Collection, Iterator

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteMessage,
    AirbyteStream,
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    StreamDescriptor,
    SyncMode,
)
from airbyte_cdk.utils import AirbyteTracedException
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message


def configured_catalog(found: AirbyteCatalog, names: Collection[str] = ()) -> ConfiguredAirbyteCatalog:
    """The streams of `found`, which is what `discover` returns, as a sync reads them.

    All of them, or those with these `names`: incremental and deduplicated where that is possible, else overwritten.
    Raises AirbyteTracedException (config_error) for a name that is not in `found`.
    """
    require_known(names, [stream.name for stream in found.streams])
    return ConfiguredAirbyteCatalog(
        streams=[_configured(stream) for stream in found.streams if not names or stream.name in names]
    )


def require_known(names: Collection[str], known: Collection[str]) -> None:
    """Raise AirbyteTracedException (config_error) if not all `names` of streams are `known`."""
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise _unknown(unknown, known)


def endings(names: Collection[str], known: Collection[str]) -> Iterator[AirbyteMessage]:
    """What ends those of `names` that are not `known`: of each its error, and that it is incomplete."""
    for name in sorted(set(names) - set(known)):
        descriptor = StreamDescriptor(name=name)
        yield _unknown([name], known).as_airbyte_message(descriptor)
        yield as_airbyte_message(descriptor, AirbyteStreamStatus.INCOMPLETE)


def _unknown(names: list[str], known: Collection[str]) -> AirbyteTracedException:
    return AirbyteTracedException(
        message=f"The catalog names streams that do not exist: {', '.join(names)}. Refresh the schema of the "
        f"connection, or remove them; the streams are {', '.join(known)}, and those that `extra_streams` names.",
        failure_type=FailureType.config_error,
    )


def _configured(stream: AirbyteStream) -> ConfiguredAirbyteStream:
    is_incremental = SyncMode.incremental in stream.supported_sync_modes
    return ConfiguredAirbyteStream(
        stream=stream,
        sync_mode=SyncMode.incremental if is_incremental else SyncMode.full_refresh,
        destination_sync_mode=DestinationSyncMode.append_dedup if is_incremental else DestinationSyncMode.overwrite,
        primary_key=stream.source_defined_primary_key,
        cursor_field=stream.default_cursor_field,
    )
