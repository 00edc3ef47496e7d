"""The odd ways of single lists among the extra streams."""

import random

import pytest

from integration_tests.harness.connector import expected_keys
from integration_tests.harness.extra import offsets, queries, require_whole, some
from integration_tests.harness.in_process import now_is, read
from posthog_server import SECOND, Age, Fault, microseconds, rewrite, too_slow
from posthog_server.extra import EXTRA, definitions
from posthog_server.rows import drf_time


def test_actions_have_no_next_and_their_count_says_whether_there_are_more() -> None:
    posthog = some("actions")
    require_whole(read(posthog, "actions"), posthog, "actions")
    assert queries(posthog, "actions") == [{"limit": "10000"}]
    posthog.reset()
    posthog.extra_cap = 5
    require_whole(read(posthog, "actions"), posthog, "actions")
    assert offsets(posthog, "actions") == [0, 5, 10]


def test_old_servers_give_all_actions_whatever_the_limit_and_without_a_count() -> None:
    posthog = some("actions", age=Age.JANUARY_2024)
    slow = Fault(stream="actions", times=None, when=lambda seen: int(seen.query["limit"]) > 5, **too_slow())
    posthog.faults.add(slow)
    require_whole(read(posthog, "actions"), posthog, "actions")
    assert offsets(posthog, "actions")[-1] == 0


def test_experiments_are_read_in_two_passes_since_no_list_has_archived_ones_and_others() -> None:
    posthog = some("experiments")
    require_whole(read(posthog, "experiments"), posthog, "experiments")
    asked_for = sorted(queries(posthog, "experiments"), key=len)
    assert asked_for == [{"limit": "1000", "order": "created_at"} | archived for archived in ({}, {"archived": "true"})]


def test_dashboards_are_never_asked_for_one_by_one_which_would_change_them() -> None:
    posthog = some("dashboards", extra_cap=5)
    require_whole(read(posthog, "dashboards"), posthog, "dashboards")
    assert {seen.path for seen in posthog.requests if "dashboards" in seen.path} == {
        f"/api/projects/{project}/dashboards" for project in (7, 8)
    }


def test_dashboards_of_one_name_can_move_between_two_pages() -> None:
    posthog = some("dashboards", moves=3, extra_cap=5)
    for row in posthog.account.projects[7].extra["dashboards"]:
        row |= {"name": "Growth", "pinned": False}
    output = read(posthog, "dashboards", project_ids=[7])
    assert output.keys("dashboards") == [key for key in expected_keys(posthog.account)["dashboards"] if key[0] == 7]
    assert offsets(posthog, "dashboards") == 2 * [0, 5, 10]


def test_the_count_of_event_definitions_stops_and_their_next_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "EXACT_UP_TO", 10)
    monkeypatch.setattr(definitions, "MOST_COUNTED", 4)
    posthog = some("event_definitions", extra_cap=5)
    output = read(posthog, "event_definitions")
    require_whole(output, posthog, "event_definitions")
    assert not [line for line in output.logs if "counts" in line]
    assert [query["ordering"] for query in queries(posthog, "event_definitions")] == 3 * ["name"]


def test_notebooks_go_on_from_the_state_and_lose_none_that_shares_its_instant() -> None:
    at, hour = microseconds("2026-06-01T00:00:00Z"), 3600 * SECOND
    rng, posthog = random.Random(5), some("notebooks", rows=0)
    rows = posthog.account.projects[7].extra["notebooks"]

    def changed(hours: int) -> None:
        rows.append({**EXTRA["notebooks"].make(len(rows), rng), "last_modified_at": drf_time(at + hours * hour)})

    for hours in range(8):
        changed(hours)
    with now_is(at + 10 * hour):
        first = read(posthog, "notebooks", project_ids=[7])
        changed(7)  # at the instant of the state
        changed(9)
        rows[2]["last_modified_at"] = drf_time(at + 9 * hour)
        second = read(posthog, "notebooks", project_ids=[7], state=first.state)
    assert first.ids("notebooks") == sorted(row["id"] for row in rows[:8])
    assert second.ids("notebooks") == sorted(rows[place]["id"] for place in (2, 7, 8, 9))
    before = drf_time(at + 7 * hour - 600 * SECOND).replace("Z", ".000000Z")  # date_from is exclusive
    limit = {"limit": "1000", "order": "created_at"}
    assert queries(posthog, "notebooks") == [limit, {**limit, "date_from": before}]


def test_property_definitions_are_read_type_by_type_and_virtual_ones_once() -> None:
    posthog = some("property_definitions", rows=100, extra_cap=5)
    output = read(posthog, "property_definitions")
    require_whole(output, posthog, "property_definitions")
    wanted = [{"type": "event"}, {"type": "person"}, {"type": "session"}]
    wanted += [{"type": "group", "group_type_index": str(index)} for index in range(5)]
    got = queries(posthog, "property_definitions")
    assert [query for query in wanted if not any(query.items() <= one.items() for one in got)] == []
    virtual = [row["id"] for row in output.records("property_definitions") if row["id"].startswith("$builtin_")]
    assert len(virtual) == len(set(virtual)) > 0
    persons = [int(query.get("offset", 0)) for query in got if query["type"] == "person"]
    assert persons == [0, 5], "none beyond the end, where the virtual ones come again"


def test_a_server_that_knows_no_properties_of_sessions_is_read_without_them() -> None:
    posthog = some("property_definitions", age=Age.JANUARY_2024)
    for project in posthog.account.projects.values():
        rows = project.extra["property_definitions"]
        project.extra["property_definitions"] = [row for row in rows if row["type"] != "session"]
    require_whole(read(posthog, "property_definitions"), posthog, "property_definitions")


@pytest.mark.parametrize("groups", [0, 5])
def test_group_types_are_an_array_by_itself(groups: int) -> None:
    posthog = some("group_types", rows=groups)
    require_whole(read(posthog, "group_types"), posthog, "group_types")


def test_group_types_may_be_paged_some_day() -> None:
    posthog = some("group_types")
    paged = rewrite(lambda rows: {"count": len(rows), "next": None, "previous": None, "results": rows})
    posthog.faults.add(Fault(stream="group_types", times=None, **paged))
    require_whole(read(posthog, "group_types"), posthog, "group_types")


def test_an_array_is_no_list_of_the_other_streams() -> None:
    posthog = some("surveys")
    posthog.faults.add(Fault(stream="surveys", times=None, **rewrite(lambda body: body["results"])))
    output = read(posthog, "surveys")
    assert output.status == 1
    assert "cannot be used: it is not a JSON object" in output.errors[0] or "no usable answer" in output.errors[0]
    assert output.records("surveys") == []
