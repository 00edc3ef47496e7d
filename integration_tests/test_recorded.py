"""The embedded PostHog of January 2024 answers as a real one did: 231 recorded exchanges, and what is excepted."""

import json
import random
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from integration_tests.recorded.account import EXCHANGES, recorded_account, with_many_events
from integration_tests.recorded.comparison import differences
from posthog_server import SECOND, Account, Age, PostHog, Reply, microseconds
from posthog_server.clickhouse import ClickHouse, Engine
from posthog_server.extra import EXTRA

BASE = "http://posthog.test"
NOW = microseconds("2026-11-28T01:00:00Z") / SECOND

# What is not imitated, and why. `further` ones are left out but for what extra streams ask.
FURTHER = "further: "
NEVER_ASKED = "the connector never asks for it"
NAMES = "columns without a name of their own are named as ClickHouse prints the server's own SQL"
EXCEPTED = {
    "access: outside the API": "the recorded server had no built web application to answer with",
    "access: @current": NEVER_ASKED,
    "projects: limit 1 offset 1": "projects have no order: this page had the same one as the page before",
    "event by id": NEVER_ASKED,
    "event by unknown id": NEVER_ASKED,
    "query: EventsQuery, syntax error": "the tests have PostHog's parser of today, which stops at another word",
    "query: refresh of today": "it says no order and selects no timestamp, which the connector never does",
    "query: HogQLQuery, two columns of a name": NAMES,
    "query: HogQLQuery, person_id": NAMES,
    "query: HogQLQuery, zone": NAMES,
}


class Unshuffled(random.Random):
    """No chance: what the server leaves open stays in the order of the table, as it did on the recorded server."""

    def shuffle(self, x: Any, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def servers(engine: Engine) -> Iterator[dict[str, PostHog]]:
    """A server for each data set that the exchanges are about, by how their names begin."""
    with ClickHouse(engine) as first, ClickHouse(engine) as second, pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostHog, "_chance", lambda self: Unshuffled())

        def server(account: Account, tables: ClickHouse | None, **options: Any) -> PostHog:
            return PostHog(account, age=Age.JANUARY_2024, clickhouse=tables, clock=partial(float, NOW), **options)

        throttled = server(recorded_account(), None, cloud_throttles=True)
        spend(throttled)
        yield {
            "": server(recorded_account(), first),
            "many rows": server(with_many_events(), second),
            "throttled": throttled,
        }


def spend(server: PostHog) -> None:
    """All that the throttles allow: 35 s before the recorded requests for queries, 55 s before for the lists."""
    query = {"query": {"kind": "EventsQuery", "select": ["uuid"]}}
    for seconds, project, stream, times in ((35, 2, "query", 120), (55, 1, "events", 240)):
        server.clock = partial(float, NOW - seconds)
        for _ in range(times):
            request = {"method": "GET", "path": f"/api/projects/{project}/{stream}/", "key": "valid"}
            assert (
                ask(server, {**request, "method": "POST", "body": query} if stream == "query" else request).status
                == 200
            )
    server.clock = partial(float, NOW)


def ask(server: PostHog, exchange: dict[str, Any]) -> Reply:
    """The embedded server's answer to the request of an exchange."""
    parts = urlsplit(exchange["path"])
    headers = {"Host": urlsplit(BASE).netloc, "Content-Type": "application/json"}
    if exchange["key"]:
        key = "phx_recorded" if exchange["key"] == "valid" else exchange["key"]
        headers["Authorization"] = f"Bearer {key}"
    body = exchange.get("body")
    raw = exchange.get("raw_body") or ("" if body is None else json.dumps(body))
    return server.handle(exchange["method"], parts.path, parts.query, headers, raw.encode())


def what_differs(servers: dict[str, PostHog], exchange: dict[str, Any]) -> list[str]:
    kind = exchange["name"].partition(":")[0]
    reply = ask(servers.get(kind, servers[""]), exchange)
    if reply.status != exchange["status"]:
        return [f"status {exchange['status']} / {reply.status} {reply.body[:300]!r}"]
    found = []
    for name in exchange["headers"].keys() & {"content-type", "retry-after"}:
        given = {key.lower(): value for key, value in reply.headers.items()}.get(name)
        if given != exchange["headers"][name]:
            found.append(f"{name}: {exchange['headers'][name]} / {given}")
    recorded = json.loads(json.dumps(exchange["answer"]).replace("{base}", BASE))
    sql = ((exchange.get("body") or {}).get("query") or {}).get("query") or ""
    return found + differences(recorded, reply.json(), sql)


def is_about_a_stream(exchange: dict[str, Any]) -> bool:
    asked = {f"/api/projects/1/{one.path or 'query'}/" for one in EXTRA.values()}
    return not exchange["name"].startswith(FURTHER) or urlsplit(exchange["path"]).path in asked


ABOUT_STREAMS = [exchange for exchange in EXCHANGES if is_about_a_stream(exchange)]


@pytest.mark.parametrize("exchange", ABOUT_STREAMS, ids=lambda exchange: exchange["name"])
def test_an_exchange_is_the_recorded_one(servers: dict[str, PostHog], exchange: dict[str, Any]) -> None:
    found = what_differs(servers, exchange)
    if exchange["name"] in EXCEPTED:
        assert found, "it is the same: no exception is needed"
    else:
        assert found == []


def test_nearly_all_exchanges_are_the_same() -> None:
    names = [exchange["name"] for exchange in EXCHANGES]
    further = [exchange for exchange in EXCHANGES if not is_about_a_stream(exchange)]
    assert len(set(names)) == len(names) == 231
    assert EXCEPTED.keys() <= set(names)
    assert (len(names) - len(EXCEPTED) - len(further), len(EXCEPTED), len(further)) == (213, 10, 8)
