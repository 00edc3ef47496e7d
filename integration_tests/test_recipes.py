"""The recipes of docs/queries.md: read by PostHog's own parser, and run on a real ClickHouse."""

import json
import logging
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.harness.connector import catalog, config, run
from integration_tests.harness.in_process import URL, answers_from
from posthog_server import PostHog, account_with, event, make_persons
from posthog_server.clickhouse import ClickHouse
from posthog_server.grammar import parse_select
from source_posthog import SourcePosthog
from source_posthog.exact.queries.sql import one_select

DOCUMENT = (Path(__file__).parents[1] / "docs" / "queries.md").read_text()
BLOCKS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)]
RECIPES = {block["name"]: block for block in BLOCKS if "name" in block}


@pytest.fixture
def posthog(clickhouse: ClickHouse) -> Iterator[PostHog]:
    events = [
        event(
            f"2026-11-{1 + place % 9:02d}T00:00:{place % 60:02d}Z",
            event=("$pageview", "signed up")[place % 2],
            properties={"$session_id": f"session {place % 7}", "$current_url": f"https://shop.test/{place}"},
        )
        for place in range(120)
    ]
    made = account_with({7: events}, persons={7: make_persons(30, random.Random(1))})
    one = PostHog(made, clickhouse=clickhouse, query_cap=25)
    with answers_from(one):
        yield one


def test_there_are_four_recipes_and_all_are_read_by_posthogs_parser() -> None:
    assert len(RECIPES) == 4
    for recipe in [*RECIPES.values(), *BLOCKS[0]["queries"]]:
        assert parse_select(one_select(recipe["query"]))["node"] == "SelectQuery"


def test_the_examples_of_the_spec_are_read_by_posthogs_parser() -> None:
    options = SourcePosthog().spec(logging.getLogger("airbyte")).connectionSpecification["properties"]
    examples = options["queries"]["items"]["properties"]["query"]["examples"]
    assert [parse_select(one_select(query))["node"] for query in examples] == ["SelectQuery"] * 3


def test_the_recipes_can_stand_in_one_configuration(posthog: PostHog) -> None:
    given = config(URL, queries=list(RECIPES.values()))
    assert run("check", config=given).connection == ("SUCCEEDED", "")
    output = run("discover", config=given)
    (found,) = output.of("CATALOG")
    shown = {stream["name"]: stream for stream in found["streams"] if stream["name"] in RECIPES}
    assert shown.keys() == RECIPES.keys()
    assert all("incremental" in stream["supported_sync_modes"] for stream in shown.values())


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_reads_every_row_and_the_next_sync_only_what_is_new(name: str, posthog: PostHog) -> None:
    project = posthog.account.projects[7]
    expected: dict[str, set[tuple[Any, ...]]] = {
        "sessions_by_end": {(f"session {place}",) for place in range(7)},
        "new_persons": {(row["id"],) for row in project.persons},
        "events_a_day": {(f"2026-11-0{day}", kind) for day in range(1, 10) for kind in ("$pageview", "signed up")},
        "pageviews": {(one.id,) for one in project.events if one.event == "$pageview"},
    }
    recipe = RECIPES[name]
    wanted = catalog(name)
    wanted["streams"][0]["sync_mode"] = "incremental" if "cursor_field" in recipe else "full_refresh"
    first = run("read", config=config(URL, queries=[recipe]), catalog=wanted)
    assert first.errors == []
    keys = [tuple(row[column] for column in recipe["primary_key"]) for row in first.records(name)]
    assert len(keys) == len(set(keys))
    assert set(keys) == expected[name]
    if "cursor_field" in recipe:
        second = run("read", config=config(URL, queries=[recipe]), catalog=wanted, state=first.state)
        last = max(row[recipe["cursor_field"]] for row in first.records(name))
        assert {row[recipe["cursor_field"]] for row in second.records(name)} == {last}
