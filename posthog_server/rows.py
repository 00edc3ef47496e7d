"""Rows of every list but events as PostHog writes them, each field with a value that the real server could give."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from .values import DAY, EPOCH, Row, microseconds, random_uuid

START = microseconds("2026-01-01T00:00:00Z")  # all demo data lies in the three months from here
DAYS = 90
HUGE = 123456789012345678901234567890  # beyond 64 bits: JSON allows it, many readers do not

ODD_TEXTS = ("", " ", "Zoë 🦔 日本語", "a\u0000b", 'say "hi"', "\u2028line\nbreak\t", "null", "2026-13-45", "ﷺ" * 20)


def drf_time(at: int) -> str:
    """`at` (microseconds) as every list but events writes it."""
    return (EPOCH + timedelta(microseconds=at)).isoformat().replace("+00:00", "Z")


def any_time(rng: random.Random) -> str:
    return drf_time(START + rng.randrange(DAYS * DAY))


def maybe(rng: random.Random, value: Any) -> Any:
    """`value`, or null one time in four."""
    return None if rng.random() < 0.25 else value


def deep(levels: int) -> Row:
    """An object nested `levels` deep."""
    value: Row = {"end": True}
    for level in range(levels):
        value = {"level": level, "in": [value]}
    return value


def make_user(rng: random.Random) -> Row:
    number = rng.randrange(1, 20)
    return {
        "id": number,
        "uuid": f"0190b000-0000-7000-8000-{number:012x}",
        "distinct_id": maybe(rng, f"staff-{number}"),
        "first_name": rng.choice(("Ada", "Grace", "Zoë", "李")),
        "last_name": rng.choice(("", "Lovelace", "O'Hara")),
        "email": f"staff{number}@example.com",
        "is_email_verified": maybe(rng, True),
        "hedgehog_config": maybe(
            rng, {"use_as_profile": True, "color": "green", "accessories": ["beret"], "skin": None}
        ),
        "role_at_organization": rng.choice((None, "", "engineering", "data", "founder")),
    }


def make_persons(n: int, rng: random.Random, project: int = 1) -> list[Row]:
    """`n` persons, newest first. Their distinct ids are those of `make_events`: user-<project>-<number>."""
    times = sorted((START + rng.randrange(DAYS * DAY) for _ in range(n)), reverse=True)
    return [_person(place, at, rng, project) for place, at in enumerate(times)]


def _person(place: int, at: int, rng: random.Random, project: int) -> Row:
    uuid = random_uuid(rng)
    email = f"user{place}@example.com"
    properties: Row = {"email": email, "$initial_browser": "Firefox", "plan": rng.choice(("free", "paid", None))}
    name: Any = email
    distinct_ids = [f"user-{project}-{place}", random_uuid(rng)]
    if place % 29 == 0:  # a name is given as it is stored, so it need not be a string
        properties["email"] = name = HUGE
    elif place % 17 == 0:
        properties |= {"name": ODD_TEXTS[place % len(ODD_TEXTS)], "username": None, "deep": deep(40), "score": 1e300}
    elif place % 13 == 0:
        properties, name = {}, distinct_ids[0]
    if place == 1:
        distinct_ids += [f"device-{project}-{number}" for number in range(998)]  # the server gives 1000 at most
    row: Row = {
        "type": "person",
        "id": uuid,
        "uuid": uuid,
        "created_at": drf_time(at),
        "last_seen_at": maybe(rng, drf_time(at + rng.randrange(DAY))),
        "properties": properties,
        "is_identified": maybe(rng, rng.random() < 0.5),
        "name": name,
        "distinct_ids": distinct_ids,
        "matched_recordings": [],
        "value_at_data_point": None,
    }
    if place % 11 == 0:
        del row["last_seen_at"]  # as on older servers
    return row


def make_rows(stream: str, n: int, rng: random.Random, project: int = 1) -> list[Row]:
    """`n` rows of any stream but projects and events, their ids in ascending order and unlike other projects' ids."""
    if stream == "persons":
        return make_persons(n, rng, project)
    make: dict[str, Callable[[int, random.Random], Row]] = {
        "cohorts": _cohort,
        "feature_flags": _feature_flag,
        "annotations": _annotation,
        "insights": _insight,
    }
    return [make[stream](project * 100_000 + place, rng) for place in range(n)]


