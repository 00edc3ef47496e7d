"""The rules of the core that `make mutants` breaks: what each says, where it stands, and how it is broken."""

from dataclasses import dataclass

CORE = "source_posthog/exact/events/"
NAMES = "reading", "event_list", "ledger", "tracks", "windows", "port", "reach", "event_query", "conditions"
READING, LIST, LEDGER, TRACKS, WINDOWS, PORT, REACH, QUERY, CONDITIONS = (f"{CORE}{name}.py" for name in NAMES)

TESTS = "event_list", "ledger", "ledger_orders", "windows", "late", "reading", "slow_servers", "requests"

# The quick ones first, since the first failure ends a run.
CORE_TESTS = (
    *(f"unit_tests/exact/events/test_{name}.py" for name in TESTS),
    "unit_tests/test_simulation.py",
    "unit_tests/exact/events/test_random_windows.py",
)


@dataclass(frozen=True)
class Rule:
    """What holds, the code in `file` that makes it hold, code that breaks it, and the tests that may notice."""

    says: str
    file: str
    text: str
    broken: str
    tests: tuple[str, ...] = CORE_TESTS


ASKING = [
    Rule("after = start - 1 µs", LIST, "iso(query.start - MICROSECOND)", "iso(query.start)"),
    Rule("before = end", LIST, '"before": iso(query.end)', '"before": iso(query.end - MICROSECOND)'),
    Rule("ties are asked for by their ids", CONDITIONS, "if query.like:", "if False:"),
    Rule("ids that were read are left out", CONDITIONS, "!= '{id}'", "= '{id}'"),
    Rule("instants are asked for in UTC", CONDITIONS, "toDateTime('{iso(at)}')", "toDateTime('{iso(at)[:-1]}')"),
    Rule("arrival is asked for from its bound on", CONDITIONS, "created_at >= ", "created_at > "),
    Rule("a page with `next` is not the whole", LIST, "not following and _is_whole", "_is_whole"),
    Rule("`next: null` needs a proof", LIST, "not following and _is_whole(query, limit, rows)", "not following"),
    Rule("the limit is 50 rows and not 51", LIST, "SMALLEST_PAGE = 100", "SMALLEST_PAGE = 102"),
    Rule("the limit is 50 rows and not 49", LIST, "SMALLEST_PAGE = 100", "SMALLEST_PAGE = 98"),
    Rule("half of a smaller page proves nothing", LIST, "min(limit, SMALLEST_PAGE)", "SMALLEST_PAGE"),
    *(
        Rule(f"the server looks at {span}", LIST, f"    timedelta({span}),\n", "")
        for span in ("minutes=1", "minutes=5", "minutes=15", "hours=1", "hours=6", "days=1")
    ),
    Rule("the longest span counts", LIST, "> max(shorter)", "> min(shorter)"),
    Rule("the oldest row lies below the span, not at it", LIST, "> max(shorter)", ">= max(shorter)"),
    Rule("the server counts between its exclusive bounds", LIST, "query.start + MICROSECOND  #", "query.start  #"),
    Rule("a span as long as the range is not looked at", LIST, "if span < asked", "if span <= asked"),
    Rule("a row without an instant proves nothing", LIST, "return False  # the reader", "return True  # the reader"),
]

