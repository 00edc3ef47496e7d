"""The rules of a sync that goes on in the other way."""

from tools.mutants.rules import Rule

EVENTS, LANES = (f"source_posthog/streams/{name}.py" for name in ("events", "lanes"))
REQUESTER = "source_posthog/api/requester.py"
TESTS = ("unit_tests/streams/test_lanes.py", "integration_tests/test_list_that_is_gone.py")


def _rule(says: str, file: str, text: str, broken: str) -> Rule:
    return Rule(f"list gone: {says}", file, text, broken, TESTS)


WAY_RULES = [
    _rule("queries go on from there", EVENTS, "                is_begun = True\n", ""),
    _rule("a window of which nothing is emitted begins anew", EVENTS, "if not is_begun:", "if False:"),
    _rule("it is said once", EVENTS, "if self._way is instead:", "if False:"),
    _rule("its project is not taken for gone", REQUESTER, "if detail == NO_LIST:", "if False:"),
    _rule(
        "queries have slots of their own", LANES, "self.requests, self._counted = requests, {}", "self._counted = {}"
    ),
    _rule("whoever waits for a slot of lists takes another", LANES, "requests is self.requests and ", ""),
    _rule("days are counted then", LANES, "self.requests, self._counted = requests, {}", "self.requests = requests"),
]
