"""Organizations, their members and their roles: whose they are, who may read them, and what of them is new."""

import random
from typing import Any

import pytest

from integration_tests.harness.connector import Output, config, expected_keys, run
from integration_tests.harness.in_process import URL, answers_from, now_is, read
from posthog_server import SECOND, Fault, Key, PostHog, Project, account, make_rows, microseconds, rewrite
from posthog_server.extra import extra_rows, make_extra
from posthog_server.extra.organizations import member
from posthog_server.rows import drf_time
from posthog_server.values import Row

STREAMS = ("organizations", "organization_members", "roles")
MEMBERS = "organization_members"
FIRST, SECOND_ONE = "0190a000-0000-7000-8000-000000000001", "0190a000-0000-7000-8000-000000000002"
START = microseconds("2026-06-01T00:00:00Z")
NOW = START + 86_400 * SECOND
MINUTE = 60 * SECOND


def posthog(**options: Any) -> PostHog:
    """Projects 7 and 9 of the first organization, and 8 of the second."""
    rng = random.Random(3)
    made = account(Project(7), Project(8, organization=SECOND_ONE), Project(9))
    made.projects[7].cohorts = make_rows("cohorts", 2, rng, 7)
    for stream in STREAMS[1:]:
        for number, kept in enumerate(extra_rows(made, stream).values()):
            kept += make_extra(stream, 7, rng, number)
    return PostHog(made, **options)


def with_members(*rows: Row, **options: Any) -> PostHog:
    made = account(Project(7))
    extra_rows(made, MEMBERS)[FIRST].extend(rows)
    return PostHog(made, **options)


def members_of(posthog: PostHog) -> list[Row]:
    return extra_rows(posthog.account, MEMBERS)[FIRST]


def some_members(number: int, **options: Any) -> PostHog:
    """Who joined a minute apart: 00, 01, ..."""
    return with_members(
        *[member(drf_time(START + place * MINUTE), f"{place:02}") for place in range(number)], **options
    )


def of_the_second(posthog: PostHog, stream: str) -> list[Any]:
    """The keys of a stream in the second organization."""
    keys: list[tuple[Any, Any]] = [*expected_keys(posthog.account)[stream]]
    return [key for key in keys if key[0] == SECOND_ONE]


def synced(posthog: PostHog, state: Any = None, at: int = NOW) -> Output:
    with now_is(at):
        return read(posthog, MEMBERS, state=state)


def require(output: Output, *ids: str) -> None:
    assert (output.status, output.errors) == (0, [])
    assert output.ids(MEMBERS) == sorted(ids)


# --- whose they are


def test_each_organization_is_listed_once_a_sync_and_read_once_whatever_projects_it_has() -> None:
    server = posthog()
    output = read(server, *STREAMS)
    assert output.status == 0
    assert {stream: output.keys(stream) for stream in STREAMS} == {
        stream: expected_keys(server.account)[stream] for stream in STREAMS
    }
    assert {stream: server.count(stream) for stream in STREAMS} == dict(zip(STREAMS, (1, 2, 2), strict=True))


def test_with_project_ids_only_the_organizations_of_these_projects_are_read() -> None:
    server = posthog()
    output = read(server, *STREAMS, project_ids=[8])
    assert output.status == 0
    for stream in STREAMS:
        assert output.keys(stream) == of_the_second(server, stream)
    assert not [seen.path for seen in server.requests if FIRST in seen.path]


def test_what_is_the_payment_providers_or_large_is_left_out() -> None:
    for row in read(posthog(), "organizations").records("organizations"):
        assert not row.keys() & {"customer_id", "teams", "projects"}
        assert row["available_product_features"]


def test_a_list_of_organizations_that_changes_its_order_is_not_trusted() -> None:
    server = posthog()
    twice = rewrite(lambda body: {**body, "results": body["results"][:1] * 2})
    server.faults.add(Fault(stream="organizations", times=None, **twice))
    output = read(server, *STREAMS, "cohorts")
    assert output.status == 1
    assert {stream: output.stream_status(stream) for stream in (*STREAMS, "cohorts")} == {
        **dict.fromkeys(STREAMS, "INCOMPLETE"),
        "cohorts": "COMPLETE",
    }
    assert "PostHog's list of organizations changed its order while it was read, so an organization may be" in "".join(
        output.errors
    )


# --- who may read them


