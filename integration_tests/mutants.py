"""`make mutants`: break each rule of the events algorithm in a copy, and see a test fail for it.

A test that no break can make fail proves nothing. Prints which test noticed which break; exits with 1 where none did.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIED = ("source_posthog", "unit_tests", "integration_tests", "pyproject.toml")
COMPONENTS = "source_posthog/components.py"
UNIT = "unit_tests/test_slicer.py", "unit_tests/test_retriever.py"
PROOF = *UNIT, "integration_tests/test_proof.py", "integration_tests/test_attack.py"
READ = *UNIT, "integration_tests/test_attack.py", "integration_tests/test_read.py"

# rule, file, its text, the break, the tests that may notice
MUTANTS = [
    (
        "after = start - 1 µs",
        COMPONENTS,
        'token = {"after": iso(start - MICROSECOND), "before": iso(end)}',
        'token = {"after": iso(start), "before": iso(end)}',
        PROOF,
    ),
    (
        "before = oldest + 1 µs",
        COMPONENTS,
        "before, given = oldest + MICROSECOND, tied",
        "before, given = oldest, set()",
        PROOF,
    ),
    ("ids given out at the edge", COMPONENTS, "oldest + MICROSECOND, tied\n", "oldest + MICROSECOND, set()\n", PROOF),
    (
        "ties are split by their ids",
        COMPONENTS,
        "        if not more:\n            yield from events\n        elif",
        "        if True:\n            yield from events\n        elif",
        PROOF,
    ),
    (
        "after the ties, what is older is read",
        COMPONENTS,
        "                before, given = oldest, set()",
        "                before, given = floors[-1], set()",
        PROOF,
    ),
    (
        "`next: null` is believed under 50 rows only",
        COMPONENTS,
        "all_read = not more and len(events) < HALF_OF_THE_SMALLEST_CAP",
        "all_read = not more",
        PROOF,
    ),
    ("the limit is 50 and not 51", COMPONENTS, "HALF_OF_THE_SMALLEST_CAP = 50", "HALF_OF_THE_SMALLEST_CAP = 51", PROOF),
    (
        "a short page is not the end where `next` is set",
        COMPONENTS,
        "all_read = not more and len(events)",
        "all_read = len(events)",
        PROOF,
    ),
    ("a page is newest first", COMPONENTS, "        newer = at\n", "        newer = newer\n", PROOF),
    ("a page lies in its range", COMPONENTS, "if not start <= at <= newer:", "if not at <= newer:", PROOF),
    (
        "the state waits for the oldest open window",
        COMPONENTS,
        "            if covered is None:\n                break",
        "            if covered is None:\n                continue",
        PROOF,
    ),
    (
        "the state never moves back",
        COMPONENTS,
        "if cursor is None or instant(covered) > instant(cursor):",
        "if True:",
        PROOF,
    ),
    (
        "a window that was left keeps the state",
        COMPONENTS,
        "        if _key(window) in self._left:\n            return False\n",
        "",
        (*PROOF, "integration_tests/test_check.py"),
    ),
    (
        "an empty window moves the state",
        COMPONENTS,
        'return end if instant(end) <= self.sync.clock.present() - CLOCK_TOLERANCE else ""',
        'return ""',
        PROOF,
    ),
    (
        "an empty window of the last day does not",
        COMPONENTS,
        'return end if instant(end) <= self.sync.clock.present() - CLOCK_TOLERANCE else ""',
        "return end",
        PROOF,
    ),
    (
        "the lookback is read again",
        COMPONENTS,
        "instant(cursor) - timedelta(hours=",
        "instant(cursor) - timedelta(seconds=",
        PROOF,
    ),
    ("two lists of a project at once", COMPONENTS, "EVENT_LISTS_AT_ONCE = 2", "EVENT_LISTS_AT_ONCE = 3", READ),
    (
        "the first event is asked for, and the answer proved",
        COMPONENTS,
        "is_first = start < first < stop and not self._one_event(partition, start, first)",
        "is_first = True",
        READ,
    ),
    (
        "windows meet",
        COMPONENTS,
        "cursor_slice=bounds)\n            start = stop\n",
        "cursor_slice=bounds)\n            start = stop + MICROSECOND\n",
        PROOF,
    ),
    (
        "halved windows are read to the floor",
        COMPONENTS,
        "            if before == floors[-1]:\n                floors.pop()\n",
        "            if before == floors[-1]:\n                floors.clear()\n",
        (*UNIT, "integration_tests/test_faults.py"),
    ),
    (
        "lists follow `next` and not the size of the page",
        "source_posthog/lists.py",
        "return next_offset(response, int(last_page_token_value or 0), self.sync)",
        "return next_offset(response, int(last_page_token_value or 0), self.sync) if last_page_size >= 100 else None",
        READ,
    ),
]


def first_failure(folder: Path, tests: tuple[str, ...]) -> str:
    """The first test that fails in the copy at `folder`; "" if all pass."""
    line = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--show-capture=no", *tests]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return failed[1] if failed else ""


def try_break(mutant: tuple[str, str, str, str, tuple[str, ...]]) -> tuple[bool, str]:
    """Whether a test noticed the break, and the line to print about it."""
    rule, file, text, broken, tests = mutant
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in COPIED:
            (shutil.copytree if (ROOT / one).is_dir() else shutil.copy)(ROOT / one, folder / one)
        original = (folder / file).read_text()
        if original.count(text) != 1:
            return False, f"{rule:<52} the text to break stands {original.count(text)} times in {file}"
        (folder / file).write_text(original.replace(text, broken))
        noticed = first_failure(folder, tests)
    return bool(noticed), f"{rule:<52} {noticed or 'SURVIVED'}"


def main() -> int:
    noticed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for was_noticed, line in pool.map(try_break, MUTANTS):
            noticed += was_noticed
            print(line, flush=True)
    print(f"\n{noticed} of {len(MUTANTS)} breaks were noticed.")
    return 0 if noticed == len(MUTANTS) else 1


if __name__ == "__main__":
    sys.exit(main())