PAGES = [
    Rule("before = oldest + 1 step", READING, "min(before, oldest + step)", "oldest"),
    Rule("before is not after the end", READING, "min(before, oldest + step)", "oldest + step"),
    Rule("pages join at whole steps", READING, "rounded_down(instants[-1], step)", "instants[-1]"),
    Rule("by queries a step is a millisecond", QUERY, "is_complete, MILLISECOND", "is_complete"),
    Rule(
        "events emitted at the edge are skipped",
        READING,
        "for one, row in fresh.items() if one not in emitted",
        "for one, row in fresh.items()",
    ),
    Rule(
        "the edge grows while a page stays on it",
        READING,
        "edge = tied if before > reached else edge | tied",
        "edge = tied",
    ),
    Rule("all events of the oldest step are the edge", READING, "if at < oldest + step}", "if at < oldest}"),
    Rule(
        "an event twice in a page is emitted once",
        READING,
        "fresh.setdefault(identity(row), row)",
        "fresh[id(row)] = row",
    ),
    Rule("two names with one id are two events", PORT, 'row["id"], row.get("event"), row', 'row["id"], "", row'),
    Rule("two distinct_ids with one id are two events", PORT, 'row.get("distinct_id"), row', '"", row'),
    Rule("two days with one id are two events", PORT, 'row["timestamp"][:10]', '""'),
    Rule("copies of a day are one", PORT, 'row["timestamp"][:10]', 'row["timestamp"]'),
    Rule("what was emitted comes again", READING, "if edge and (page.complete", "if False and (page.complete"),
    Rule(
        "also where nothing older comes",
        READING,
        "(page.complete or instants[-1] < last_step)",
        "instants and instants[-1] < last_step",
    ),
    Rule("also of ties", READING, "self._require_gone(edge - again, query.start)", "pass"),
    Rule("unless it was deleted", READING, "exists = bool(ask(around).rows)", "exists = True"),
    Rule(
        "it is looked for around its instant", READING, "start=at - ZONES, end=at + ZONES", "start=at, end=at + ZONES"
    ),
    Rule("slowness is no proof that it was deleted", READING, "exists = True  # as", "exists = False  # as"),
    Rule(
        "a batch names its newest instant", READING, 'page.rows[0]["timestamp"] if instants and', "None if instants and"
    ),
    Rule("the newest instant lies in the batch", READING, "if instants and instants[0] >= reached", "if instants"),
    Rule("a page is newest first", READING, "            newest_allowed = at\n", ""),
    Rule(
        "a page lies above the start",
        READING,
        "if not oldest_allowed <= at < query.end:",
        "if not at < query.end:",
    ),
    Rule(
        "up to a step below it is in it",
        READING,
        "rounded_down(query.start, page.step), query.end",
        "query.start, query.end",
    ),
    Rule(
        "a page lies below the end",
        READING,
        "if not oldest_allowed <= at < query.end:",
        "if not oldest_allowed <= at <= query.end:",
    ),
    Rule("an empty page has no next", READING, "if not page.rows and not page.complete:", "if False:"),
    Rule("a row has a timestamp", READING, "text: object = instants", "text: object = None"),
]

TIES = [
    Rule("ties are split by their ids", READING, "if not page.complete and (smaller :=", "if False and (smaller :="),
    Rule(
        "ties emitted before the split are skipped",
        READING,
        "fresh = fresh_rows(page.rows, emitted)",
        "fresh = fresh_rows(page.rows, set())",
    ),
    Rule("all sixteen digits are asked for", READING, '"0123456789abcdef"', '"0123456789abcde"'),
    Rule(
        "digits that differ are asked for",
        READING,
        "key=lambda place: (len(digits[place]), place)",
        "key=lambda place: place",
    ),
    Rule("digits add up", READING, "like = query.like or ANY * length", "like = ANY * length"),
    Rule(
        "copies that fill pages hide no others",
        READING,
        "[replace(query, unlike=(*query.unlike, id)), replace(query, like=id)]",
        "[replace(query, like=id)]",
    ),
    Rule(
        "copies that fill pages are emitted",
        READING,
        "[replace(query, unlike=(*query.unlike, id)), replace(query, like=id)]",
        "[replace(query, unlike=(*query.unlike, id))]",
    ),
    Rule(
        "several events of one id that fill pages are refused",
        READING,
        "        if len(found) > 1:\n",
        "        if False:\n",
    ),
    Rule("ids of one length are split", READING, "if any(len(id) != length for id in ids):", "if False:"),
    Rule(
        "ties are of one step", READING, "start=oldest, end=before), edge)", "start=oldest - step, end=before), edge)"
    ),
    Rule(
        "after the ties, what is older is read", READING, "before, edge = oldest, set()", "before, edge = start, set()"
    ),
    Rule("the filter by id is checked", READING, "query.unlike) and not all(", "query.unlike) and False and not all("),
    Rule("ids that are not wanted are refused too", PORT, "if id in self.unlike:", "if False:"),
    Rule("ties move the state", READING, "yield Batch([], oldest, before, first)", "yield Batch([], oldest, before)"),
    Rule(
        "to the newest of them",
        READING,
        'first = page.rows[0]["timestamp"]',
        'first = page.rows[-1]["timestamp"]',
        ("unit_tests/exact/events/test_reading.py",),
    ),
    Rule("ids of other digits are not split", READING, "if not digits[place] <= set(HEX_DIGITS):", "if False:"),
    Rule(
        "and end with the range", READING, "min(self._boundary(start + length), end)", "self._boundary(start + length)"
    ),
    Rule("parts begin at whole steps", READING, "min(self._boundary(start + length), end)", "start + length"),
]

