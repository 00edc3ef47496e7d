"""The fields of each stream that PostHog is known to send, by the kind of their values."""

from collections.abc import Mapping

from .extra import EXTRA

# "list of ..." has items of that kind.
FIELDS: dict[str, Mapping[str, str]] = {
    "projects": {
        "text": "uuid organization api_token name timezone",
        "number": "project_id effective_membership_level event_retention_months",
        "flag": "completed_snippet_onboarding ingested_event is_demo access_control events_retention_enforced",
        "time": "created_at updated_at",
        "any": "has_completed_onboarding_for",
    },
    "cohorts": {
        "text": "name description last_error_message cohort_type search_match_type",
        "number": "version pending_version errors_calculating count last_import_total_count "
        "last_import_unmatched_count",
        "flag": "deleted is_calculating is_static",
        "time": "created_at last_calculation last_backfill_person_properties_at",
        "object": "filters query condition_type realtime",
        "user": "created_by",
        "list of object": "groups",
        "list of number": "experiment_set",
    },
    "feature_flags": {
        "text": "name key user_access_level creation_context status evaluation_runtime bucketing_identifier",
        "number": "version usage_dashboard",
        "float": "rollout_percentage",
        "flag": "deleted active archived is_simple_flag ensure_experience_continuity performed_rollback can_edit "
        "has_enriched_analytics is_remote_configuration has_encrypted_payloads is_used_in_replay_settings "
        "is_eligible_for_experiment",
        "time": "created_at updated_at last_called_at",
        "object": "filters",
        "user": "created_by last_modified_by",
        "list of object": "experiment_set_metadata surveys features",
        "list of number": "experiment_set analytics_dashboards",
        "list of text": "tags evaluation_tags evaluation_contexts",
        "any": "rollback_conditions",
    },
    "persons": {
        "text": "uuid type",
        "float": "value_at_data_point",
        "flag": "is_identified",
        "time": "created_at last_seen_at",
        "object": "properties",
        "list of object": "matched_recordings",
        "list of text": "distinct_ids",
        "any": "name",
    },
    "events": {
        "text": "distinct_id event elements_chain person_id _unreadable",
        "time": "created_at",
        "properties": "properties",
        "person": "person",
        "element": "elements",
    },
    "annotations": {
        "text": "content creation_type dashboard_name insight_short_id insight_name insight_derived_name scope emoji",
        "number": "dashboard_item dashboard_id",
        "flag": "deleted hidden_in_user_interface",
        "list of text": "tags",
        "time": "date_marker created_at updated_at",
        "user": "created_by",
    },
    "insights": {
        "text": "short_id name derived_name filters_hash description user_access_level timezone hogql "
        "search_match_type",
        "number": "order effective_restriction_level effective_privilege_level",
        "flag": "deleted hasMore favorited saved is_sample is_cached refreshing",
        "time": "last_refresh cache_target_age next_allowed_client_refresh created_at updated_at last_modified_at "
        "last_viewed_at",
        "object": "filters query resolved_date_range filter_override_context",
        "user": "created_by last_modified_by",
        "list of object": "dashboard_tiles alerts",
        "list of number": "dashboards",
        "list of text": "columns tags",
        "list of any": "types",
        "any": "result query_status query_scan warnings",
    },
}
FIELDS |= {name: one.fields for name, one in EXTRA.items()}
USER = {
    "number": "id",
    "text": "uuid distinct_id first_name last_name email role_at_organization",
    "flag": "is_email_verified",
    "object": "hedgehog_config",
}
ELEMENT = {
    "text": "event text tag_name href attr_id",
    "list of text": "attr_class",
    "number": "nth_child nth_of_type order",
    "object": "attributes",
}
PERSON = {"flag": "is_identified", "text": "uuid created_at", "list of text": "distinct_ids", "object": "properties"}
NESTED = {"user": USER, "element": ELEMENT, "person": PERSON}
