"""Has the CDK parse and check the manifest once in a process, not for each of the thousands of sources of the tests.

It takes a quarter of a second, more than all else in a small sync, and the same file gives the same components.
"""

import pickle
from collections.abc import Callable
from functools import cache
from typing import IO, Any

from airbyte_cdk.sources.declarative import concurrent_declarative_source, yaml_declarative_source
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.utils.yaml_loader import safe_load_yaml


@cache
def parse_once() -> None:
    """From here on a manifest with the same content is parsed, resolved and validated once."""
    load = cache(safe_load_yaml)
    resolve = ConcurrentDeclarativeSource._pre_process_manifest
    validate = concurrent_declarative_source.validate_manifest
    resolved: dict[bytes, dict[str, Any]] = {}
    valid: set[bytes] = set()

    def load_once(file: IO[str]) -> Any:
        return load(file.read())

    def resolve_once(source: ConcurrentDeclarativeSource, manifest: dict[str, Any]) -> dict[str, Any]:
        key = pickle.dumps(manifest)
        if key not in resolved:
            resolved[key] = resolve(source, manifest)
        return resolved[key]

    def validate_once(manifest: dict[str, Any], schema: dict[str, Any]) -> None:
        key = pickle.dumps(manifest)
        if key not in valid:
            validate(manifest, schema)
            valid.add(key)

    replace: Callable[..., None] = setattr
    replace(yaml_declarative_source, "safe_load_yaml", load_once)
    replace(ConcurrentDeclarativeSource, "_pre_process_manifest", resolve_once)
    replace(concurrent_declarative_source, "validate_manifest", validate_once)
    schema = concurrent_declarative_source.get_declarative_component_schema
    replace(concurrent_declarative_source, "get_declarative_component_schema", cache(schema))
