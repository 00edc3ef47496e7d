"""The rules of queries as streams that `make mutants` breaks."""

from tools.mutants.rules import Rule

CORE = "source_posthog/exact/queries/"
READING, STATEMENTS, KEYS = (f"{CORE}{name}.py" for name in ("reading", "statements", "keys"))
ORDER, STEADY = f"{CORE}order.py", f"{CORE}steady.py"
ANSWER = "source_posthog/exact/query_api.py"
SQL, TYPES, DEFINITIONS = (f"{CORE}{name}.py" for name in ("sql", "types", "definitions"))
ASKING, CURSOR, STREAMS = (f"source_posthog/streams/{name}.py" for name in ("query_asking", "query_cursor", "queries"))
FACTS = "source_posthog/api/once.py"

READING_TESTS = ("unit_tests/exact/queries/test_reading.py",)
KEY_TESTS = ("unit_tests/exact/queries/test_keys.py",)
STEADY_TESTS = ("unit_tests/exact/queries/test_steady.py",)
ANSWER_TESTS = ("unit_tests/exact/test_query_api.py",)
OLD_TESTS = ("integration_tests/test_queries_of_old_servers.py",)
PAGE_TESTS = ("unit_tests/exact/queries/test_statements.py",)
SQL_TESTS = ("unit_tests/exact/queries/test_sql.py",)
TYPE_TESTS = ("unit_tests/exact/queries/test_types.py",)
DEFINITION_TESTS = ("unit_tests/exact/queries/test_definitions.py",)
SYNC_TESTS = ("integration_tests/test_query_streams.py",)
FACT_TESTS = ("unit_tests/api/test_once.py",)


def _sync(name: str) -> tuple[str, ...]:
    """One test of whole syncs, which take longer."""
    return (f"integration_tests/test_query_streams.py::test_{name}",)


def _check(name: str) -> tuple[str, ...]:
    return (f"integration_tests/test_query_checks.py::test_{name}",)


PAGES = [
    Rule(
        "the key of the last row is asked for again", STATEMENTS, "{columns[-1]} >= ", "{columns[-1]} > ", READING_TESTS
    ),
    Rule(
        "a key counts where those before it are equal",
        STATEMENTS,
        "({column} > {bound} OR ({column} = {bound} AND {condition}))",
        "({column} >= {bound} AND {condition})",
        READING_TESTS,
    ),
    Rule(
        "and not where they are less", STATEMENTS, "({column} = {bound} AND {condition})", "{condition}", READING_TESTS
    ),
    Rule("rows that are greater follow", STATEMENTS, "{column} > {bound} OR", "{column} >= {bound} OR", READING_TESTS),
    Rule(
        "the first key bounds them alone",
        STATEMENTS,
        "return condition if len(keys) == 1 else",
        "return condition if True else",
        PAGE_TESTS,
    ),
    Rule(
        "the order is that of all keys", STATEMENTS, "*map(_column, keys)]", "*map(_column, keys[:1])]", READING_TESTS
    ),
    Rule("NULL keys come first", STATEMENTS, "({nulls}) DESC", "({nulls}) ASC", READING_TESTS),
    Rule(
        "NULL keys come on each page",
        STATEMENTS,
        'f"({nulls} OR ({following}))" if nulls else following',
        "following",
        READING_TESTS,
    ),
    Rule(
        "a NULL cursor is excluded",
        STATEMENTS,
        'conditions.append(f"isNotNull({quoted(cursor.name)})")',
        "pass",
        READING_TESTS,
    ),
    Rule(
        "the ties of the state are asked for",
        STATEMENTS,
        "{_column(cursor)} >= ",
        "{_column(cursor)} > ",
        READING_TESTS,
    ),
    Rule("a query can end in a comment", STATEMENTS, "(\\n{sql}\\n)", "({sql})", PAGE_TESTS),
    Rule("any column can be named", STATEMENTS, '.replace("`", "``")', "", PAGE_TESTS),
]

