"""The schemas hold for whatever PostHog sends, and know every field that it is known to send."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from integration_tests.harness.connector import catalog, config, run
from integration_tests.harness.in_process import read
from posthog_server import Account, PostHog, account_with
from posthog_server.api import STREAMS
from posthog_server.clickhouse import ClickHouse
from posthog_server.extra import EXTRA, extra_rows, make_extra
from posthog_server.extra.objects import ExtraObject
from posthog_server.known_fields import FIELDS, NESTED
from posthog_server.organization import Organization
from source_posthog.exact.instants import instant
from source_posthog.streams.event_windows import MANIFEST

SCHEMAS = {path.stem: json.loads(path.read_text()) for path in MANIFEST.with_name("schemas").glob("*.json")}

HUGE = 2**80
UNICODE = ("", "Zoë 🦔 日本語", "a\u0000b", "null", "2026-13-45", '"')
DEEP: Any = {"end": [None, True, -HUGE, 1.5e308, *UNICODE]}
for _ in range(60):
    DEEP = {"in": [DEEP], "": None}

# What a field of each kind can hold, beside null and nothing at all.
VALUES: dict[str, tuple[Any, ...]] = {
    "text": UNICODE,
    "number": (0, -1, HUGE),
    "float": (0, 0.1, 1e308, HUGE),
    "flag": (True, False),
    "time": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001+00:00", "0001-01-01T00:00:00Z"),
    "object": ({}, {"": None, "Zoë.🦔": HUGE}, DEEP),
    "any": ({}, [], "", 0, 1.5, True, HUGE, [DEEP, [None]], DEEP),
}


def values(kind: str) -> list[Any]:
    if kind == "properties":  # null is unreadable
        return list(VALUES["object"])
    if kind.startswith("list of "):
        items = values(kind.removeprefix("list of "))
        return [None, [], items]
    if kind in NESTED:
        rows = odd_rows(NESTED[kind])
        return [None, [], rows] if kind == "element" else [None, *rows]
    return [None, *VALUES[kind]]


def odd_rows(fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows that together have every value of every field, one with no field at all and one with a field more."""
    columns = {name: values(kind) for kind, names in fields.items() for name in names.split()}
    rows = [
        {name: column[place % len(column)] for name, column in columns.items()}
        for place in range(max(map(len, columns.values())))
    ]
    return [*rows, {}, {**rows[0], "new_field_of_next_year": DEEP}]


def names(fields: Mapping[str, str]) -> set[str]:
    return {name for listed in fields.values() for name in listed.split()}


def strict(schema: dict[str, Any]) -> Draft7Validator:
    formats = FormatChecker(formats=())
    formats.checks("date-time", raises=ValueError)(lambda text: not isinstance(text, str) or bool(instant(text)))
    return Draft7Validator(schema, format_checker=formats)


URL = "http://posthog"
AT = "2026-01-10T00:00:00+00:00"


@pytest.fixture
def posthog(requests_mock: Any) -> Any:
    """Gives `rows[stream]` in the list of each stream, in one page."""
    rows: dict[str, list[dict[str, Any]]] = {}

    def answer(stream: str) -> Any:
        def page(request: Any, _: Any) -> dict[str, Any]:
            bounds = [instant(request.qs[name][0].upper()) for name in ("after", "before") if name in request.qs]
            outside = bounds and not bounds[0] < instant(AT) < bounds[1]
            return {"next": None, "results": [] if outside else rows[stream]}

        return page

    rows["projects"] = [{"id": 7}]
    for stream in STREAMS:
        path = {"projects": "", "events": "/7/events/"}.get(stream, f"/7/{stream}")
        requests_mock.get(f"{URL}/api/projects{path}", json=answer(stream))
    return rows


