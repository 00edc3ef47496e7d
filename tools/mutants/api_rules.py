"""The rules of requests and answers that `make mutants` breaks: what is believed, and what is asked for again."""

from tools.mutants.rules import CORE, Rule

API, STREAMS = "source_posthog/api/", "source_posthog/streams/"
ANSWERS, HANDLING, HEALTH, WAITING, CLIENT = (
    f"{API}{name}.py" for name in ("answers", "handling", "health", "waiting", "client")
)
LISTS, TRANSPORTS, EVENTS = (f"{STREAMS}{name}.py" for name in ("lists", "transports", "events"))
PROPERTIES = CORE + "properties.py"

PROPERTIES_TESTS = ("unit_tests/exact/events/test_properties.py",)
LISTS_TESTS = (
    "unit_tests/streams/test_lists.py",
    "integration_tests/test_lists.py",
    "integration_tests/test_hostile_servers.py",
)
REFUSALS_TESTS = ("integration_tests/test_refusals.py",)
UNREADABLE_TESTS = ("integration_tests/test_unreadable.py",)
WAITING_TESTS = ("integration_tests/test_waiting.py",)

UNREADABLE = [
    Rule("properties are an object", PROPERTIES, "if isinstance(value, dict):", "if value:", PROPERTIES_TESTS),
    Rule("they may stand behind a BOM", PROPERTIES, "value.removeprefix(BYTE_ORDER_MARK)", "value", PROPERTIES_TESTS),
    Rule(
        "the text of those that are none is kept",
        PROPERTIES,
        "given if isinstance(given, str) else",
        "",
        PROPERTIES_TESTS,
    ),
    Rule(
        "a row that is too deep is not emitted",
        EVENTS,
        "if isinstance(event, Unemittable)",
        "if False",
        UNREADABLE_TESTS,
    ),
    Rule("it is told", EVENTS, 'unemitted.add(event["id"])', "pass", UNREADABLE_TESTS),
    Rule("it fails the stream", EVENTS, "        unemitted.require_none()\n", "", UNREADABLE_TESTS),
    Rule(
        "properties that are too deep are text",
        TRANSPORTS,
        'if deep.keys() == {"properties"}:',
        "if False:",
        UNREADABLE_TESTS,
    ),
    Rule(
        "a page that is cut off is none",
        ANSWERS,
        "            return _read_in_pieces(response, content, decode)\n",
        "            return NestedTooDeeply(_reason(response, ''))\n",
        UNREADABLE_TESTS,
    ),
    Rule("a list leaves out what is too deep", LISTS, " if place not in deep]", "]", UNREADABLE_TESTS),
]

PAGES = [
    Rule(
        "lists follow `next` and not the size of the page",
        LISTS,
        "start = self._next_offset(response, start)",
        "start = self._next_offset(response, start) if len(self.sync.answers.rows(response)) >= 100 else None",
        LISTS_TESTS,
    ),
    Rule(
        "a `next` leads on",
        LISTS,
        "if offset(following) <= before:\n            raise",
        "if offset(following) <= before:\n            return None\n            raise",
        LISTS_TESTS,
    ),
    Rule("a page that is too much shrinks", LISTS, "max(self.rows // SHRINK, 1)", "max(self.rows - 1, 1)", LISTS_TESTS),
    Rule("it grows again", LISTS, "min(self.rows * SHRINK, self.most), 0, True", "self.rows, 0, True", LISTS_TESTS),
    Rule("not above the most", LISTS, "min(self.rows * SHRINK, self.most)", "self.rows * SHRINK", LISTS_TESTS),
    Rule("less and less often", LISTS, "min(2 * self.patience, MOST_PATIENCE)", "self.patience", LISTS_TESTS),
    Rule(
        "at once where it went well", LISTS, "self.patience, self.is_try = 1, False", "self.is_try = False", LISTS_TESTS
    ),
    Rule(
        "a single row is tried again",
        LISTS,
        "self.requester.send_patiently(",
        "self.requester.send_request(",
        LISTS_TESTS,
    ),
]

REFUSALS = [
    Rule("a 3xx is no answer", HEALTH, "200 <= response.status_code < 300", "response.ok", REFUSALS_TESTS),
    Rule("too many bytes are too much", HEALTH, "answers.code(response) == TOO_MANY_BYTES:", "False:", REFUSALS_TESTS),
    Rule("heavy load is waited for", HEALTH, '"heavy load" in', '"no load" in', REFUSALS_TESTS),
    Rule(
        "its budget has advice of its own",
        HEALTH,
        "by_code = {BUDGET_EXCEEDED: OVER_BUDGET, ",
        "by_code = {",
        REFUSALS_TESTS,
    ),
    Rule("too many bytes have advice of their own", HEALTH, "TOO_MANY_BYTES: TOO_HEAVY, ", "", REFUSALS_TESTS),
    Rule("and so has no database", HEALTH, ", DATABASE_UNAVAILABLE: UNAVAILABLE", "", REFUSALS_TESTS),
    Rule(
        "and says so while it is waited for",
        HEALTH,
        "over_budget = answers.code(response) == BUDGET_EXCEEDED",
        "over_budget = False",
        REFUSALS_TESTS,
    ),
    Rule("a fault waits longer each time", WAITING, "wait = max(wait, usual)", "pass", REFUSALS_TESTS),
    Rule("what PostHog says is one line", ANSWERS, "line = one_line(detail)", "line = detail", REFUSALS_TESTS),
    Rule(
        "the manifest quotes that line",
        HANDLING,
        "        return self._quoted\n",
        "        return super().json()\n",
        REFUSALS_TESTS,
    ),
    Rule(
        "an id is a string or a number",
        ANSWERS,
        "if type(value) not in (str, int):",
        "if value is None:",
        REFUSALS_TESTS,
    ),
    Rule(
        "a request takes from each bucket",
        CLIENT,
        "                self._acquire(policy, request, block, timeout)\n",
        "                self._acquire(policy, request, block, timeout)\n                return\n",
        WAITING_TESTS,
    ),
]

API_RULES = [*UNREADABLE, *PAGES, *REFUSALS]
