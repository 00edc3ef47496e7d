"""`make mutants`: break each rule in a copy, and see a test fail for it.

A test that no break can make fail proves nothing. Prints which test noticed which break; exits with 1 where none did.
`python -m tools.mutants WORD ...` tries only the rules with one of the words in them or in the name of
their file.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.mutants.api_rules import API_RULES
from tools.mutants.element_rules import ELEMENT_RULES
from tools.mutants.extra_rules import EXTRA_RULES
from tools.mutants.late_rules import LATE_RULES
from tools.mutants.list_rules import LIST_RULES
from tools.mutants.name_rules import NAME_RULES
from tools.mutants.progress_rules import PROGRESS_RULES
from tools.mutants.query_rules import QUERY_RULES
from tools.mutants.query_stream_rules import QUERY_STREAM_RULES
from tools.mutants.rules import CORE_RULES, Rule
from tools.mutants.sending_rules import SENDING_RULES
from tools.mutants.storage_rules import STORAGE_RULES
from tools.mutants.table_rules import TABLE_RULES
from tools.mutants.telling_rules import TELLING_RULES
from tools.mutants.way_rules import WAY_RULES

ROOT = Path(__file__).parents[2]
FOLDERS = "source_posthog", "posthog_server", "tools", "unit_tests", "integration_tests"
COPIED = (*FOLDERS, "conftest.py", "pyproject.toml")

# The rules outside of the core need whole syncs to be noticed.
READ = (
    "unit_tests/streams/test_event_cursor.py",
    "integration_tests/test_hostile_servers.py",
    "integration_tests/test_read.py",
)
OTHER_RULES = (
    Rule(
        "two lists of a project at once",
        "source_posthog/streams/transports.py",
        "Slots(2)",
        "Slots(3)",
        READ,
    ),
    Rule(
        "three queries of a project at once",
        "source_posthog/api/sync.py",
        "QUERIES_AT_ONCE = 3",
        "QUERIES_AT_ONCE = 4",
        ("integration_tests/test_event_ways.py",),
    ),
    *(
        Rule(says, "source_posthog/engine.py", text, broken, ("unit_tests/test_output.py",))
        for says, text, broken in (
            ("the queue is bounded by bytes", "if self._bytes < LARGEST_QUEUE else self.maxsize", ""),
            ("what is taken out makes room", "self._bytes -= self._sizes.popleft()", "self._sizes.popleft()"),
            ("records that orjson refuses have a size", "return len(str(item.data))", "return 0"),
        )
    ),
    Rule(
        "whoever waited for a place asks again",
        "source_posthog/streams/lanes.py",
        "requests is self.requests and self._is_next(window, turns)",
        "requests is self.requests",
        ("unit_tests/streams/test_lanes.py",),
    ),
    Rule(
        "a page counts from when it is asked for",
        "source_posthog/streams/lanes.py",
        "turns.expect(window)",
        "pass",
        ("unit_tests/streams/test_lanes.py",),
    ),
    Rule(
        "each part of a dense project has a state",
        "source_posthog/streams/event_cursor.py",
        "is_due or self.ledger.rows_to_emit(project) >= ROWS_OF_A_PART",
        "is_due",
        READ,
    ),
    Rule(
        "others' entries do not count for states",
        "source_posthog/streams/event_cursor.py",
        "self.ledger.read_only({project_of(partition) for partition in partitions})",
        "pass",
        READ,
    ),
    Rule(
        "a state is emitted once for what it covers",
        "source_posthog/streams/event_cursor.py",
        "self.ledger.emitted()",
        "pass",
        READ,
    ),
)
RULES = (
    *CORE_RULES,
    *STORAGE_RULES,
    *ELEMENT_RULES,
    *LATE_RULES,
    *NAME_RULES,
    *PROGRESS_RULES,
    *QUERY_RULES,
    *QUERY_STREAM_RULES,
    *TABLE_RULES,
    *API_RULES,
    *LIST_RULES,
    *SENDING_RULES,
    *EXTRA_RULES,
    *WAY_RULES,
    *TELLING_RULES,
    *OTHER_RULES,
)

# A break that makes the reading endless is noticed by the clock.
LONGEST_RUN = 300  # seconds


def first_failure(folder: Path, tests: tuple[str, ...]) -> str:
    """The first test that fails in the copy at `folder`; "" if all pass."""
    line = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--show-capture=no", *tests]
    try:
        done = subprocess.run(
            line,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_RUN,
        )
    except subprocess.TimeoutExpired:
        return "no end"
    failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return failed[1] if failed else ""


def try_break(rule: Rule) -> tuple[bool, str]:
    """Whether a test noticed the break of `rule`, and the line to print about it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in COPIED:
            (shutil.copytree if (ROOT / one).is_dir() else shutil.copy)(ROOT / one, folder / one)
        original = (folder / rule.file).read_text()
        (folder / rule.file).write_text(original.replace(rule.text, rule.broken))
        noticed = first_failure(folder, rule.tests)
    return bool(noticed), f"{rule.says:<72} {time.monotonic() - began:4.0f} s  {noticed or 'SURVIVED'}"


def main(words: list[str]) -> int:
    noticed = 0
    rules = [one for one in RULES if not words or any(word in one.says or word in one.file for word in words)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for was_noticed, line in pool.map(try_break, rules):
            noticed += was_noticed
            print(line, flush=True)
    print(f"\n{noticed} of {len(rules)} breaks were noticed.")
    return 0 if noticed == len(rules) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