COMPARED = [
    Rule(
        "UUIDs have the order of strings",
        KEYS,
        'AS_STRING = KeyKind("toString({})"',
        'AS_STRING = KeyKind("{}"',
        _sync("a_query_is_read_whole_in_every_project"),
    ),
    Rule(
        "a bound is in UTC",
        KEYS,
        "return iso(instant(value))\n\n\nWHOLE",
        'return iso(instant(value)).removesuffix("Z")\n\n\nWHOLE',
        _sync("instants_are_in_utc_whatever_the_time_zone_of_the_project"),
    ),
    Rule("an early date is compared as a string", KEYS, '"Date32": AS_STRING', '"Date32": DATE', SYNC_TESTS),
    Rule("an enum is compared as a string", KEYS, '"Enum8": AS_STRING', '"Enum8": STRING', SYNC_TESTS),
    Rule("a microsecond is the finest", KEYS, "FINEST = 6", "FINEST = 7", READING_TESTS),
    Rule("a microsecond is fine enough", KEYS, "FINEST = 6", "FINEST = 5", READING_TESTS),
    Rule(
        "instants are ordered as instants",
        KEYS,
        '"toDateTime({})", instant, ',
        '"toDateTime({})", _string, ',
        READING_TESTS,
    ),
    Rule("and sent in UTC", KEYS, "return iso(instant(value))\n\n\nWHOLE", "return value\n\n\nWHOLE", PAGE_TESTS),
    Rule("every server knows the word", KEYS, '"toDateTime({})"', "\"toDateTime64({}, 6, 'UTC')\"", OLD_TESTS),
    Rule(
        "an instant can be shown cut",
        KEYS,
        "if shown is None or len(shown[1]) >= self.digits:",
        "if True:",
        READING_TESTS,
    ),
    Rule("one that is not is no later", KEYS, "len(shown[1]) >= self.digits", "False", KEY_TESTS),
    Rule("a state can have more digits", KEYS, "position + key.blur(value) if", "position if", READING_TESTS),
    Rule(
        "the latest has all digits", KEYS, "iso(instant(value) + key.blur(value))", "iso(instant(value))", STEADY_TESTS
    ),
    Rule("columns differ in more than case", KEYS, "if other != column:", "if False:", KEY_TESTS),
    Rule("project_id is one of them", KEYS, "seen = {PROJECT: PROJECT}", "seen: dict[str, str] = {}", KEY_TESTS),
    Rule("Airbyte has columns of its own", KEYS, 'if column.lower().startswith("_airbyte"):', "if False:", KEY_TESTS),
    Rule("a number is no boolean", KEYS, "isinstance(value, bool)", "isinstance(value, int)", READING_TESTS),
    Rule(
        "a key can be NULL",
        KEYS,
        "Key(column, kind, type_.is_nullable, _digits(type_))",
        "Key(column, kind, False, _digits(type_))",
        READING_TESTS,
    ),
    Rule("numbers are of 64 bits at the most", KEYS, "(8, 16, 32, 64)", "(8, 16, 32, 64, 128, 256)", READING_TESTS),
]

