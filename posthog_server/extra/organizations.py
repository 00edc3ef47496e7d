"""Organizations, their members and their roles."""

import random
from typing import Any

from ..organization import Organization
from ..rows import any_time, make_user, maybe
from ..traffic import invalid
from ..values import Row, microseconds, random_uuid
from .objects import Asked, ExtraObject, by_offset, unordered


def of_joining(rows: list[Row], asked: Asked) -> bytes:
    """The members, those who joined last first, or in the order of `order`. `updated_after` is exclusive.

    Raises Refusal (400) where that is no instant.
    """
    if after := asked.query.get("updated_after"):
        try:
            bound = microseconds(after)
        except ValueError:
            raise invalid(f"“{after}” value has an invalid format.") from None
        rows = [row for row in rows if microseconds(row["updated_at"]) > bound]
    order = asked.query.get("order") or "-joined_at"
    name = order.lstrip("-")
    return by_offset(
        sorted(asked.moved(rows), key=lambda row: row.get(name) or "", reverse=order.startswith("-")), asked
    )


def member(at: str, id: str, **fields: Any) -> Row:
    """One who joined, and was changed last, at `at`."""
    return {
        "id": id,
        "user": {"id": 1, "first_name": "Ada", "email": "staff1@example.com"},
        "level": 8,
        "joined_at": at,
        "updated_at": at,
        "is_2fa_enabled": True,
        "has_social_auth": False,
        "last_login": None,
        **fields,
    }


def _made_organization(number: int, rng: random.Random) -> Row:
    return Organization(random_uuid(rng), f"Organization {number}").row()


def _made_member(number: int, rng: random.Random) -> Row:
    at = any_time(rng)
    return member(at, random_uuid(rng), user=make_user(rng), last_login=maybe(rng, at))


def _made_role(number: int, rng: random.Random) -> Row:
    id = random_uuid(rng)
    at = any_time(rng)
    return {
        "id": id,
        "name": rng.choice((f"Role {number}", "Zoë 🦔")),
        "created_at": at,
        "created_by": maybe(rng, make_user(rng)),
        "members": [{"id": random_uuid(rng), "role_id": id, "user": make_user(rng), "joined_at": at, "updated_at": at}],
        "associated_flags": [],
        "is_default": maybe(rng, False),
    }


OBJECTS = {
    "organizations": ExtraObject(
        path="organizations",
        scope="organization:read",
        make=_made_organization,
        owner="",
        fields={
            "text": "name slug logo_media_id default_experiment_stats_method default_role_id",
            "number": "membership_level plugins_access_level member_count",
            "flag": "is_member_join_email_enabled enforce_2fa members_can_invite members_can_use_personal_api_keys "
            "allow_publicly_shared_resources is_ai_data_processing_approved is_active is_pending_deletion",
            "time": "created_at updated_at",
            "object": "metadata",
            "list of object": "available_product_features",
        },
    ),
    "organization_members": ExtraObject(
        path="members",
        scope="organization_member:read",
        make=_made_member,
        owner="organization",
        cursor="updated_at",
        answer=of_joining,
        fields={
            "number": "level",
            "flag": "is_2fa_enabled has_social_auth",
            "time": "updated_at joined_at last_login",
            "user": "user",
        },
    ),
    "roles": ExtraObject(
        path="roles",
        scope="organization:read",
        make=_made_role,
        owner="organization",
        answer=unordered,
        fields={
            "text": "name",
            "flag": "is_default",
            "time": "created_at",
            "user": "created_by",
            "list of object": "members associated_flags",
        },
    ),
}
