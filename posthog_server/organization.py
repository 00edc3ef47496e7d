"""An organization, and the rows that it has."""

from dataclasses import dataclass, field

from .values import Row

ORGANIZATION = "0190a000-0000-7000-8000-000000000001"


@dataclass
class Organization:
    """An organization.

    Attributes:
        settings: fields of its own row that differ from the usual.
        extra: rows of the extra streams, by the name of the stream.
    """

    id: str = ORGANIZATION
    name: str = "Hedgehogs"
    settings: Row = field(default_factory=dict)
    extra: dict[str, list[Row]] = field(default_factory=dict)

    def row(self) -> Row:
        """The row in the list of organizations. The real one names each of its projects, under two names."""
        project = {"id": 7, "name": "Shop", "organization": self.id, "api_token": "phc_public_token"}
        return {
            "id": self.id,
            "name": self.name,
            "slug": self.name.lower(),
            "logo_media_id": None,
            "created_at": "2025-11-03T09:12:44.120394Z",
            "updated_at": "2026-02-18T18:28:57.827410Z",
            "membership_level": 15,
            "plugins_access_level": 9,
            "teams": [project],
            "projects": [project],
            "available_product_features": [{"key": "audit_logs", "name": "Audit logs", "limit": None, "unit": None}],
            "is_member_join_email_enabled": True,
            "metadata": {"instance_tag": "none"},
            "customer_id": "cus_of_the_payment_provider",
            "enforce_2fa": None,
            "members_can_invite": True,
            "members_can_use_personal_api_keys": True,
            "allow_publicly_shared_resources": True,
            "member_count": len(self.extra.get("organization_members", [])),
            "is_ai_data_processing_approved": False,
            "default_experiment_stats_method": "bayesian",
            "default_role_id": None,
            **self.settings,
        }
