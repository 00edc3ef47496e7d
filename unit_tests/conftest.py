"""What the tests of single modules share."""

from integration_tests.parsed_once import parse_once

parse_once()
