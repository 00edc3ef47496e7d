"""What a server of January 2024 says of a query that its schema does not allow: everything that each kind dislikes."""

from typing import Any

from .traffic import Refusal

_KINDS = (
    *("DataVisualizationNode", "DataTableNode", "SavedInsightNode", "InsightVizNode", "TrendsQuery", "FunnelsQuery"),
    *("RetentionQuery", "PathsQuery", "StickinessQuery", "LifecycleQuery", "TimeToSeeDataSessionsQuery"),
    *("TimeToSeeDataQuery", "TimeToSeeDataJSONNode", "TimeToSeeDataWaterfallNode", "DatabaseSchemaQuery"),
    *("EventsNode", "ActionsNode", "PersonsNode", "PersonsQuery", "EventsQuery", "HogQLQuery", "HogQLMetadata"),
    *("WebOverviewQuery", "WebTopClicksQuery"),
)
_SHOWN = 50  # characters of a value


def schema_error(query: Any, unknown: list[str]) -> Refusal:
    """400 with a detail of hundreds of lines. `unknown`: what the query's own kind does not know of it."""
    if not isinstance(query, dict):
        return _refusal([_error(kind, "Input should be a valid dictionary", "model_type", query) for kind in _KINDS])
    errors = []
    for kind in _KINDS:
        own = kind == query.get("kind")
        if not own:
            errors.append(_error(f"{kind}.kind", f"Input should be '{kind}'", "literal_error", query.get("kind")))
        names = unknown if own else [name for name in query if name != "kind"]
        for name in names:
            value: Any = query
            for part in name.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            errors.append(_error(f"{kind}.{name}", "Extra inputs are not permitted", "extra_forbidden", value))
    return _refusal(errors)


def _error(place: str, sentence: str, type_: str, value: Any) -> str:
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = f"{shown[: _SHOWN // 2]}...{shown[-_SHOWN // 2 :]}"
    return (
        f"{place}\n  {sentence} [type={type_}, input_value={shown}, input_type={type(value).__name__}]\n"
        f"    For further information visit https://errors.pydantic.dev/2.3/v/{type_}"
    )


def _refusal(errors: list[str]) -> Refusal:
    detail = "\n".join([f"{len(errors)} validation errors for QuerySchema", *errors])
    return Refusal(400, "parse_error", detail, type_="invalid_request")
