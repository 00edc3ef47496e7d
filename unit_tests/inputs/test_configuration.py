"""A configuration as people write it."""

from typing import Any

import pytest

from source_posthog import SourcePosthog
from source_posthog.inputs.configuration import KEY_VARIABLE, RefusedConfig, normalized

SOURCE = SourcePosthog()
KEY = "phx_a_key_that_is_not_shown"
PLAIN = {"api_key": KEY, "start_date": "2026-01-01T00:00:00Z"}
QUERY = {"name": "days", "query": "SELECT 1 AS day", "primary_key": ["day"]}


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def refused(config: Any) -> str:
    found = SOURCE.configure(config, "")
    assert isinstance(found, RefusedConfig)
    return found.sentence


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(({name: value}, {}) for name in ("base_url", "end_date", "num_workers", "queries") for value in (None, "")),
        ({"project_ids": " \n"}, {}),
        ({"num_workers": 0, "project_ids": []}, {"num_workers": 0, "project_ids": []}),
        ({"end_date": "2026-02-01T02:00:00+02:00"}, {"end_date": "2026-02-01T00:00:00Z"}),
        ({"start_date": "1800-01-01T02:00:00+02:00"}, {"start_date": "1900-01-01T00:00:00Z"}),
        ({"queries": [{**QUERY, "primary_key": "day"}]}, {"queries": [QUERY]}),
        ({"queries": [{**QUERY, "cursor_field": None}]}, {"queries": [QUERY]}),
        ({"queries": [{**QUERY, "primary_key": ""}, 7]}, {"queries": [{**QUERY, "primary_key": ""}, 7]}),
    ],
    ids=repr,
)
def test_a_configuration_is_taken_as_it_is_meant(written: dict[str, Any], meant: dict[str, Any]) -> None:
    assert normalized({**PLAIN, **written}) == {**PLAIN, **meant}


@pytest.mark.parametrize("absent", [{}, {"api_key": None}, {"api_key": ""}, {"api_key": " \n"}], ids=repr)
def test_the_key_of_the_environment_is_that_of_a_config_without_one(
    absent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"start_date": PLAIN["start_date"], **absent}
    refusal = refused(config)
    if not absent:
        assert refusal.startswith("The option `api_key` is missing: set it to a personal API key")
        assert refusal.endswith("or set the environment variable POSTHOG_API_KEY.")
    monkeypatch.setenv(KEY_VARIABLE, "  ")
    assert refused(config) == refusal
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY}\n")
    assert SOURCE.configure(config, "") == PLAIN


@pytest.mark.parametrize("own", [KEY, 5, "with spaces in it", "phc_1"])
def test_the_key_of_a_config_comes_before_that_of_the_environment(own: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = SOURCE.configure({**PLAIN, "api_key": own}, "")
    monkeypatch.setenv(KEY_VARIABLE, "phx_another")
    found = SOURCE.configure({**PLAIN, "api_key": own}, "")
    assert found == alone
    if isinstance(found, RefusedConfig):
        assert "The option `api_key`" in found.sentence


def test_a_config_that_is_no_object_takes_no_key_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert refused([]) == "The configuration must be a JSON object with the connector's options."


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (
            "phc_0123456789abcdef",
            "is a project API key (phc_...), which cannot read data: set it to a personal API key",
        ),
        ("phx_a b", "must be a personal API key (phx_...) of letters, digits and punctuation, without spaces"),
    ],
)
def test_the_fault_of_a_key_says_where_the_key_is_from(key: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused({**PLAIN, "api_key": key}).startswith(f"The option `api_key` {fault}")
    monkeypatch.setenv(KEY_VARIABLE, key)
    sentence = refused({"start_date": PLAIN["start_date"]})
    assert sentence.startswith(f"The environment variable POSTHOG_API_KEY {fault}")
    assert key not in sentence
