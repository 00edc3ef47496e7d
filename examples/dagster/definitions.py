"""PostHog's events in Dagster: a partition for each project and month, and each is one run of the connector.

A partition is one Parquet file, `events/project=12/month=2026-01-01.parquet`, written when all of it has been read. A
run that fails is retried automatically, unless only you can mend what is wrong, such as the key. It can be repeated at
any time, and then replaces only its own file.
"""

import json
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

import dagster as dg
import duckdb

PARTITIONS = dg.MultiPartitionsDefinition(
    {
        "project": dg.StaticPartitionsDefinition(os.environ["POSTHOG_PROJECTS"].split(",")),
        "month": dg.MonthlyPartitionsDefinition(os.environ.get("POSTHOG_START", "2026-01-01"), end_offset=1),
    }
)
OUTPUT = Path(os.environ.get("POSTHOG_OUTPUT", "events"))

# In seconds. The connector itself waits for throttles and retries broken answers; what ends it takes longer.
TRY_AGAIN = dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

CATALOG = {
    "streams": [
        {
            "stream": {"name": "events", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}

TO_PARQUET = """
    copy (
        select
            record ->> 'id' as id,
            record ->> 'event' as event,
            record ->> 'distinct_id' as distinct_id,
            cast(record ->> 'timestamp' as timestamptz) as timestamp,
            cast(record ->> 'project_id' as bigint) as project_id,
            record -> 'properties' as properties,
            record -> 'person' as person
        from (
            select json -> '$.record.data' as record
            from read_ndjson_objects('{messages}')
            where json ->> 'type' = 'RECORD'
        )
    ) to '{file}' (format parquet)
"""


class PostHog(dg.ConfigurableResource):
    """An account, and the connector that reads it.

    Attributes:
        command: runs the connector, which may have an environment of its own.
        options: further ones of the connector.
    """

    api_key: str
    base_url: str
    command: list[str]
    options: dict[str, str] = {"events_api": "query"}  # noqa: RUF012 - a default of pydantic's, which copies it

    def read(self, messages: Path, **options: object) -> None:
        """Write the messages of one run to `messages`. Raises dagster.Failure with the connector's own sentences."""
        config = {"api_key": self.api_key, "base_url": self.base_url, **self.options, **options}
        line = [*self.command, "read"]
        for name, content in {"config": config, "catalog": CATALOG}.items():
            file = messages.with_name(f"{name}.json")
            file.write_text(json.dumps(content))
            line += [f"--{name}", str(file)]
        with messages.open("w") as output:
            done = subprocess.run(line, stdout=output, check=False)
        if done.returncode:
            errors = _errors(messages)
            raise dg.Failure(
                " ".join(error["message"] for error in errors) or f"The connector ended with status {done.returncode}.",
                allow_retries=not errors or any(error["failure_type"] != "config_error" for error in errors),
            )


def _errors(messages: Path) -> list[dict[str, str]]:
    with messages.open() as lines:
        traces = [json.loads(line)["trace"] for line in lines if line.startswith('{"type":"TRACE"')]
    return [trace["error"] for trace in traces if trace["type"] == "ERROR"]


@dg.asset(partitions_def=PARTITIONS, retry_policy=TRY_AGAIN, pool="posthog")
def events(context: dg.AssetExecutionContext, posthog: PostHog) -> dg.MaterializeResult:
    """The events of one project in one month, in UTC."""
    key, month = context.partition_key.keys_by_dimension, context.partition_time_window
    folder = OUTPUT / f"project={key['project']}"
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the file, which then only has to be renamed: it is there as a whole or not at all.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as scratch, duckdb.connect() as database:
        messages, new = Path(scratch, "messages.jsonl"), Path(scratch, "new.parquet")
        posthog.read(
            messages,
            project_ids=[int(key["project"])],
            start_date=f"{month.start:%Y-%m-%dT%H:%M:%SZ}",
            end_date=f"{month.end:%Y-%m-%dT%H:%M:%SZ}",
        )
        rows = database.execute(TO_PARQUET.format(messages=messages, file=new)).fetchone()[0]
        new.replace(folder / f"month={key['month']}.parquet")
    return dg.MaterializeResult(metadata={"dagster/partition_row_count": rows})


account = PostHog(
    api_key=dg.EnvVar("POSTHOG_KEY"),
    base_url=os.environ.get("POSTHOG_URL", "https://us.posthog.com"),
    command=shlex.split(os.environ.get("POSTHOG_CONNECTOR", "source-posthog")),
)
defs = dg.Definitions(assets=[events], resources={"posthog": account})
