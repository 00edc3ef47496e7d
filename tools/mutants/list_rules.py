"""The rules of lists that are compared with their count, and of the odd ones among them, that `make mutants` breaks."""

from tools.mutants.rules import Rule

COUNTED, LISTS = (f"source_posthog/streams/{name}.py" for name in ("counted_lists", "lists"))
MANIFEST, HANDLING = "source_posthog/manifest.yaml", "source_posthog/api/handling.py"

LIST_TESTS = ("integration_tests/test_extra_streams.py", "integration_tests/test_extra_lists.py")

LIST_RULES = (
    Rule("a list that lacks rows is read again", COUNTED, "if len(seen) >= counted:", "if True:", LIST_TESTS),
    Rule("each row of it is emitted once", COUNTED, "if record[self.key] not in seen:", "if True:", LIST_TESTS),
    Rule(
        "one that cannot be emitted is not missing", COUNTED, "                        seen.add(id)\n", "", LIST_TESTS
    ),
    Rule(
        "without a `next` the count says whether there is more",
        COUNTED,
        "return before + rows if rows and before + rows < self._count(response) else None",
        "return None",
        LIST_TESTS,
    ),
    Rule("an array is a list of group types only", HANDLING, "if self.is_array:", "if True:", LIST_TESTS),
    Rule("archived experiments are read too", MANIFEST, 'values: ["", "true"]', 'values: [""]', LIST_TESTS),
    Rule("properties of groups are read too", MANIFEST, "session, group_0, ", "session, ", LIST_TESTS),
)
