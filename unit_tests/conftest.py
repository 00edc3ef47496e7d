"""What the tests of single modules share."""

from posthog_server.parsed_once import parse_once

parse_once()