ONCE = [
    Rule(
        "emitted rows of the edge are skipped",
        READING,
        "if self.last and position.is_asked_with(self.last) and row in emitted:",
        "if False:",
        READING_TESTS,
    ),
    Rule("a row of the edge is skipped once", READING, "emitted.remove(row)", "pass", READING_TESTS),
    Rule(
        "all rows of the last key are the edge",
        READING,
        "[row for row, position in zip(rows, positions, strict=True) if position.is_asked_with(last)]",
        "rows[-1:]",
        READING_TESTS,
    ),
    Rule("a page moves on", READING, "        if end == last:\n", "        if False:\n", READING_TESTS),
    Rule(
        "the last page need not move on",
        READING,
        "        if not answer.complete:\n            self._require_progress",
        "        if True:\n            self._require_progress",
        READING_TESTS,
    ),
    Rule("rows come in their order", READING, "if position.is_before(least):", "if False:", READING_TESTS),
    Rule(
        "a page comes after the one before",
        READING,
        "positions[0] if self.last is None else self.last",
        "positions[0]",
        READING_TESTS,
    ),
    Rule(
        "an empty page has no next",
        READING,
        "            if not answer.complete:\n",
        "            if False:\n",
        READING_TESTS,
    ),
    Rule("types stay from page to page", READING, "if order.keys != self.order.keys:", "if False:", READING_TESTS),
    Rule("a project has types of its own", READING, "        self.order = self._order_in(answer)\n", "", READING_TESTS),
    Rule(
        "a refusal is raised",
        READING,
        "keys == self.order.keys:\n                raise",
        "keys is None:\n                raise",
        READING_TESTS,
    ),
    Rule("a state is a value of the cursor", READING, "cursor.position(self.since)\n", "pass\n", READING_TESTS),
    Rule("rows come after the state", READING, "is_before(order.cursor, first, self.since)", "False", READING_TESTS),
    Rule("twins are named", READING, "positions[place - 1] == positions[place] and", "False and", READING_TESTS),
    Rule("rows that are the same are no twins", READING, " and rows[place - 1] != rows[place]", "", READING_TESTS),
    Rule(
        "a full refresh reaches nothing",
        READING,
        "self.present) if order.cursor else None",
        "self.present)",
        READING_TESTS,
    ),
    Rule(
        "a batch reaches to its last row",
        READING,
        "no_later(order.cursor, end[0], self.present)",
        "no_later(order.cursor, order.values(answer.rows[0])[0], self.present)",
        READING_TESTS,
    ),
]

BLURRED = [
    Rule(
        "what follows a cut instant is not known",
        ORDER,
        "            if key.blur(value):\n",
        "            if False:\n",
        READING_TESTS,
    ),
    Rule(
        "positions are compared as far as both are known",
        ORDER,
        "self.values[:shared] < other.values[:shared]",
        "self.values < other.values",
        READING_TESTS,
    ),
    Rule(
        "all of a millisecond are asked for again",
        ORDER,
        "self.values[: len(other.values)] == other.values",
        "self == other",
        READING_TESTS,
    ),
    Rule("a page leads out of its millisecond", READING, "if last.is_blurred:", "if False:", READING_TESTS),
    Rule(
        "rows of a millisecond are no twins",
        READING,
        " and not positions[place].is_blurred",
        "",
        READING_TESTS,
    ),
]

MOVING = [
    Rule(
        "a first page is asked for again",
        READING,
        "if self.last is not None and not is_past",
        "if not is_past",
        STEADY_TESTS,
    ),
    Rule(
        "one that ends after the present too",
        READING,
        "self.last is not None and not is_past and",
        "self.last is not None and",
        STEADY_TESTS,
    ),
    Rule(
        "one with the keys of the page before too", READING, "not (keys and keys <= keys_before)", "True", STEADY_TESTS
    ),
    Rule("keys are told without the cursor", READING, "[bool(order.cursor) :]", "[:]", STEADY_TESTS),
    Rule(
        "for as many rows as there were",
        READING,
        "self.following(most=len(answer.rows))",
        "self.following(most=1)",
        STEADY_TESTS,
    ),
    Rule("most rows must come again", STEADY, "return 2 * found >= len(first.rows)", "return found >= 1", STEADY_TESTS),
    Rule(
        "not all of them",
        STEADY,
        "return 2 * found >= len(first.rows)",
        "return found >= len(first.rows)",
        STEADY_TESTS,
    ),
    Rule("with what they had", STEADY, ">= len(marks)", ">= 0", STEADY_TESTS),
    Rule("but not all of it", STEADY, "2 * sum(mark", "sum(mark", STEADY_TESTS),
    Rule(
        "columns of one value tell nothing",
        STEADY,
        "for row in first.rows}) > 1",
        "for row in first.rows}) > 0",
        STEADY_TESTS,
    ),
    Rule("ages grow", STEADY, "str(row[name] - grown)", "str(row[name])", STEADY_TESTS),
    Rule(
        "what comes in while it is read waits",
        READING,
        "self.until = self._latest(order.keys[0])",
        "pass",
        STEADY_TESTS,
    ),
    Rule("and no row that was there", STATEMENTS, "{_column(cursor)} <= ", "{_column(cursor)} < ", STEADY_TESTS),
]

