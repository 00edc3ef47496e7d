"""The configured catalog of a sync: what to read and how."""

from collections.abc import Collection
from difflib import get_close_matches

from airbyte_cdk.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    FailureType,
    SyncMode,
)
from airbyte_cdk.utils import AirbyteTracedException


def configured_catalog(found: AirbyteCatalog, names: Collection[str] = ()) -> ConfiguredAirbyteCatalog:
    """The streams of `found`, which is what `discover` returns, as a sync reads them.

    All of them, or those with these `names`: incremental and deduplicated where that is possible, else overwritten.
    Raises AirbyteTracedException (config_error) for a name that is not in `found`.
    """
    known = [stream.name for stream in found.streams]
    if unknown := sorted(set(names) - set(known)):
        raise _unknown(unknown, known)
    return ConfiguredAirbyteCatalog(
        streams=[_configured(stream) for stream in found.streams if not names or stream.name in names]
    )


def missing(names: Collection[str], known: Collection[str]) -> dict[str, AirbyteTracedException]:
    """Those of `names` that are not `known`, each with its error."""
    return {name: _unknown([name], known) for name in sorted(set(names) - set(known))}


def _unknown(names: list[str], known: Collection[str]) -> AirbyteTracedException:
    near = get_close_matches(names[0].lower(), known, n=1)
    advice = f"Did you mean `{near[0]}`? Else refresh" if near else "Refresh"
    return AirbyteTracedException(
        message=f"The catalog names streams that do not exist: {', '.join(names)}. {advice} the schema of the "
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
