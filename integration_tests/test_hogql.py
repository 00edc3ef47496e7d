"""What the connector sends as HogQL is read by PostHog's own parser."""

import pytest

from posthog_server.grammar import HogQLError, parse_expr, parse_select

ARRIVED = "created_at >= toDateTime64('2026-11-01T00:00:00.000000', 6, 'UTC')"


@pytest.mark.parametrize(
    "expression",
    [
        ARRIVED,
        "toString(uuid) like '%3'",
        "endsWith(toString(uuid), '3')",
        f"toString(uuid) like '%3' and {ARRIVED}",
    ],
)
def test_posthogs_parser_reads_the_filters(expression: str) -> None:
    assert parse_expr(expression)["node"] in ("CompareOperation", "Call", "And")


def test_posthogs_parser_reads_the_count_of_a_range() -> None:
    start, end = (f"toDateTime64('2026-11-0{day}T00:00:00.000000', 6, 'UTC')" for day in (1, 2))
    tree = parse_select(f"SELECT count() FROM events WHERE timestamp >= {start} AND timestamp < {end}")
    assert tree["node"] == "SelectQuery"


@pytest.mark.parametrize("expression", ["created_at >= toDateTime64(", "", "uuid like '%3", "a b"])
def test_posthogs_parser_refuses_a_broken_expression(expression: str) -> None:
    with pytest.raises(HogQLError):
        parse_expr(expression)


def test_posthogs_parser_refuses_a_broken_select() -> None:
    with pytest.raises(HogQLError, match="SELECT count"):
        parse_select("SELECT count() FROM")