SLOW = [
    Rule(
        "a second is the shortest range",
        REACH,
        "SHORTEST_RANGE = timedelta(seconds=1)",
        "SHORTEST_RANGE = timedelta(minutes=1)",
    ),
    Rule("a slow range is halved", REACH, "shorter = max(length / 2, ", "shorter = max(length / 4, "),
    Rule("a reach is not halved twice for one range", REACH, "min(self.longest or shorter, shorter)", "shorter"),
    Rule(
        "what was too slow is remembered",
        READING,
        "self.reach.too_slow(end - start)",
        "self.reach = Reach(max((end - start) / 2, SHORTEST_RANGE))",
    ),
    Rule("a longer range is tried again", REACH, "if self.answers >= self.patience:", "if False:"),
    Rule(
        "only the longest range counts as an answer",
        REACH,
        "self.longest is None or length < self.longest:",
        "self.longest is None:",
    ),
    Rule("what failed again is tried less often", REACH, "min(2 * self.patience, MOST_PATIENCE)", "self.patience"),
    Rule("the first halvings cost no patience", REACH, "if self.trying and self.longest", "if self.longest"),
    Rule(
        "a longer range that works renews the patience",
        REACH,
        "self.patience, self.trying = LEAST_PATIENCE, False",
        "self.trying = False",
    ),
]

PARTS = [
    Rule("a dense range is read in parts", READING, "if self.in_parts and", "if False and"),
    Rule("a backfill is not", READING, "if self.in_parts and", "if True and"),
    Rule("25 pages are in hand", READING, "ROWS_IN_HAND = 25,", "ROWS_IN_HAND = 60,"),
    Rule("parts are not needlessly small", READING, "ROWS_IN_HAND = 25,", "ROWS_IN_HAND = 8,"),
    Rule(
        "what is in hand counts in a part",
        READING,
        "if stop == end else set(), in_hand,",
        "if stop == end else set(), 0.0,",
    ),
    Rule("the last part skips the edge", READING, "edge if stop == end else set()", "set()"),
    Rule(
        "what was read in parts is done",
        READING,
        "sparse=sparse)\n                before = start\n",
        "sparse=sparse)\n",
    ),
    Rule(
        "parts meet",
        READING,
        "            rows += part\n            start = stop\n",
        "            rows += part\n            start = stop + MICROSECOND\n",
    ),
    Rule(
        "a part follows the density",
        READING,
        "(stop - start) * (self.page_rows / part)",
        "(stop - start)",
    ),
    Rule(
        "a dense range is searched for by halves",
        READING,
        "(end - start) / 2 if sparse else",
        "each * pages * STRETCH if sparse else",
    ),
    Rule("next to nothing is less than a page", READING, "sparse = part < self.page_rows", "sparse = not part"),
    Rule("the search goes on inside of a half", READING, "else set(), in_hand, sparse=sparse)", "else set(), in_hand)"),
    Rule(
        "with pages in hand, one page is enough to judge",
        READING,
        "1 if in_hand else",
        "PAGES_TO_JUDGE if in_hand else",
    ),
    Rule(
        "a burst is not the density",
        READING,
        "PAGES_TO_JUDGE, ROWS_TO_JUDGE = 3, 10_000",
        "PAGES_TO_JUDGE, ROWS_TO_JUDGE = 1, 10_000",
    ),
    Rule("large pages are judged sooner", READING, "ROWS_TO_JUDGE = 3, 10_000", "ROWS_TO_JUDGE = 3, 10_000_000"),
    Rule("the last rows of a part need no page more", READING, "SPILL = 0.1", "SPILL = 0.0"),
    Rule("rows are in hand", READING, "ROWS_IN_HAND = 25, 60_000", "ROWS_IN_HAND = 25, 10_000_000"),
]