def _cohort(id: int, rng: random.Random) -> Row:
    leaf = {"key": "email", "type": "person", "value": ["@example.com"], "operator": "icontains", "negation": False}
    row: Row = {
        "id": id,
        "name": maybe(rng, rng.choice(("Power users", *ODD_TEXTS))),
        "description": rng.choice(("", "Those who come back")),
        "groups": rng.choice(([], [{"properties": {}, "action_id": None, "days": 7, "count": HUGE}])),
        "deleted": False,
        "filters": maybe(rng, {"properties": {"type": "OR", "values": [{"type": "AND", "values": [leaf, deep(5)]}]}}),
        "query": None,
        "version": maybe(rng, 3),
        "pending_version": maybe(rng, 4),
        "is_calculating": False,
        "created_by": maybe(rng, make_user(rng)),
        "created_at": any_time(rng),
        "last_calculation": maybe(rng, any_time(rng)),
        "last_backfill_person_properties_at": None,
        "errors_calculating": rng.randrange(3),
        "last_error_message": None,
        "count": maybe(rng, rng.randrange(10_000)),
        "last_import_total_count": None,
        "last_import_unmatched_count": None,
        "is_static": rng.random() < 0.3,
        "cohort_type": rng.choice((None, "", "static", "behavioral")),
        "condition_type": {"person_properties": True, "behavioral": False, "lifecycle": False, "cohorts": False},
        "realtime": maybe(rng, {"state": "ready", "ready_at": any_time(rng), "build": None}),
        "experiment_set": rng.choice(([], [7, 9])),
    }
    return _older(row, rng, "condition_type", "realtime", "last_import_total_count", "last_import_unmatched_count")


def _feature_flag(id: int, rng: random.Random) -> Row:
    groups = [
        {
            "properties": [{"key": "plan", "type": "person", "value": rng.choice(("paid", ["a", 1], HUGE, None))}],
            "rollout_percentage": rng.choice((None, 0, 33.333, 100)),
            "variant": None,
        }
    ]
    row: Row = {
        "id": id,
        "name": rng.choice(("", "New checkout", "Zoë 🦔")),
        "key": f"flag-{id}",
        "filters": {"groups": groups, "multivariate": None, "payloads": {"true": '{"a": 1}'}},
        "deleted": False,
        "active": rng.random() < 0.7,
        "archived": False,
        "created_by": maybe(rng, make_user(rng)),
        # Few different days, so that the default order leaves much open.
        "created_at": drf_time(START + rng.randrange(4) * DAY),
        "updated_at": maybe(rng, any_time(rng)),
        "version": rng.randrange(1, 9),
        "last_modified_by": maybe(rng, make_user(rng)),
        "is_simple_flag": False,
        "rollout_percentage": maybe(rng, 12.5),
        "ensure_experience_continuity": maybe(rng, False),
        "experiment_set": rng.choice(([], [7])),
        "experiment_set_metadata": rng.choice(([], [{"id": 7, "name": "Checkout", "is_running": True}])),
        "surveys": [],
        "features": rng.choice(([], [{"id": random_uuid(rng), "name": "Beta", "stage": "beta"}])),
        "rollback_conditions": None,
        "performed_rollback": None,
        "can_edit": True,
        "tags": rng.choice(([], ["checkout", "日本"])),
        "evaluation_tags": [],
        "evaluation_contexts": rng.choice(([], ["production"])),
        "usage_dashboard": maybe(rng, 11),
        "analytics_dashboards": [],
        "has_enriched_analytics": maybe(rng, True),
        "user_access_level": "editor",
        "is_remote_configuration": maybe(rng, False),
        "has_encrypted_payloads": maybe(rng, False),
        "status": rng.choice(("ACTIVE", "STALE", "UNKNOWN")),
        "evaluation_runtime": rng.choice((None, "", "server", "all")),
        "bucketing_identifier": rng.choice((None, "", "distinct_id")),
        "last_called_at": maybe(rng, any_time(rng)),
        "is_used_in_replay_settings": False,
        "is_eligible_for_experiment": False,
    }
    return _older(row, rng, "is_simple_flag", "rollout_percentage", "evaluation_tags", "is_eligible_for_experiment")


