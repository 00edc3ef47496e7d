"""The rules of reading in the order of storage."""

from tools.mutants.rules import CONDITIONS, CORE, LEDGER, PORT, WINDOWS, Rule

ORDER, SQL, HALVES = (CORE + f"{name}.py" for name in ("storage_order", "storage_sql", "half_days"))
MAPPED = "source_posthog/streams/mapped.py"

UNITS = "unit_tests/exact/events/test_"
ORDER_TESTS, SQL_TESTS, HALF_TESTS = ((f"{UNITS}{name}.py",) for name in ("storage_order", "storage_sql", "half_days"))
SYNCS = "integration_tests/test_storage_order.py::test_"
WINDOW_TESTS = (f"{UNITS}windows.py",)
STOP_TESTS = (f"{SYNCS}a_sync_that_is_stopped_within_a_day_is_gone_on_with_and_finds_what_arrived",)
MAPPED_TESTS = ("unit_tests/streams/test_mapped.py",)
BACKFILL_TESTS = (f"{SYNCS}a_backfill_is_read_in_the_order_of_storage_too_and_gone_on_with_within_a_day",)


def _order(says: str, text: str, broken: str) -> Rule:
    return Rule(says, ORDER, text, broken, ORDER_TESTS)


def _half(says: str, text: str, broken: str) -> Rule:
    return Rule(says, LEDGER, text, broken, HALF_TESTS)


def _day(says: str, text: str, broken: str) -> Rule:
    return Rule(says, MAPPED, text, broken, MAPPED_TESTS)


def _stop(says: str, text: str, broken: str) -> Rule:
    return Rule(says, MAPPED, text, broken, STOP_TESTS)


NEWEST = "half.newest if half.newest and instant(half.newest) < query.end else None"

RANGES = [
    _order("a range that is not complete is cut again", "page is not None and page.complete", "page"),
    _order("the last range is open", "[*inside, keys.high]", "[*inside, Cut(chr(126))]"),
    _order("the first one too", "[keys.low, *inside]", "[Cut(chr(36)), *inside]"),
    _order("names have the order of their bytes", "names), key=str.encode", "names), key=str.lower"),
    _order("what is left of a name is cut evenly", "names[name], *_hashes(keys, name)", "names[name], 0, HASHES"),
    _order("a NUL is in no string of HogQL", " and NUL not in name", ""),
    _order("a sign in place of bytes is no name", "BROKEN not in name and ", ""),
    _order("half a surrogate cannot be sent", "        return False\n    return", "        pass\n    return"),
    _order("slowness without events is no lie", "if not names and page is not None:", "if not names:"),
    _order("a busy distinct_id is cut by its ids", "if by_ids := end - start <= 1:", "if by_ids := False:"),
    _order("a busy bucket is cut out", "(bucket + 1) * width", "bucket * width"),
    _order("what cannot be cut ends", "if len(smaller) == 1:", "if False:"),
    _order("other names are not believed", 'not part.keys.may_have(row.get("event"))', "False"),
    _order("copies are read to the end", "        page = ask(replace(part, unlike=ids))", "        return"),
    _order("their place is reached at the end", "part.keys.high if page.complete else part.keys.low", "part.keys.high"),
    _order("rows that grow are planned anew", "if not room / 2 <= FILLING * rows() <= 2 * room:", "if not room:"),
    _order("a dense day stands alone", "if filled > rows:", "if False:"),
    _order("no segment is too long", " or stop - begin > LONGEST_SEGMENT", ""),
    Rule("a cut is within its range", PORT, "self.low.order() < cut.order()", "True", ORDER_TESTS),
]