STATE = [
    Rule("the state waits for the oldest range that is not covered", TRACKS, "if start > self.read_to:", "if False:"),
    Rule("an empty range moves the state", TRACKS, "(end, iso(end)) if end <= self.settled else None", "None"),
    Rule(
        "an empty range of the last day does not",
        TRACKS,
        "(end, iso(end)) if end <= self.settled else None",
        "(end, iso(end))",
    ),
    Rule("a day back is a day back", TRACKS, "if end <= self.settled", "if end < self.settled"),
    Rule("of two marks the later counts", TRACKS, "return max((mark", "return min((mark"),
    Rule("ranges that meet are one", TRACKS, "Span(max(span.end, neighbour.end), ", "Span(span.end, "),
    Rule(
        "what is covered twice stays covered",
        TRACKS,
        "self.read_to = max(self.read_to, reached.end)",
        "self.read_to = reached.end",
    ),
    Rule("the state never moves back", LEDGER, " and (known is None or track.mark[0] > instant(known))", ""),
    Rule("instants are compared as instants", LEDGER, "track.mark[0] > instant(known)", "track.mark[1] > known"),
    Rule("an empty cover does nothing", LEDGER, "if start >= end:", "if False:"),
    Rule("further keys of an entry are kept", LEDGER, "dict(self._entry(project))", "dict[str, Any]()"),
    Rule(
        "an entry of its own comes first",
        LEDGER,
        "own if own is not None or project in self._before else self._state.get(self._key)",
        "self._state.get(self._key) or own",
    ),
    Rule(
        "the old form stands for the others",
        LEDGER,
        "project in self._before else self._state.get(self._key)",
        "True else None",
    ),
    Rule("the old form is no project", LEDGER, "for key in self._state if key != self._key", "for key in self._state"),
    Rule("`since` is checked as well", LEDGER, 'for name in (key, "since", ', "for name in (self._key, "),
    Rule(
        "a new sync forgets what was planned", LEDGER, "self._tracks, self._backfills, self._late = {}, {}, {}", "pass"
    ),
    Rule(
        "it forgets which entries it went by, and which do not count",
        LEDGER,
        "self._before, self._others = set(), 0\n\n    def state",
        "pass\n\n    def state",
    ),
    Rule(
        "a window that was not planned moves the state",
        LEDGER,
        "track = Track(start, end, settled=end)",
        "return False",
    ),
]

