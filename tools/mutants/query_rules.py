"""The rules of events by queries that `make mutants` breaks."""

from tools.mutants.rules import CORE, QUERY, Rule

SIZE = CORE + "page_size.py"
JSON, TRANSPORTS, LANES = (
    f"source_posthog/{name}.py" for name in ("api/exact_json", "streams/transports", "streams/lanes")
)

QUERY_API = "source_posthog/exact/query_api.py"
WAYS = "integration_tests/test_event_ways.py"
QUERY_TESTS = (
    "unit_tests/exact/events/test_event_query.py",
    WAYS,
    "integration_tests/test_late_events.py",
    "unit_tests/exact/events/test_random_windows.py",
)
SIZE_TESTS = "unit_tests/exact/events/test_page_size.py", WAYS
JSON_TESTS = "unit_tests/api/test_exact_json.py", "unit_tests/api/test_answers.py"
TOTALS_TESTS = ("integration_tests/test_totals.py",)

ASKING = [
    Rule("after = start - 1 µs", QUERY, "iso(query.start - MICROSECOND)", "iso(query.start)", QUERY_TESTS),
    Rule("before = end", QUERY, '"before": iso(query.end)', '"before": iso(query.end - MICROSECOND)', QUERY_TESTS),
    Rule("newest first", QUERY, 'else "timestamp DESC"', 'else "timestamp ASC"', QUERY_TESTS),
    Rule("late events and ties are asked for by conditions", QUERY, 'asked["where"] = where', "pass", QUERY_TESTS),
    Rule(
        "no column joins the persons",
        QUERY,
        '"person", "created_at")',
        '"person", "created_at", "person_id")',
        QUERY_TESTS,
    ),
    Rule(
        "instants are asked for in UTC",
        QUERY_API,
        '"convertToProjectTimezone": False',
        '"convertToProjectTimezone": True',
        QUERY_TESTS,
    ),
    Rule("no old answer", QUERY_API, '"force_blocking"', '"blocking"', QUERY_TESTS),
]

ANSWERS = [
    Rule("properties are an object", QUERY, "if not isinstance(properties, dict)", "if False", QUERY_TESTS),
    Rule("instants are those of the list", QUERY, 'f"{text[:-1]}+00:00"', "text", QUERY_TESTS),
    Rule("an instant has a zone", QUERY, "if datetime.fromisoformat(text).tzinfo:", "if True:", QUERY_TESTS),
    Rule("an instant is in UTC", QUERY, "instant(text).astimezone(timezone.utc)", "instant(text)", QUERY_TESTS),
    Rule(
        "a person is that of the list",
        QUERY,
        "for name in PERSON_PROPERTIES if name in properties",
        "for name in properties",
        QUERY_TESTS,
    ),
    Rule("no person is none", QUERY, "if uuid is None", "if False", QUERY_TESTS),
]

SIZES = [
    Rule("the first page is small", SIZE, "stands: int = FIRST_LIMIT", "stands: int = USUAL_LIMIT", SIZE_TESTS),
    Rule("a page that is too much shrinks", SIZE, "max(limit // 4, LEAST_LIMIT)", "limit", SIZE_TESTS),
    Rule("down to a thousand rows", SIZE, "max(limit // 4, LEAST_LIMIT)", "limit // 4", SIZE_TESTS),
    Rule("it shrinks once", SIZE, "if self.limit >= limit > LEAST_LIMIT", "if limit > LEAST_LIMIT", SIZE_TESTS),
    Rule("a smaller echo is the most", SIZE, "min(rows, self.most, int(", "min(rows, int(", SIZE_TESTS),
    Rule("it grows", SIZE, "min(2 * self.stands, MOST_LIMIT), 0", "self.stands, 0", SIZE_TESTS),
    Rule("not where pages take long", SIZE, "seconds <= SECONDS_OF_A_GOOD_PAGE", "1", SIZE_TESTS),
    Rule("nor where they weigh much", SIZE, "int(most_bytes / row_bytes)", "rows", SIZE_TESTS),
    Rule(
        "only full pages say how many the server stands",
        SIZE,
        "if 2 * rows < limit:",
        "if False:",
        SIZE_TESTS,
    ),
    Rule("fewer rows before less time", TRANSPORTS, "not size.too_slow(limit)", "True", SIZE_TESTS),
]

EXACT = [
    Rule("19 digits are long", JSON, 'b"0" * 19', 'b"0" * 20', JSON_TESTS),
    Rule("also behind white space", JSON, r'rb"[:,\[][- \t\r\n\\tnr]*0{19}"', r'rb"[:,\[]-?0{19}"', JSON_TESTS),
    Rule("also in a list", JSON, r'rb"[:,\[][- ', r'rb"[:,][- ', JSON_TESTS),
    Rule("also alone", JSON, " or _LONG_NUMBER_ALONE.match(flat)", "", JSON_TESTS),
    Rule("digits in strings are no numbers", JSON, "bool(_LONG_NUMBER.search(flat) or", "bool(flat or", JSON_TESTS),
    Rule(
        "what is decoded is not deeper than can be emitted",
        JSON,
        "if _brackets(content) > MOST_LEVELS and _is_deep(value):",
        "if False:",
        JSON_TESTS,
    ),
    Rule("brackets in strings are no levels", JSON, """.split(b'"')[::2]""", """.split(b'"')""", JSON_TESTS),
    Rule("nor behind quotes that are escaped", JSON, """.replace(b'\\\\"', b"")""", "", JSON_TESTS),
    Rule("what is cut off has no pieces", JSON, "if levels or not found or", "if not found or", JSON_TESTS),
]

QUERY_RULES = [*ASKING, *ANSWERS, *SIZES, *EXACT]