BYTES = [
    Rule("broken bytes are no key", READING, "if rows != [[0]]:", "if False:", READING_TESTS),
    Rule("text may have their sign", READING, "if rows != [[0]]:", "if True:", READING_TESTS),
    Rule("and is asked about once", READING, "self.has_text = True", "pass", READING_TESTS),
    Rule("UInt64 is longer than an integer", TYPES, '("UInt64", "Int128"', '("Int128"', TYPE_TESTS),
]

JUDGED = [
    Rule(
        "an error is no answer", ANSWER, 'if error := answer.get("error"):', 'if error := answer.get(""):', ANSWER_TESTS
    ),
    Rule("an old answer is none", ANSWER, 'if answer.get("is_cached") is True:', "if False:", ANSWER_TESTS),
    Rule("an empty page has no next", ANSWER, "if more and not rows:", "if False:", ANSWER_TESTS),
    Rule("what it says is believed", ANSWER, "not more and len(rows) <", "len(rows) <", ANSWER_TESTS),
    Rule(
        "a full page is not the last",
        ANSWER,
        "return not more and len(rows) < limit_in_force(answer, limit)",
        "return not more",
        ANSWER_TESTS,
    ),
    Rule("a smaller limit is in force", ANSWER, "return min(limit, echoed)", "return limit", ANSWER_TESTS),
    Rule("a greater one is not", ANSWER, "return min(limit, echoed)", "return int(echoed)", ANSWER_TESTS),
]

SELECTS = [
    Rule(
        "OFFSET is a limit too", SQL, 'token.word in ("LIMIT", "OFFSET") and', 'token.word in ("LIMIT",) and', SQL_TESTS
    ),
    Rule(
        "there is no second statement",
        SQL,
        'if any(token.text != ";" for token in tokens[end:]):',
        "if False:",
        SQL_TESTS,
    ),
    Rule("LIMIT BY is none", SQL, " and not _is_limit_by(outer, place)", "", SQL_TESTS),
    Rule(
        "a subquery has its own",
        SQL,
        "list(_outside_brackets(_unwrapped(tokens[:end])))",
        "list(tokens[:end])",
        SQL_TESTS,
    ),
    Rule("brackets around all hide nothing", SQL, "_unwrapped(tokens[:end])", "tokens[:end]", SQL_TESTS),
    Rule("brackets are closed by their own", SQL, "expected.pop() != token.text", "not expected.pop()", SQL_TESTS),
    Rule("`limit` can be a name", SQL, "before.word not in _BEFORE_NAMES", "True", SQL_TESTS),
    Rule(
        "an aggregate is of its inner type",
        TYPES,
        '("LowCardinality", "SimpleAggregateFunction")',
        '("LowCardinality",)',
        TYPE_TESTS,
    ),
    Rule("a comma in an enum parts nothing", TYPES, 'elif sign == "\'":', 'elif sign == "":', TYPE_TESTS),
    Rule("any value can be null", TYPES, '["null", schema["type"]]', '[schema["type"]]', TYPE_TESTS),
    Rule(
        "project_id is no cursor",
        DEFINITIONS,
        "PROJECT in key or cursor_field == PROJECT",
        "PROJECT in key",
        DEFINITION_TESTS,
    ),
    Rule(
        "project_id is no key",
        DEFINITIONS,
        "PROJECT in key or cursor_field == PROJECT",
        "cursor_field == PROJECT",
        DEFINITION_TESTS,
    ),
    Rule("each query has a name of its own", DEFINITIONS, "if name in names:", "if False:", DEFINITION_TESTS),
]