WORDS = [
    Rule("a range ends before its upper cut", SQL, '"<", "<")', '"<", "<=")', SQL_TESTS),
    Rule("and begins with its lower one", SQL, '">", ">=")', '">", ">")', SQL_TESTS),
    Rule("hashes are no more than 63 bits", SQL, "if value <= GREATEST", "if True", SQL_TESTS),
    Rule("quotes are escaped", CONDITIONS, """"'": "\\\\'\"""", """"'": "'\"""", SQL_TESTS),
    Rule("the day is pruned", SQL, 'f"assumeNotNull({hogql(at)})"', "hogql(at)", SQL_TESTS),
    Rule("hashes are not NULL", SQL, 'f"assumeNotNull(cityHash64({column}))"', 'f"cityHash64({column})"', SQL_TESTS),
    Rule("keys are counted in their range", SQL, ", *range_conditions(query.keys)]", "]", SQL_TESTS),
    Rule(
        "an empty end is asked for",
        WINDOWS,
        "if any(newest(*one) is not None for one in questions):",
        "if False:",
        (f"{UNITS}windows.py",),
    ),
]

ZONES = [
    Rule(
        "a page that is thrown away shows no wall time",
        "source_posthog/streams/events.py",
        "page.complete or self._way.counts",
        "page.complete",
        ("integration_tests/test_ages.py",),
    ),
]

STATES = [
    _half("a half day waits for what is before it", "not track.start <= half.start <= track.read_to", "False"),
    _half("a day that is read is no half day", " and track.read_to >= half.end", " and False"),
    _half("it stays while some of it is to be read", "track.read_to >= half.end", "track.read_to > half.start"),
    _half("a backfilled day stays while some of it is to be read", "read_from <= half.start:", "read_from < half.end:"),
    _half("a half day of the future is none", "half.began <= present", "True"),
    _half("an empty half does not move the state", "is_covered or is_empty", "is_covered"),
    _half("its entry has a timestamp", "{self._key: known, **self._moved", "{**self._moved"),
    _half("a half of the lookback takes no place", "is_covered or is_empty", "is_empty"),
    _half("half a backfilled day waits for what is after it", "half.end < backfill.read_from or ", ""),
    _half("it stands in an entry that is used", " or project in self._before:", ":"),
    _half("it goes once its day is read", "and backfill.read_from <= half.start:", "and False:"),
    _half("what stands beside it stays", "{**self._earlier(project), DAY: written(half)}", "{DAY: written(half)}"),
    _half("it outlives what stands beside it", ".items() if name == DAY}", ".items() if False}"),
    _half("a backfill goes on at its end", "return end >= backfill.read_from\n", "return False\n"),
    Rule("a hash has 64 bits", HALVES, " and int(value) <= HASHES", "", HALF_TESTS),
    Rule(
        "late events are those since the day was begun",
        MAPPED,
        "half.began - self.slicer.lookback",
        "self.slicer.present",
        STOP_TESTS,
    ),
    _stop("late events are those of the read part", "Keys(None, half.reached)", "Keys()"),
    _stop("the rest is read from the place", "keys=Keys(half.reached))", "keys=Keys())"),
    Rule(
        "a half day says when it was begun",
        MAPPED,
        "part.reached, self.slicer.present, newest",
        "part.reached, query.start, newest",
        STOP_TESTS,
    ),
    _day("its newest may lie behind the range", NEWEST, "half.newest"),
    _day("or in it", NEWEST, "None"),
    _day("the half of another range is none", "half.start <= query.start and query.end <= half.end", "True"),
    _day(
        "what arrived late may be the newest",
        ", _newer(newest, batch.newest)\n                yield",
        ", newest\n                yield",
    ),
    _day("without a word of it the day is read again", "            return None\n", "            return half\n"),
    _day("half an answer about it is none", "            if rows:", "            if False:"),
    _day("a day by time is covered bit by bit", "if query.keys.is_bounded:", "if True:"),
    _day("the rest of a day by time is the rest", "if query.keys.is_bounded:", "if False:"),
    _day("a backfill begins with its newest day", "reversed(list(found)) if backwards else found", "found"),
    Rule(
        "the days of a backfill are counted",
        "source_posthog/streams/event_cursor.py",
        "return backfill if backfill and window.end <= backfill[1] else",
        "return",
        BACKFILL_TESTS,
    ),
]

STORAGE_RULES = (*RANGES, *WORDS, *ZONES, *STATES)
