"""The rules of the extra streams that `make mutants` breaks: recordings by windows, and what goes on from a state."""

from tools.mutants.rules import Rule

RECORDINGS = "source_posthog/exact/recordings.py"
RECORDINGS_TESTS = ("unit_tests/exact/test_recordings.py",)
STREAMS = "source_posthog/streams/"
WINDOWS, ACTIVITY, MEMBERS, CURSOR, ORGANIZATIONS = (
    f"{STREAMS}{name}.py" for name in ("recordings", "activity_log", "changed_lists", "query_cursor", "organizations")
)
WINDOWS_TESTS = ("integration_tests/test_extra_recordings.py",)
ACTIVITY_TESTS = ("integration_tests/test_extra_activity.py",)
ORGANIZATIONS_TESTS = ("integration_tests/test_extra_organizations.py",)
CURSOR_TESTS = ("unit_tests/streams/test_time_cursor.py",)

EXTRA_RULES = (
    Rule(
        "a window is asked for with a day around it",
        RECORDINGS,
        "AROUND = timedelta(days=1)",
        "AROUND = timedelta(0)",
        RECORDINGS_TESTS,
    ),
    Rule(
        "a recording belongs to the window in which it begins",
        RECORDINGS,
        "if self.start <= at < self.end and",
        "if",
        RECORDINGS_TESTS,
    ),
    Rule("a recording comes once", RECORDINGS, " and id not in self._seen", "", RECORDINGS_TESTS),
    Rule(
        "those that share the last instant are asked for again",
        RECORDINGS,
        "step - tied if tied < step else step",
        "step",
        RECORDINGS_TESTS,
    ),
    Rule(
        "a server may give fewer rows than were asked for",
        RECORDINGS,
        "step = min(limit, self._largest)",
        "step = limit",
        RECORDINGS_TESTS,
    ),
    Rule("an empty page is no end", RECORDINGS, "if not has_next or", "if not instants or", RECORDINGS_TESTS),
    Rule(
        "the server has to know the bounds",
        RECORDINGS,
        "if not self.start - 2 * AROUND <= at <= self.end + 2 * AROUND:",
        "if False:",
        RECORDINGS_TESTS,
    ),
    Rule(
        "a window that is not settled moves the state to its newest",
        WINDOWS,
        "window[1] if is_settled else pages.newest",
        "window[1]",
        WINDOWS_TESTS,
    ),
    Rule("recordings go on from the state", WINDOWS, "max(start, since or start)", "start", WINDOWS_TESTS),
    Rule("whether there is more has to be said", WINDOWS, "not isinstance(has_next, bool)", "False", WINDOWS_TESTS),
    Rule("the state's bound is inclusive", ACTIVITY, "at >= since", "at > since", ACTIVITY_TESTS),
    Rule("the log is newest first", ACTIVITY, "if last and at > last:", "if False:", ACTIVITY_TESTS),
    Rule("ties keep their order", ACTIVITY, 'if row["id"] in tied:', "if False:", ACTIVITY_TESTS),
    Rule("a cursor leads on", ACTIVITY, " or cursors[0] == before", "", ACTIVITY_TESTS),
    Rule(
        "the state is the newest row",
        ACTIVITY,
        "newest, last = newest or at, at",
        "newest, last = at, at",
        ACTIVITY_TESTS,
    ),
    Rule(
        "a project that is gone keeps its state",
        f"{STREAMS}lists.py",
        "                raise Skipped\n",
        "                return\n",
        ACTIVITY_TESTS,
    ),
    Rule(
        "what changes while it is read is read again",
        MEMBERS,
        "newest and min(newest, begun)",
        "newest",
        ORGANIZATIONS_TESTS,
    ),
    Rule("where rows are missing the state stays", MEMBERS, "raise Skipped", "pass", ORGANIZATIONS_TESTS),
    Rule(
        "the lookback is read again",
        CURSOR,
        "earlier(instant(value), declared_duration(self.lookback, self.config))",
        "instant(value)",
        CURSOR_TESTS,
    ),
    Rule(
        "a state never moves back",
        CURSOR,
        "if not (self.lookback and covered and instant(reached) < instant(covered)):",
        "if True:",
        CURSOR_TESTS,
    ),
    Rule(
        "only the organizations of the projects to read",
        ORGANIZATIONS,
        'if not self.config.get("project_ids"):',
        "if True:",
        ORGANIZATIONS_TESTS,
    ),
    Rule(
        "organizations that are refused fail their streams alone",
        f"{STREAMS}check.py",
        "        yield error\n",
        "        raise error\n",
        ORGANIZATIONS_TESTS,
    ),
)
