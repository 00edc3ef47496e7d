"""The objects that a list of a project has, page by page."""

import random

from ..rows import ODD_TEXTS, any_time, deep, make_user, maybe
from ..values import Row, random_uuid
from .objects import ExtraObject


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
}
