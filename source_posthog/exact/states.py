"""The state of a stream, in whatever form: made entries by project.

{"states": [{"partition": {"project_id": 7}, "cursor": {...}}]}  as the CDK's own cursors write it
{"__ab_full_refresh_sync_complete": true}                        the CDK's word that there is nothing to go on from
"""

from collections.abc import Mapping
from typing import Any

FLAG = "__ab_"  # how the names of the CDK's flags begin


def entries(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`content`, the state of a stream, by project and without flags; and the names of what in it is not taken.

    A cursor that stands for all partitions is not: a project that it had not seen would begin there too.
    """
    ignored: list[str] = []
    if isinstance(content.get("states"), list) or "use_global_cursor" in content:
        content = _by_project(content, ignored)
    plain = {project: _without_flags(entry) for project, entry in content.items() if not project.startswith(FLAG)}
    # An entry that had nothing but flags says nothing of its project.
    return {project: entry for project, entry in plain.items() if entry != {} or content[project] == {}}, ignored


def _by_project(content: Mapping[str, Any], ignored: list[str]) -> dict[str, Any]:
    found = {}
    for one in content.get("states") or []:
        match one:
            case {"partition": {"project_id": project}, "cursor": {**cursor}} if "slices" not in cursor:
                found[str(project)] = cursor
            case _:
                ignored.append("a partition in `states`")
    if content.get("use_global_cursor"):
        ignored.append("the cursor for all partitions")
    return found


def _without_flags(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {name: value for name, value in entry.items() if not name.startswith(FLAG)}