SYNCS = [
    Rule(
        "a page as long as asked for is not the last",
        ASKING,
        "return Result(named, rows, complete)",
        "return Result(named, rows, complete=True)",
        _check("a_smaller_page_that_is_full_is_not_the_last"),
    ),
    Rule(
        "nor one as long as the server gives",
        ASKING,
        "len(answer.rows) < self._most_rows())",
        "True)",
        _sync("a_query_is_read_whole_in_every_project"),
    ),
    Rule(
        "no old answer of a query",
        ANSWER,
        '"force_blocking"',
        '"blocking"',
        _sync("a_query_is_read_whole_in_every_project"),
    ),
    Rule(
        "answers are in UTC",
        ANSWER,
        '"convertToProjectTimezone": False',
        '"convertToProjectTimezone": True',
        _sync("instants_are_in_utc_whatever_the_time_zone_of_the_project"),
    ),
    Rule(
        "three queries at once are shared",
        ASKING,
        'with self.sync.query_slots.of(self.stream_slice["project_id"]):',
        "if True:",
        _check("three_queries_of_a_project_run_at_once_over_all_streams_and_events"),
    ),
    Rule(
        "an error within an answer",
        ASKING,
        "complete = is_whole(body, limit)",
        "complete = True",
        _check("an_answer_that_cannot_be_right_fails_the_project"),
    ),
    Rule(
        "columns have names of their own",
        ASKING,
        "if columns.count(name) > 1}",
        "if False}",
        _check("an_answer_that_cannot_be_right_fails_the_project"),
    ),
    Rule(
        "a project has an entry of its own",
        CURSOR,
        "self._entries[project] = self._entry(project, reached)",
        "self._entries = {project: self._entry(project, reached)}",
        _sync("an_incremental_sync_reads_on_from_the_last_value_with_its_ties"),
    ),
    Rule(
        "a sync ends with its state",
        CURSOR,
        "ensure_at_least_one_state_emitted(self) -> None:\n        with",
        "ensure_at_least_one_state_emitted(self) -> None:\n        return\n        with",
        _sync("an_incremental_sync_reads_on_from_the_last_value_with_its_ties"),
    ),
    Rule(
        "the state moves after its page",
        STREAMS,
        "            batch.rows.reverse()\n",
        "            batch.rows.reverse()\n            self.stream_slicer.cover(str(project), batch.reached, 10_000)\n",
        _sync("no_state_claims_a_row_that_was_not_emitted_before_it"),
    ),
    Rule(
        "project_id is that of the connector",
        STREAMS,
        "{**dict(zip(batch.columns, batch.rows.pop(), strict=True)), PROJECT: project}",
        "{PROJECT: project, **dict(zip(batch.columns, batch.rows.pop(), strict=True))}",
        _check("a_column_named_project_id_is_replaced_by_the_project"),
    ),
    Rule(
        "modifiers that are not known are left out",
        "source_posthog/api/requester.py",
        "with suppress(UnknownModifiers):",
        "if True:",
        OLD_TESTS,
    ),
    Rule(
        "and this is remembered",
        FACTS,
        "was_on, self._is_on = self._is_on, True",
        "was_on = self._is_on",
        OLD_TESTS,
    ),
    Rule(
        "a count that only the log needs is worth no failure",
        STREAMS,
        "except (AirbyteTracedException, Unanswered, UntrueAnswer, Skipped) as error:",
        "except Skipped as error:",
        _check("a_count_of_rows_without_a_cursor_is_worth_no_failure"),
    ),
    Rule(
        "a query has types of its own",
        STREAMS,
        '("types", self.name), self._asked_types',
        '"types", self._asked_types',
        SYNC_TESTS,
    ),
    Rule("a fact is asked for once", FACTS, "if fact not in self._facts:", "if True:", FACT_TESTS),
]

QUERY_STREAM_RULES = [
    *(*PAGES, *COMPARED, *ONCE, *BLURRED, *MOVING, *BYTES),
    *(*JUDGED, *SELECTS, *SYNCS),
]
