"""What forked.py has the processes of `source-posthog` forked from: the connector imported, and its manifest parsed."""

import gc

import source_posthog.run
from posthog_server.parsed_once import parse_once

parse_once()
source_posthog.SourcePosthog()
gc.freeze()  # what is there is there for good; to look through it would copy its memory into each process
