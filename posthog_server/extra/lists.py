"""The objects that people make in a project, each in a list page by page."""

import random

from ..ages import Age
from ..rows import ODD_TEXTS, any_time, deep, make_user, maybe
from ..values import Row, encode, microseconds, random_uuid
from .objects import Asked, ExtraObject, by_offset, in_order


def _survey(number: int, rng: random.Random) -> Row:
    return {
        "id": random_uuid(rng),
        "name": rng.choice(("How likely are you to recommend us?", *ODD_TEXTS)),
        "description": rng.choice(("", "After the checkout")),
        "type": rng.choice(("popover", "api", "widget")),
        "schedule": maybe(rng, "once"),
        "linked_flag": maybe(rng, {"id": number, "key": "beta"}),
        "linked_flag_id": maybe(rng, number),
        "linked_insight_id": None,
        "targeting_flag": None,
        "internal_targeting_flag": maybe(rng, {"id": number + 1, "filters": deep(5)}),
        "questions": [{"type": "open", "question": "Why?"}, {"type": "rating", "scale": 10}],
        "conditions": maybe(rng, {"url": "/checkout", "actions": {"values": []}}),
        "appearance": maybe(rng, {"backgroundColor": "#eee"}),
        "created_at": any_time(rng),
        "created_by": maybe(rng, make_user(rng)),
        "start_date": maybe(rng, any_time(rng)),
        "end_date": maybe(rng, any_time(rng)),
        "archived": number % 3 == 0,
        "responses_limit": maybe(rng, 500),
        "iteration_count": maybe(rng, 2),
        "iteration_frequency_days": maybe(rng, 30),
        "iteration_start_dates": maybe(rng, [any_time(rng)]),
        "current_iteration": maybe(rng, 1),
        "current_iteration_start_date": maybe(rng, any_time(rng)),
        "feature_flag_keys": [{"key": "linked_flag_key", "value": "beta"}],
        "response_sampling_limit": maybe(rng, 10),
        "enable_partial_responses": maybe(rng, True),
        "user_access_level": maybe(rng, "editor"),
    }


def _experiment(number: int, rng: random.Random) -> Row:
    return {
        "id": number,
        "name": rng.choice(("Checkout", *ODD_TEXTS)),
        "description": maybe(rng, "Does a shorter form help?"),
        "start_date": maybe(rng, any_time(rng)),
        "end_date": maybe(rng, any_time(rng)),
        "feature_flag_key": f"experiment-{number}",
        "feature_flag": {"id": number, "key": f"experiment-{number}", "filters": deep(4)},
        "holdout": None,
        "holdout_id": None,
        "exposure_cohort": maybe(rng, 7),
        "parameters": maybe(rng, {"feature_flag_variants": [{"key": "control", "rollout_percentage": 50}]}),
        "filters": {},
        "archived": number % 3 == 0,
        "deleted": False,
        "type": rng.choice(("web", "product", None)),
        "exposure_criteria": maybe(rng, {"filterTestAccounts": True}),
        "stats_config": maybe(rng, {"method": "bayesian"}),
        "conclusion": rng.choice((None, "won", "stopped_early")),
        "conclusion_comment": maybe(rng, ""),
        "created_by": maybe(rng, make_user(rng)),
        "created_at": any_time(rng),
        "updated_at": any_time(rng),
        "user_access_level": maybe(rng, "editor"),
    }


def _experiments(rows: list[Row], asked: Asked) -> bytes:
    """Those that are archived, with `archived=true`, or the others."""
    wanted = asked.query.get("archived") == "true"
    return in_order("-created_at")([row for row in rows if bool(row.get("archived")) == wanted], asked)


def _action(number: int, rng: random.Random) -> Row:
    return {
        "id": number,
        "name": maybe(rng, rng.choice(("Signed up", *ODD_TEXTS))),
        "description": "",
        "post_to_slack": False,
        "slack_message_format": "",
        "steps": [{"event": "$autocapture", "text": "Buy", "properties": [deep(2)]}],
        "created_at": any_time(rng),
        "created_by": maybe(rng, make_user(rng)),
        "deleted": number % 11 == 10,
        "is_calculating": False,
        "last_calculated_at": any_time(rng),
        "team_id": 1,
        "is_action": True,
        "bytecode_error": None,
        "pinned_at": maybe(rng, any_time(rng)),
        "tags": rng.choice(([], ["funnel"])),
        "user_access_level": maybe(rng, "editor"),
    }


def _actions(rows: list[Row], asked: Asked) -> bytes:
    """All of them, unless a `limit` is sent, and never a `next`. In January 2024 `limit` meant nothing."""
    if asked.age.is_of_2024:
        return encode({"results": rows})
    rows = asked.moved(rows)
    limit, offset = asked.window
    return encode({"count": len(rows), "results": rows[offset : offset + limit] if "limit" in asked.query else rows})


