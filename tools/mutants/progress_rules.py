"""The rules of the core about what a stop costs, and about a range before what the state covers; as in `rules.py`."""

from tools.mutants.rules import LEDGER, TRACKS, WINDOWS, Rule

BEFORE = [
    Rule("what does not reach `since` has an entry of its own", WINDOWS, "ledger.turn_to(project, plan.end)", "pass"),
    Rule("what reaches it has not", LEDGER, "if end < since:", "if end <= since:"),
    Rule(
        "that entry is not the old form's", LEDGER, "if own is not None or project in self._before else", "if own else"
    ),
    Rule("a range that is out of reach is forgotten", LEDGER, "begins is None or begins <= end", "True"),
    Rule("one that is reached from below is not", LEDGER, "begins is None or begins <= end", "begins is None"),
    Rule("one that `since` has reached is forgotten", LEDGER, "instant(reached) < since", "True"),
    Rule("one that it has not reached is not", LEDGER, "instant(reached) < since", "False"),
    Rule("the project's own entry stays", LEDGER, '{**self._state[project], "before": entry}', '{"before": entry}'),
    Rule(
        "that entry is checked as well",
        LEDGER,
        '(((project,), entry), ((project, "before"), before))',
        "(((project,), entry),)",
    ),
]

AHEAD = [
    Rule("rows ahead are counted", TRACKS, "span.rows + neighbour.rows", "span.rows"),
    Rule("the oldest window may read on", LEDGER, "track is None or start <= track.read_to", "track is None"),
    Rule(
        "a later one only while few rows are ahead",
        LEDGER,
        "is_new and track.rows_ahead(start) + rows <= most",
        "is_new",
    ),
    Rule("the page that it asks for counts", LEDGER, "track.rows_ahead(start) + rows", "track.rows_ahead(start)"),
    Rule("what is under way to others counts", TRACKS, " + sum(coming)", ""),
    Rule("what is under way to itself does not", TRACKS, " and start != window)", ")"),
    Rule("what is under way to the oldest does not", TRACKS, "if start > self.read_to and", "if"),
    Rule("ties that fit no page count", LEDGER, "track.ties[start] += rows", "pass"),
    Rule("they are covered with their instant", TRACKS, "rows + self.ties.pop(start, 0)", "rows"),
    Rule("those of a backfill do not count", LEDGER, "if track and start >= track.start:", "if track:"),
    Rule("rows to emit are those that are covered", TRACKS, "            self.rows += reached.rows\n", ""),
    Rule("a backfill has some too", TRACKS, "        self.rows += rows\n", ""),
    Rule("they are counted from the last state on", LEDGER, "            track.rows = 0\n", "            pass\n"),
    Rule("so are those of a backfill", LEDGER, "backfill.rows = 0", "pass"),
    Rule("entries of others do not count", LEDGER, "len(self._state) - self._others", "len(self._state)"),
    Rule("what arrived late comes first", LEDGER, "if project in self._late:", "if False:"),
    Rule("of a backfill only the newest", LEDGER, "return end >= backfill.read_from", "return True"),
    Rule(
        "what is emitted of a window is not read again",
        LEDGER,
        "start = max(start, min(track.read_to, end))",
        "pass",
    ),
    Rule(
        "a backfill is not taken for emitted", LEDGER, "if track is None or start < track.start:", "if track is None:"
    ),
]

PROGRESS_RULES = (*BEFORE, *AHEAD)
