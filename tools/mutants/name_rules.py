"""The rules of `events_include` and `events_exclude`."""

from tools.mutants.rules import CONDITIONS, CORE, READING, Rule

NAMES, SQL = f"{CORE}names.py", f"{CORE}storage_sql.py"
EVENTS, HISTORY, CURSOR = (f"source_posthog/streams/{name}.py" for name in ("events", "history", "event_cursor"))
CONFIGURATION, CAUTIONS = (f"source_posthog/inputs/{name}.py" for name in ("configuration", "cautions"))

UNITS = "unit_tests/exact/events/test_"
NAME_TESTS, READING_TESTS, COUNT_TESTS = ((f"{UNITS}{name}.py",) for name in ("names", "reading", "storage_sql"))
SYNCS = ("integration_tests/test_event_names.py",)
BAD_INPUT = ("integration_tests/test_bad_input.py",)

NAME_RULES = [
    Rule(
        "only the events that are wanted are asked for",
        CONDITIONS,
        "found = name_conditions(query.names)",
        "found: list[str] = []",
        (f"{UNITS}random_windows.py",),
    ),
    Rule("wanted names are one of several", CONDITIONS, "'not in' if names.left_out", "'in' if names", NAME_TESTS),
    Rule("one wanted name is equal", CONDITIONS, "'!=' if names.left_out", "'=' if names", NAME_TESTS),
    Rule("wanted names are strings of HogQL", CONDITIONS, "map(string, names", "map(repr, names", NAME_TESTS),
    Rule("events that are not wanted are refused", READING, "not query.names.are_all and not", "False and not"),
    Rule("a sign in place of bytes may be a wanted name", NAMES, "BROKEN in name or ", "", NAME_TESTS),
    Rule("only wanted events are counted", SQL, ", *name_conditions(query.names)]", "]", COUNT_TESTS),
    Rule("each window asks for wanted events", EVENTS, "start, end, names=self._names)", "start, end)", SYNCS),
    Rule("days of wanted events are counted", HISTORY, "*planned, names=self.names", "*planned", SYNCS),
    Rule("the first event is a wanted one", HISTORY, "start, end, names=self.names", "start, end", SYNCS),
    Rule(
        "an event that is looked for by its instant is a wanted one",
        READING,
        "query = replace(query, start=at, end=at + step)",
        "query = Query(query.project_id, at, at + step)",
        READING_TESTS,
    ),
    Rule("names that are wanted more are said", NAMES, "others.listed - self.listed", "self.listed", NAME_TESTS),
    Rule("and those of which the opposite was wanted", NAMES, "self.listed | others.listed", "self.listed", NAME_TESTS),
    Rule(
        "the state says which names were wanted",
        CURSOR,
        "{**found, **wanted_names(self.config).written()}",
        "found",
        SYNCS,
    ),
    Rule("what is not left out any more is wanted", CAUTIONS, "names_in(events.get(FILTER))", "names", SYNCS),
    Rule("names in a state are no project", CURSOR, "given.pop(FILTER, None)", "given.get(None)", SYNCS),
    Rule("wanted names stay as they are", CONFIGURATION, "value if name in (INCLUDE, EXCLUDE) else ", "", SYNCS),
    Rule(
        "wanted and unwanted names are not both set",
        NAMES,
        "option == EXCLUDE and config[option] and config.get(INCLUDE)",
        "False",
        BAD_INPUT,
    ),
    Rule("a wanted name is valid Unicode", NAMES, '"".join(config[option]).encode()', "pass", BAD_INPUT),
]
