#!/usr/bin/env python3
"""A Singer tap for PostHog: runs the connector, and writes what it reads as Singer's messages.

    tap_posthog.py --config config.json [--state state.json]

The configuration is that of the connector, with two more options: `streams` (default: all), and `connector`, its
command.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--state")
    given = parser.parse_args()
    config = json.loads(Path(given.config).read_text())
    state = json.loads(Path(given.state).read_text()) if given.state else {}
    connector, streams = shlex.split(config.pop("connector", "source-posthog")), config.pop("streams", [])
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, f"{name}.json") for name in ("config", "catalog", "state")}
        files["config"].write_text(json.dumps(config))
        files["state"].write_text(json.dumps(to_airbyte(state)))
        with files["catalog"].open("w") as catalog:
            line = [*connector, "catalog", "--config", str(files["config"]), *streams]
            if status := subprocess.run(line, stdout=catalog, check=False).returncode:
                return status
        for one in json.loads(files["catalog"].read_text())["streams"]:
            key = [path[0] for path in one["primary_key"]]
            schema = one["stream"]["json_schema"]
            write(type="SCHEMA", stream=one["stream"]["name"], schema=schema, key_properties=key)
        return read([*connector, "read", *(word for name in files for word in (f"--{name}", str(files[name])))], state)


def to_airbyte(state: dict) -> list[dict]:
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}, "stream_state": bookmark}}
        for stream, bookmark in state.get("bookmarks", {}).items()
    ]


def read(line: list[str], state: dict) -> int:
    """Write all records, and after each state of a stream those of all streams; the connector's exit status."""
    bookmarks = dict(state.get("bookmarks", {}))
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, encoding="utf-8") as sync:
        for text in sync.stdout:
            if not text.startswith("{"):  # a warning of Python, which Meltano turns on
                print(text, end="", file=sys.stderr)
                continue
            message = json.loads(text)
            if message["type"] == "RECORD":
                write(type="RECORD", stream=message["record"]["stream"], record=message["record"]["data"])
            elif message["type"] == "STATE":
                stream = message["state"]["stream"]
                bookmarks[stream["stream_descriptor"]["name"]] = stream["stream_state"]
                write(type="STATE", value={"bookmarks": bookmarks})
            elif message["type"] == "LOG":
                print(message["log"]["message"], file=sys.stderr)
            elif message["type"] == "TRACE" and message["trace"]["type"] == "ERROR":
                print(message["trace"]["error"]["message"], file=sys.stderr)
    return sync.returncode


def write(**message: object) -> None:
    print(json.dumps(message), flush=message["type"] == "STATE")


if __name__ == "__main__":
    sys.exit(main())
