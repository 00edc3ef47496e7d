"""The rules of the core about events that arrive late, as `rules.py` has the others."""

from tools.mutants.rules import CORE, LEDGER, READING, WINDOWS, Rule

LATE = CORE + "late.py"

LATE_RULES = [
    Rule("a late window counts when it is whole", LEDGER, "if track.read_to < track.end:", "if False:"),
    Rule("then the arrival of this sync is written", LEDGER, '**since, "arrived": iso(track.arrived)}', "**since}"),
    Rule("and since moves with it", LEDGER, '{"since": iso(track.since)} if track.since else {}', "{}"),
    Rule(
        "a further arrival takes none back",
        LEDGER,
        "max(track.arrived, self.arrived(project) or",
        "min(track.arrived, self.arrived(project) or",
    ),
    Rule("an arrival in the future is none", WINDOWS, "stated > plan.present", "False"),
    Rule(
        "what arrived within the margin is asked for again",
        WINDOWS,
        "max(known, EARLIEST) - plan.lookback",
        "max(known, EARLIEST)",
    ),
    Rule(
        "the late window ends at the timestamp",
        WINDOWS,
        "Window(start, end,",
        "Window(start, end - SETTLING,",
    ),
    Rule("it does not reach into the backfill", WINDOWS, "max(start_date, since or start_date))", "start_date)"),
    Rule("it does not reach before start_date", WINDOWS, "max(start_date, since or start_date))", "EARLIEST)"),
    Rule(
        "the horizon is counted from the timestamp",
        WINDOWS,
        "max(timestamp, EARLIEST) - plan.late",
        "max(plan.present, EARLIEST) - plan.late",
    ),
    Rule(
        "an end that cuts it off leaves arrived", WINDOWS, "plan.present if end == timestamp else known", "plan.present"
    ),
    Rule(
        "an older entry says when it moves from when on",
        WINDOWS,
        "None if ledger.arrived(project) else timestamp",
        "None",
    ),
    Rule("a new entry says when its sync began", WINDOWS, "plan.present if is_new or plan.late else None", "None"),
    Rule(
        "what lies after the state is read anyway",
        WINDOWS,
        "begin = timestamp if self.late else",
        "begin = self.end if self.late else",
    ),
    Rule("a late window that is whole holds nothing back", LEDGER, "        self.leave_late(project)\n", ""),
    Rule("nor does one that is left", LEDGER, "self._late.pop(project, None)", "pass"),
    Rule("what a refused filter gave is not read again", LATE, "self.down_to, self.below = batch.start, set()", "pass"),
    Rule("ties cover nothing until all came", LATE, "min(batch.end, self.down_to)", "self.down_to"),
    Rule("what came at the last instant is known", LATE, "self.below.update(", "set().update("),
    Rule("and what is older is not", LATE, "not in self.below]", "in self.below]"),
    Rule(
        "ids of older pages are let go of",
        LATE,
        "self.down_to, self.below = batch.start, set()",
        "self.down_to = batch.start",
    ),
    Rule("an id is not all of an event", LATE, "*identity(row)", 'row["id"]'),
    Rule(
        "ties are asked for with their arrival",
        READING,
        "self._ties(replace(self.query, start=oldest, end=before), edge)",
        "self._ties(Query(self.query.project_id, oldest, before), edge)",
    ),
]