SINCE = [
    Rule("`since` does not move before the timestamp can", LEDGER, "track.since <= instant(known) and entry", "entry"),
    Rule(
        "the old form gets no `since`",
        LEDGER,
        "track.since <= instant(known) and entry",
        "track.since <= instant(known)",
    ),
    Rule(
        "an older entry gets its `since`",
        LEDGER,
        "if track.since and (moves or (",
        "if track.since and (moves or False and (",
    ),
    Rule(
        "a backfill does not move the timestamp",
        LEDGER,
        "end <= backfill.end:\n            before",
        "False:\n            before",
    ),
    Rule("`since` waits for the newest range that is not covered", TRACKS, "if end < self.read_from:", "if False:"),
    Rule("`since` never moves up", TRACKS, "min(self.read_from, self.spans.pop(end))", "self.spans.pop(end)"),
    Rule(
        "a longer cover of a backfill counts",
        TRACKS,
        "min(start, self.spans.get(end, start))",
        "self.spans.get(end, start)",
    ),
    Rule("an earlier start_date is read", WINDOWS, "ledger.plan_backfill(project, start_date, since)", "pass"),
    Rule(
        "the newest window of it first",
        WINDOWS,
        "reversed(list(_windows(start_date, since, plan.step)))",
        "_windows(start_date, since, plan.step)",
    ),
    Rule("the lookback does not reach into it", WINDOWS, "start = max(start, since)", "pass"),
    Rule(
        "`since` moves with a start_date that cuts off the lookback",
        WINDOWS,
        "since <= start_date == looked_from",
        "False",
    ),
    Rule(
        "`since` stays with a start_date within what is covered",
        WINDOWS,
        "since <= start_date == looked_from",
        "since <= start_date",
    ),
    Rule("a slicer built by hand writes no `since`", WINDOWS, "if by_hand or plan.start", "if plan.start"),
]

SKIPPED = [
    Rule("what was found empty below its end is not read", LEDGER, "start = min(span.end, end)", "pass"),
    Rule("nor above its start", LEDGER, "end = max(begin, start)", "pass"),
    Rule("after the last event a millisecond is read", WINDOWS, "after = last + MILLISECOND", "after = last"),
    Rule(
        "what follows the last event is proved empty",
        WINDOWS,
        "if is_worth_it and newest(after, stop) is None",
        "if is_worth_it",
    ),
    Rule(
        "the last event is looked for near the end first",
        WINDOWS,
        "stop, length = end - SETTLING, SETTLING",
        "stop, length = end - SETTLING, LONGEST_QUESTION",
    ),
    Rule("few windows after the last event are read", WINDOWS, "after < stop - 2 * step", "after < stop"),
]

CUTTING = [
    Rule(
        "windows meet",
        WINDOWS,
        "        yield start, stop\n        start = stop\n",
        "        yield start, stop\n        start = stop + timedelta(microseconds=1)\n",
    ),
    Rule(
        "no window ends after the sync began",
        WINDOWS,
        "stop = min(start + step, end)\n        yield",
        "stop = start + step\n        yield",
    ),
    Rule("the lookback is read again", WINDOWS, "EARLIEST) - self.lookback", "EARLIEST)"),
    Rule("not from before the start", WINDOWS, "begin if self.start is None else max(self.start, begin)", "begin"),
    Rule("projects take turns", WINDOWS, "waiting.append(one)", "waiting.appendleft(one)"),
    Rule("a day is the time to settle", WINDOWS, "SETTLING = timedelta(days=1)", "SETTLING = timedelta(hours=1)"),
    Rule("an end_date is not the present", WINDOWS, "return self.present - SETTLING", "return self.end - SETTLING"),
    Rule("the last day is not skipped", WINDOWS, "    end -= SETTLING\n    while", "    while"),
    Rule("that a first event is the first is proved", WINDOWS, "and newest(start, first) is None", "and True"),
    Rule("a first event lies in its range", WINDOWS, "start < first < stop and", "start < first and"),
    Rule("a question for the first event spans at most a year", WINDOWS, "timedelta(days=365)", "timedelta(days=367)"),
    Rule("the first event is asked for only where that is cheaper", WINDOWS, ">= 3 * (1 +", ">= 1 * (1 +"),
]

PURE = [
    Rule(
        f"the core knows no {name}",
        "source_posthog/exact/ruff.toml",
        f'"{name}".msg',
        f'"no_{name}".msg',
        ("unit_tests/exact/test_purity.py",),
    )
    for name in ("requests", "airbyte_cdk")
]

CORE_RULES = (*ASKING, *PAGES, *TIES, *SLOW, *PARTS, *STATE, *SINCE, *SKIPPED, *CUTTING, *PURE)