def _dashboard(number: int, rng: random.Random) -> Row:
    return {
        "id": number,
        "name": maybe(rng, rng.choice(("Growth", *ODD_TEXTS))),
        "description": "",
        "pinned": number % 4 == 0,
        "created_at": any_time(rng),
        "created_by": maybe(rng, make_user(rng)),
        "last_accessed_at": maybe(rng, any_time(rng)),
        "is_shared": False,
        "deleted": number % 11 == 10,
        "creation_mode": rng.choice(("default", "template", "duplicate")),
        "tags": rng.choice(([], ["kpi"])),
        "restriction_level": 21,
        "effective_restriction_level": 21,
        "effective_privilege_level": 37,
        "user_access_level": maybe(rng, "editor"),
        "team_id": 1,
    }


def _dashboards(rows: list[Row], asked: Asked) -> bytes:
    rows = sorted(asked.moved(rows), key=lambda row: row.get("name") or "")
    return by_offset(sorted(rows, key=lambda row: not row.get("pinned")), asked)


def _early_access_feature(number: int, rng: random.Random) -> Row:
    return {
        "id": random_uuid(rng),
        "feature_flag": maybe(rng, {"id": number, "key": f"beta-{number}", "filters": deep(3)}),
        "name": rng.choice(("Dark mode", *ODD_TEXTS)),
        "description": "",
        "stage": rng.choice(("draft", "concept", "alpha", "beta", "general-availability", "archived")),
        "documentation_url": "",
        "payload": maybe(rng, {"icon": "moon"}),
        "created_at": any_time(rng),
    }


def _notebook(number: int, rng: random.Random) -> Row:
    return {
        "id": random_uuid(rng),
        "short_id": f"{rng.getrandbits(40):010x}"[:8],
        "title": maybe(rng, rng.choice(("Why did signups fall?", *ODD_TEXTS))),
        "deleted": number % 11 == 10,
        "created_at": any_time(rng),
        "created_by": maybe(rng, make_user(rng)),
        "last_modified_at": any_time(rng),
        "last_modified_by": maybe(rng, make_user(rng)),
        "user_access_level": maybe(rng, "editor"),
    }


def _notebooks(rows: list[Row], asked: Asked) -> bytes:
    """Those that were changed after `date_from`, where it is given."""
    if since := asked.query.get("date_from"):
        rows = [row for row in rows if microseconds(row["last_modified_at"]) > microseconds(since)]
    return in_order("-last_modified_at")(rows, asked)


OBJECTS = {
    "surveys": ExtraObject(
        path="surveys",
        scope="survey:read",
        make=_survey,
        fields={
            "text": "name description type schedule user_access_level response_sampling_interval_type",
            "number": "linked_flag_id linked_insight_id responses_limit iteration_count iteration_frequency_days "
            "current_iteration response_sampling_interval response_sampling_limit",
            "flag": "archived enable_partial_responses enable_iframe_embedding",
            "time": "created_at start_date end_date current_iteration_start_date response_sampling_start_date",
            "object": "linked_flag targeting_flag internal_targeting_flag conditions appearance "
            "response_sampling_daily_limits translations",
            "list of object": "questions feature_flag_keys",
            "list of text": "iteration_start_dates",
            "user": "created_by",
        },
    ),
    "experiments": ExtraObject(
        path="experiments",
        scope="experiment:read",
        make=_experiment,
        answer=_experiments,
        unknown_to=(Age.JANUARY_2024,),
        fields={
            "text": "name description feature_flag_key type conclusion conclusion_comment user_access_level status",
            "number": "holdout_id exposure_cohort",
            "flag": "archived deleted",
            "time": "start_date end_date created_at updated_at",
            "object": "feature_flag holdout parameters filters exposure_criteria stats_config scheduling_config",
            "user": "created_by",
        },
    ),
    "actions": ExtraObject(
        path="actions",
        scope="action:read",
        make=_action,
        answer=_actions,
        fields={
            "text": "name description slack_message_format bytecode_error user_access_level",
            "number": "team_id",
            "flag": "post_to_slack deleted is_calculating is_action",
            "time": "created_at last_calculated_at pinned_at",
            "list of object": "steps",
            "list of text": "tags",
            "user": "created_by",
        },
    ),
    "dashboards": ExtraObject(
        path="dashboards",
        scope="dashboard:read",
        make=_dashboard,
        answer=_dashboards,
        fields={
            "text": "name description creation_mode access_control_version user_access_level",
            "number": "restriction_level effective_restriction_level effective_privilege_level team_id",
            "flag": "pinned is_shared deleted",
            "time": "created_at last_accessed_at last_viewed_at",
            "list of text": "tags",
            "user": "created_by",
        },
    ),
    "early_access_features": ExtraObject(
        path="early_access_feature",
        scope="early_access_feature:read",
        make=_early_access_feature,
        fields={
            "text": "name description stage documentation_url",
            "time": "created_at",
            "object": "feature_flag payload",
        },
    ),
    "notebooks": ExtraObject(
        path="notebooks",
        scope="notebook:read",
        make=_notebook,
        cursor="last_modified_at",
        answer=_notebooks,
        fields={
            "text": "short_id title user_access_level",
            "flag": "deleted",
            "time": "created_at last_modified_at",
            "user": "created_by last_modified_by",
        },
    ),
}
