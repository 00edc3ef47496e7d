"""The rules of reading in the order of storage."""

from tools.mutants.rules import CORE, LEDGER, PORT, WINDOWS, Rule

ORDER, SQL, HALVES = (CORE + f"{name}.py" for name in ("storage_order", "storage_sql", "half_days"))
MAPPED = "source_posthog/streams/mapped.py"

UNITS = "unit_tests/exact/events/test_"
ORDER_TESTS, SQL_TESTS, HALF_TESTS = ((f"{UNITS}{name}.py",) for name in ("storage_order", "storage_sql", "half_days"))
SYNCS = "integration_tests/test_storage_order.py::test_"
WINDOW_TESTS = (f"{UNITS}windows.py",)
STOP_TESTS = (f"{SYNCS}a_sync_that_is_stopped_within_a_day_is_gone_on_with_and_finds_what_arrived",)
OTHER_TESTS = (f"{SYNCS}the_next_sync_may_be_another_one",)


def _order(says: str, text: str, broken: str) -> Rule:
    return Rule(says, ORDER, text, broken, ORDER_TESTS)


def _stop(says: str, text: str, broken: str) -> Rule:
    return Rule(says, MAPPED, text, broken, STOP_TESTS)


RANGES = [
    _order("a range that is not complete is cut again", "page is not None and page.complete", "page"),
    _order("the last range is open", "[*inside, keys.high]", "[*inside, Cut(chr(126))]"),
    _order("the first one too", "[keys.low, *inside]", "[Cut(chr(36)), *inside]"),
    _order("names have the order of their bytes", "names), key=str.encode", "names), key=str.lower"),
    _order("what is left of a name is cut evenly", "names[name], *_hashes(keys, name)", "names[name], 0, HASHES"),
    _order("a NUL is in no string of HogQL", " and NUL not in name", ""),
    _order("a sign in place of bytes is no name", "BROKEN not in name and ", ""),
    _order("half a surrogate cannot be sent", "        return False\n    return", "        pass\n    return"),
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
    Rule("quotes are escaped", SQL, """"'": "\\\\'\"""", """"'": "'\"""", SQL_TESTS),
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

STATES = [
    Rule(
        "a half day waits for what is before it",
        LEDGER,
        "not track.start <= half.start <= track.read_to",
        "False",
        HALF_TESTS,
    ),
    Rule("a day that is read is no half day", LEDGER, " and track.read_to > half.start", " and False", HALF_TESTS),
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
    Rule(
        "the half of another range is none",
        MAPPED,
        "half.start <= query.start and query.end <= half.end",
        "True",
        OTHER_TESTS,
    ),
]

STORAGE_RULES = (*RANGES, *WORDS, *STATES)
