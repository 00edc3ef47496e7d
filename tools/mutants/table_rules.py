"""The rules of the extra streams that are read by queries of the manifest, which `make mutants` breaks."""

from tools.mutants.rules import Rule

RANGE, TABLES = (f"source_posthog/streams/{name}.py" for name in ("range_cursor", "tables"))
MANIFEST = "source_posthog/manifest.yaml"


def _tables(name: str) -> tuple[str, ...]:
    """One test of whole syncs."""
    return (f"integration_tests/test_table_streams.py::test_{name}",)


KILLED = _tables("a_first_sync_that_is_killed_is_gone_on_with_and_history_that_was_imported_is_not_left_out")
RANGES = _tables("a_range_that_the_state_does_not_cover_is_read_whole")

TABLE_RULES = (
    Rule(
        "only a sync that came to its end looks at the last days alone",
        RANGE,
        "is_complete = {COMPLETE: True} if COMPLETE in self._entries.get(project, {}) else {}",
        "is_complete = {COMPLETE: True}",
        KILLED,
    ),
    Rule(
        "sessions are looked at for as long as they can change",
        RANGE,
        "declared_duration(self.late, self.config)",
        "declared_duration('', self.config)",
        _tables("a_late_event_brings_its_session_again_and_a_session_whose_events_are_all_late_is_found"),
    ),
    Rule(
        "and not for longer, which costs",
        RANGE,
        "start = max(start, earlier(",
        "start = min(start, earlier(",
        _tables("the_bounds_stand_where_posthog_skips_what_lies_outside"),
    ),
    Rule(
        "a state is about its own range: its start",
        RANGE,
        'since <= instant(self._range["since"]) and ',
        "",
        RANGES,
    ),
    Rule("and its end", RANGE, ' and instant(self._range.get("end", NO_END)) <= end', "", RANGES),
    Rule(
        "columns are asked for without reading a row",
        RANGE,
        'return {"start": NO_END, "end": NO_END}',
        'return self.values("")',
        _tables("the_bounds_stand_where_posthog_skips_what_lies_outside"),
    ),
    Rule(
        "members are in two tables",
        MANIFEST,
        "UNION ALL SELECT cohort_id, person_id FROM static_cohort_people",
        "",
        _tables("every_row_comes_once_and_a_full_refresh_reads_all_again_with_what_changed"),
    ),
    Rule(
        "and come once",
        MANIFEST,
        "SELECT DISTINCT cohort_id, person_id FROM (",
        "SELECT cohort_id, person_id FROM (",
        _tables("every_row_comes_once_and_a_full_refresh_reads_all_again_with_what_changed"),
    ),
    Rule(
        "sessions are read by the arrival of their newest event",
        MANIFEST,
        "column: max_inserted_at #",
        "column: start_timestamp #",
        _tables("a_session_that_changes_while_it_is_read_is_not_lost"),
    ),
    Rule(
        "properties that are none stay text",
        TABLES,
        'set_properties(data, data["properties"], _decoded)',
        'data["properties"] = _decoded(data["properties"])',
        _tables("the_properties_of_a_group_are_an_object_and_what_is_none_is_kept_as_text"),
    ),
)