def _annotation(id: int, rng: random.Random) -> Row:
    on_insight = rng.random() < 0.3
    row: Row = {
        "id": id,
        "content": maybe(rng, rng.choice(("Release 1.2", *ODD_TEXTS))),
        "date_marker": maybe(rng, any_time(rng)),
        "creation_type": rng.choice(("USR", "GIT")),
        "dashboard_item": 5 if on_insight else None,
        "dashboard_id": 11 if on_insight else None,
        "dashboard_name": "Growth" if on_insight else None,
        "insight_short_id": "aB3dE5gH" if on_insight else None,
        "insight_name": maybe(rng, "Signups") if on_insight else None,
        "insight_derived_name": "Pageview count" if on_insight else None,
        "created_by": maybe(rng, make_user(rng)),
        "created_at": maybe(rng, any_time(rng)),
        "updated_at": any_time(rng),
        "deleted": False,
        "scope": "dashboard_item" if on_insight else "tag" if id % 10 == 7 else "project",
        "tags": ["release", "日本"] if id % 10 == 7 else [],
        "emoji": maybe(rng, "🚀"),
        "hidden_in_user_interface": maybe(rng, False),
    }
    return _older(row, rng, "emoji", "hidden_in_user_interface")


def _insight(id: int, rng: random.Random) -> Row:
    results: tuple[Any, ...] = (
        None,
        [],
        [{"label": "$pageview", "count": 12.0, "data": [1, 2, HUGE], "days": ["2026-01-01"]}],
        [["Firefox", 3], ["Safari", None]],
        {"steps": [deep(10)]},
        17,
        "none",
    )
    row: Row = {
        "id": id,
        "short_id": f"{rng.getrandbits(40):010x}"[:8],
        "name": maybe(rng, rng.choice(("Signups", *ODD_TEXTS))),
        "derived_name": maybe(rng, "Pageview count"),
        "filters": rng.choice(({}, {"insight": "TRENDS", "events": [{"id": "$pageview", "order": 0}]})),
        "filters_hash": maybe(rng, f"cache_{rng.getrandbits(64):016x}"),
        "query": maybe(rng, {"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": [deep(4)]}}),
        "order": maybe(rng, rng.randrange(10)),
        "deleted": False,
        "dashboards": [11],
        "dashboard_tiles": [{"id": id + 1, "dashboard_id": 11, "deleted": None}],
        "last_refresh": maybe(rng, any_time(rng)),
        "cache_target_age": maybe(rng, any_time(rng)),
        "next_allowed_client_refresh": maybe(rng, any_time(rng)),
        "result": rng.choice(results),
        "hasMore": maybe(rng, False),
        "columns": maybe(rng, ["browser", "count()"]),
        "created_at": maybe(rng, any_time(rng)),
        "created_by": maybe(rng, make_user(rng)),
        "description": maybe(rng, ""),
        "updated_at": any_time(rng),
        "tags": rng.choice(([], ["kpi"])),
        "favorited": False,
        "saved": True,
        "last_modified_at": any_time(rng),
        "last_modified_by": maybe(rng, make_user(rng)),
        "is_sample": False,
        "effective_restriction_level": 21,
        "effective_privilege_level": rng.choice((21, 37)),
        "user_access_level": maybe(rng, "viewer"),
        "timezone": maybe(rng, "UTC"),
        "is_cached": rng.random() < 0.5,
        "query_status": maybe(rng, {"id": random_uuid(rng), "complete": True, "error": False}),
        "hogql": maybe(rng, "SELECT count() FROM events"),
        "types": rng.choice((None, ["String", "UInt64"], [["browser", "String"]])),
        "resolved_date_range": maybe(rng, {"date_from": any_time(rng), "date_to": any_time(rng)}),
        "query_scan": None,
        "warnings": None,
        "alerts": rng.choice(([], [{"id": random_uuid(rng), "name": "Drop", "enabled": True}])),
        "filter_override_context": None,
        "last_viewed_at": maybe(rng, any_time(rng)),
    }
    return _older(row, rng, "dashboards", "query_scan", "warnings", "filter_override_context")


def _older(row: Row, rng: random.Random, *fields: str) -> Row:
    """`row`, one time in five without `fields`, which not every version of the server knows."""
    if rng.random() < 0.2:
        for name in fields:
            del row[name]
    return row
