"""A real ClickHouse for tests: `Engine` runs it, `ClickHouse` holds the tables of one test."""

from .engine import Answer, ClickHouseError, Engine
from .tables import ClickHouse, Table

__all__ = ["Answer", "ClickHouse", "ClickHouseError", "Engine", "Table"]