def test_a_key_that_is_limited_to_projects_gets_one_sentence_for_each_and_reads_all_else() -> None:
    server = posthog()
    server.account.add_key(Key("phx_of_7", project_ids=(7,)))
    options: dict[str, Any] = {"api_key": "phx_of_7", "project_ids": [7]}
    output = read(server, *STREAMS, "cohorts", **options)
    assert output.status == 1
    sentence = (
        "Stream organizations: The API key is limited to projects, and PostHog lets such a key read nothing of an "
        'organization ("API keys with scoped projects are only supported on project-based endpoints."). Use a key '
        "without that limit, or remove the stream from `extra_streams`."
    )
    assert output.errors[:3] == [sentence] * 3
    assert output.keys("cohorts") == expected_keys(server.account)["cohorts"]
    with answers_from(server):
        checked = run("check", config=config(URL, **options, extra_streams=list(STREAMS)))
    assert checked.connection == ("SUCCEEDED", "")
    assert "not for these streams: organizations, organization_members, roles" in "".join(checked.logs)


@pytest.mark.parametrize("stream", STREAMS[1:])
def test_an_organization_that_refuses_holds_back_no_other(stream: str) -> None:
    server = posthog()
    refused: dict[str, Any] = {"status": 403, "body": {"code": "permission_denied", "detail": "Not for you."}}
    server.faults.add(Fault(stream=stream, when=lambda seen: FIRST in seen.path, times=None, **refused))
    output = read(server, stream)
    assert output.status == 1
    where = f"Stream {stream}, organization {FIRST}: "
    assert output.errors[0].startswith(f'{where}PostHog refuses access ("Not for you.")')
    assert output.keys(stream) == of_the_second(server, stream)
    with answers_from(server):
        assert run("check", config=config(URL, extra_streams=[stream])).connection == ("SUCCEEDED", "")


# --- members, on from the state


def test_the_next_sync_reads_who_has_changed_since() -> None:
    server = with_members(
        *[member(drf_time(START + place * MINUTE), f"{place:02}") for place in range(40)], extra_cap=7
    )
    first = synced(server)
    require(first, *[f"{place:02}" for place in range(40)])
    last = members_of(server)[-1]["updated_at"]
    members_of(server)[3] = {**members_of(server)[3], "level": 15, "updated_at": last}  # at the state's own instant
    members_of(server).append(member(drf_time(START + 41 * MINUTE), "new"))
    second = synced(server, first.state)
    again = [f"{place:02}" for place in range(30, 40)]  # ten minutes, of which the first is excluded
    require(second, "03", *again, "new")
    (changed,) = [row for row in second.records(MEMBERS) if row["id"] == "03"]
    assert (changed["level"], changed["organization_id"]) == (15, FIRST)
    asked = [
        (seen.query["order"], seen.query.get("updated_after")) for seen in server.requests if seen.stream == MEMBERS
    ]
    assert asked[0] == ("joined_at", None)
    assert asked[-1] == ("joined_at", drf_time(START + 29 * MINUTE).replace("Z", ".000000Z"))


def test_a_member_who_changes_while_the_list_is_read_comes_with_the_next_sync() -> None:
    """Read as they were before, on the first page; another one, read later, has changed after them."""
    server = with_members(
        *[member(drf_time(START + place * MINUTE), f"{place:02}") for place in range(14)], extra_cap=7
    )

    def change(seen: Any) -> bool:
        if seen.query.get("offset") == "7":
            for place, at in ((3, NOW + MINUTE), (13, NOW + 60 * MINUTE)):
                members_of(server)[place] = {**members_of(server)[place], "level": 15, "updated_at": drf_time(at)}
        return False

    server.faults.add(Fault(stream=MEMBERS, when=change))
    first = synced(server)
    assert [row["level"] for row in first.records(MEMBERS) if row["id"] in ("03", "13")] == [8, 15]
    server.faults.clear()
    require(synced(server, first.state, NOW + 90 * MINUTE), "03", "13")


def test_where_members_are_missing_the_state_stays() -> None:
    """All joined at one instant, so the list can move, and were changed an hour apart."""
    changed = [drf_time(START - place * 60 * MINUTE) for place in range(40)]
    rows = [member(drf_time(START), f"{place:02}", updated_at=at) for place, at in enumerate(changed)]
    server = with_members(*rows, extra_cap=5, moves=10**6)
    first = synced(server)
    assert first.status == 0
    assert len(first.ids(MEMBERS)) < 40
    assert any("PostHog counts 40 rows" in line for line in first.logs)
    server.moves = 0
    require(synced(server, first.state), *[f"{place:02}" for place in range(40)])


@pytest.mark.parametrize("entry", ["2026-01-01T00:00:00Z", {"updated_at": "yesterday"}])
def test_a_state_that_is_not_valid_names_the_organization(entry: Any) -> None:
    descriptor = {"stream_descriptor": {"name": MEMBERS}, "stream_state": {FIRST: entry}}
    output = synced(with_members(), [{"type": "STREAM", "stream": descriptor}])
    assert output.status == 1
    assert f"The state of organization {FIRST} in stream {MEMBERS} is not valid" in output.errors[0]
