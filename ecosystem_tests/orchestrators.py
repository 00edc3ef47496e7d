"""The environment of the examples for Dagster and dlt, which both write with DuckDB."""

from pathlib import Path

from posthog_server.environments import ROOT, environment

DAGSTER, DLT = ROOT / "examples" / "dagster", ROOT / "examples" / "dlt"


def orchestrators() -> Path:
    files = [str(folder / "requirements.txt") for folder in (DAGSTER, DLT)]
    return environment("orchestrators", "-r", files[0], "-r", files[1])