def records(posthog: dict[str, Any], stream: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the connector prints for `rows`, which get what every row of the stream has: an id, events a timestamp."""
    fixed = {"timestamp": AT} if stream == "events" else {}
    text = stream in ("events", "persons")
    posthog[stream] = [{**row, "id": f"id-{place:04}" if text else place, **fixed} for place, row in enumerate(rows, 7)]
    output = run("read", config=config(URL), catalog=catalog(stream))
    assert output.status == 0, output.text
    return output.records(stream)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_record_fits_its_schema_whatever_its_fields_hold(posthog: dict[str, Any], stream: str) -> None:
    rows = odd_rows(FIELDS[stream])
    got = records(posthog, stream, rows)
    assert len(got) == len(rows)
    by_id = {row["id"]: row for row in got}
    for row in posthog[stream]:
        wanted = row if stream == "projects" else {**row, "project_id": 7}
        record = by_id[row["id"]]
        assert record == {name: value for name, value in wanted.items() if value is not None}, "the CDK drops nulls"
        for shown in (record, wanted):
            assert [error.message for error in strict(SCHEMAS[stream]).iter_errors(shown)] == []


LEFT_OUT = ("teams", "projects", "customer_id")  # of an organization


def owner_of(account: Account, one: ExtraObject) -> Any:
    """The id of the account's one project, or of its one organization."""
    return next(iter(account.projects if one.owner == "project" else account.organizations))


LISTS = [name for name, one in EXTRA.items() if one.path]
TABLES = [name for name in EXTRA if name not in LISTS]


@pytest.mark.parametrize("stream", TABLES)
def test_every_record_of_a_table_fits_its_schema(stream: str, clickhouse: ClickHouse) -> None:
    account = account_with({7: []})
    account.projects[7].extra[stream] = make_extra(stream, 40, random.Random(7), 7)
    records = read(PostHog(account, clickhouse=clickhouse), stream).records(stream)
    assert len(records) == 40
    for record in records:
        assert record.keys() <= SCHEMAS[stream]["properties"].keys()
        assert [error.message for error in strict(SCHEMAS[stream]).iter_errors(record)] == []


@pytest.mark.parametrize("stream", LISTS)
def test_every_record_of_an_extra_stream_fits_its_schema_whatever_its_fields_hold(stream: str) -> None:
    one, odd = EXTRA[stream], odd_rows(FIELDS[stream])
    made = [one.make(number, random.Random(number)) for number in range(len(odd))]
    kept = (*one.key, one.cursor)
    rows = [{**row, **{name: whole[name] for name in kept if name}} for row, whole in zip(odd, made, strict=True)]
    account = account_with({7: []})
    if one.owner:
        extra_rows(account, stream)[owner_of(account, one)].extend(rows)
    else:
        account.organizations = {row["id"]: Organization(row["id"], settings=row) for row in rows}
        rows = [{**of.row(), **dict.fromkeys(LEFT_OUT)} for of in account.organizations.values()]
    output = read(PostHog(account), stream)
    assert output.status == 0, output.text
    got = {one.key_of(row): row for row in output.records(stream)}
    assert len(got) == len([row for row in rows if one.shown(row)])
    for row in filter(one.shown, rows):
        added = {f"{one.owner}_id": owner_of(account, one)} if one.owner else {}
        wanted, record = {**row, **added}, got[one.key_of(row)]
        assert record == {name: value for name, value in wanted.items() if value is not None}, "the CDK drops nulls"
        for shown in (record, wanted):
            assert [error.message for error in strict(SCHEMAS[stream]).iter_errors(shown)] == []


@pytest.mark.parametrize("stream", FIELDS)
def test_the_schema_and_the_known_fields_are_the_same(stream: str) -> None:
    added = {one for [one] in EXTRA[stream].primary_key()} if stream in EXTRA else {"id", "project_id"}
    added |= {"timestamp"} if stream == "events" else set()
    assert set(SCHEMAS[stream]["properties"]) == names(FIELDS[stream]) | added


@pytest.mark.parametrize(
    ("stream", "field", "nested"),
    [
        (stream, name, NESTED[kind])
        for stream, fields in FIELDS.items()
        for kind, listed in fields.items()
        if kind in NESTED
        for name in listed.split()
    ],
)
def test_the_fields_within_a_field_are_known_too(stream: str, field: str, nested: dict[str, str]) -> None:
    schema = SCHEMAS[stream]["properties"][field]
    assert set(schema.get("items", schema)["properties"]) == names(nested)


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        ("cohorts", {"name": 7}),
        ("events", {"timestamp": "yesterday"}),
        ("feature_flags", {"created_at": 1}),
        ("insights", {"created_by": {"id": "seven"}}),
        ("annotations", {"id": None}),
    ],
    ids=["text", "a time that is none", "a time that is a number", "inside a field", "no id"],
)
def test_a_schema_refuses_what_is_of_another_kind(stream: str, row: dict[str, Any]) -> None:
    assert not strict(SCHEMAS[stream]).is_valid(row)
