"""PostHog in dlt: each stream of the connector is a resource, and its state is kept with the pipeline's.

    python posthog_pipeline.py events persons

reads config.json, the connector's configuration, and fills the tables of a DuckDB, from_posthog.duckdb.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["DLT_USE_JSON"] = "simplejson"  # dlt's default refuses integers of more than 64 bits

import dlt

CONNECTOR = shlex.split(os.environ.get("POSTHOG_CONNECTOR", "source-posthog"))

TYPES = {"integer": "bigint", "number": "double", "boolean": "bool", "array": "json", "object": "json"}


@dlt.source(name="posthog", max_table_nesting=0)
def posthog(config: dict[str, Any], streams: list[str]) -> Iterator[Any]:
    for stream in streams:
        catalog = subprocess.check_output([*CONNECTOR, "catalog", stream], text=True)
        (configured,) = json.loads(catalog)["streams"]
        fields = configured["stream"]["json_schema"]["properties"]
        yield dlt.resource(
            records(config, catalog),
            name=stream,
            primary_key=[path[0] for path in configured["primary_key"]],
            write_disposition="merge",
            columns={name: {"data_type": data_type(field)} for name, field in fields.items()},
        )


def data_type(field: dict[str, Any]) -> str:
    """dlt's type for that of a JSON schema; text where there are several, as for the name of a person."""
    if field.get("format") == "date-time":
        return "timestamp"
    types = {field["type"]} if isinstance(field["type"], str) else {*field["type"]} - {"null"}
    return TYPES.get("".join(types), "text")


def records(config: dict[str, Any], catalog: str) -> Iterator[dict[str, Any]]:
    """What is new. dlt saves the state together with the rows, once all of them are loaded."""
    kept, reasons = dlt.current.resource_state(), []
    with tempfile.TemporaryDirectory() as folder:
        line = [*CONNECTOR, "read"]
        files = {"config": json.dumps(config), "catalog": catalog, "state": kept.get("message", "")}
        for name, content in files.items():
            path = Path(folder, name)
            path.write_text(content)
            line += [f"--{name}", str(path)]
        with subprocess.Popen(line, stdout=subprocess.PIPE) as sync:
            for message in map(json.loads, sync.stdout):
                if message["type"] == "RECORD":
                    yield message["record"]["data"]
                elif message["type"] == "STATE":
                    kept["message"] = json.dumps(message)
                elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                    reasons.append(message["trace"]["error"]["message"])
    if sync.returncode:
        raise RuntimeError(" ".join(reasons) or f"The connector ended with status {sync.returncode}.")


if __name__ == "__main__":
    pipeline = dlt.pipeline("from_posthog", destination="duckdb", dataset_name="posthog")
    pipeline.run(posthog(json.loads(Path("config.json").read_text()), sys.argv[1:]))
    print(pipeline.last_trace.last_normalize_info.row_counts)
