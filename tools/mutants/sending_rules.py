"""The rules of sending a request that `make mutants` breaks: how it is waited for, given up, refused and budgeted."""

from tools.mutants.rules import Rule

API = "source_posthog/api/"
WAITING, HEALTH, REQUESTER, HANDLING, CLIENT, CLOCK, ONCE = (
    f"{API}{name}.py" for name in ("waiting", "health", "requester", "handling", "client", "clock", "once")
)
WAITS = ("unit_tests/api/test_waiting.py", "integration_tests/test_waiting.py")
SPELLS = ("unit_tests/api/test_health.py",)
OUTAGES = ("integration_tests/test_outages.py",)
FAULTS = ("integration_tests/test_faults.py",)
TOTALS = ("integration_tests/test_progress.py",)
REFUSALS = ("integration_tests/test_refusals.py",)
BODIES = ("unit_tests/api/test_client.py",)
ADDRESSES = ("integration_tests/test_addresses.py",)
CLOCKS = ("integration_tests/test_clocks.py",)
FACTS = ("unit_tests/api/test_once.py",)

WAITED = [
    Rule("a wait doubles", WAITING, "2.0 ** (attempt_count - 1)", "1.0", WAITS),
    Rule("up to five minutes", WAITING, "min(2.0 ** (attempt_count - 1), LONGEST_WAIT)", "2.0**attempt_count", WAITS),
    Rule("a wait has a part at random", WAITING, "wait += random.uniform(0, max(1.0, wait / 10))", "pass", WAITS),
    Rule(
        "a requested wait is waited for",
        WAITING,
        "usual if trouble.requested is None else trouble.requested",
        "usual",
        WAITS,
    ),
    Rule("one that does not fit ends at once", WAITING, "waited + trouble.requested > limit", "False", WAITS),
    Rule("what was waited before counts", WAITING, "waited + trouble.requested", "trouble.requested", WAITS),
    Rule("a throttle has hours and not tries", WAITING, "if not trouble.throttled else waited > limit", "", WAITS),
    Rule("six tries of a fault", WAITING, "max_attempts: int = 6", "max_attempts: int = 7", WAITS),
    Rule("check is in a hurry", WAITING, "self.sync.is_check and is_slow", "False", OUTAGES),
    Rule(
        "a wait is counted",
        WAITING,
        "self.sync.log.retry(self._stream, wait,",
        "self.sync.log.retry(self._stream, 0.0,",
        ("integration_tests/test_progress.py",),
    ),
]

HEALTHY = [
    Rule("an outage ends all streams", HEALTH, "self._outages.get(ALL) or ", "", SPELLS),
    Rule("a stream has an outage of its own", HEALTH, "for scope in (ALL, stream):", "for scope in (ALL,):", SPELLS),
    Rule(
        "one stream says nothing of others",
        HEALTH,
        "ended = scope if len(self._in_trouble) > 1 else stream",
        "ended = scope",
        SPELLS,
    ),
    Rule("a usable answer ends the trouble of all", HEALTH, "            self._in_trouble.clear()\n", "", SPELLS),
    Rule("a usable answer ends a spell", HEALTH, "            self._spells[stream].clear()\n", "", SPELLS),
    Rule("a throttle says that PostHog is up", HEALTH, "spell.pop(TroubleKind.FAULT, None)", "pass", SPELLS),
    Rule("too slow is given up after an hour", HEALTH, "TOO_SLOW = HOUR", "TOO_SLOW = 5 * HOUR", SPELLS),
    Rule("a fault after ten minutes", HEALTH, "FAULT = 10 * MINUTE", "FAULT = 60 * MINUTE", SPELLS),
    Rule("a throttle after six hours", HEALTH, "THROTTLE = 6 * HOUR", "THROTTLE = 9 * HOUR", SPELLS),
    Rule(
        "what was asked long ago says nothing",
        HEALTH,
        "if now - last > kind.value:",
        "if False:",
        SPELLS,
    ),
    Rule(
        "a crowd of queries is a fault",
        HEALTH,
        "if trouble.throttled and not trouble.crowded:",
        "if trouble.throttled:",
        SPELLS,
    ),
]

REQUESTED = [
    Rule("nothing is asked of what is down", REQUESTER, "        self.sync.health.require(self.name)\n", "", OUTAGES),
    Rule("a 404 is not the word on a project", REQUESTER, "self._require_gone(response, where)", "pass", ADDRESSES),
    Rule(
        "that it is gone is asked once",
        REQUESTER,
        'self.sync.once(("is gone", where.project), ask)',
        "ask()",
        ADDRESSES,
    ),
    Rule("nobody waits for what nobody reads", "source_posthog/engine.py", "self.sync.is_over.set()", "pass", WAITS),
    Rule("a wait of the CDK is one of ours", CLIENT, "            self._wait(seconds)\n\n\nclass", "\n\nclass", WAITS),
    Rule("the least is asked for again", REQUESTER, "self.sync.wait(wait)", "raise slow", FAULTS),
    Rule(
        "a read that times out is for whoever asked",
        HANDLING,
        "if not is_too_late and status",
        "if status",
        FAULTS,
    ),
    Rule(
        "an answer that is no JSON is asked for again",
        HANDLING,
        "return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, str(error))",
        "return SUCCESS_RESOLUTION",
        (*OUTAGES, *FAULTS),
    ),
    Rule("a 3xx is tried again", HANDLING, "if response.status_code < 400:", "if False:", REFUSALS),
    Rule(
        "a certificate is named at once",
        HANDLING,
        "if fault := certificate_fault(error):",
        "if fault := None:",
        OUTAGES,
    ),
    Rule(
        "a redirect that is refused ends it",
        HANDLING,
        "isinstance(response_or_exception, RedirectRefused)",
        "False",
        ADDRESSES,
    ),
    Rule("a usable answer is told", HANDLING, "        self.sync.answered(self._stream, response)\n", "", OUTAGES),
]

CROSSED = [
    Rule("a body that drips ends", CLIENT, "raise SlowBody", "pass", BODIES),
    Rule("a slow line has its time", CLIENT, " + received / LEAST_RATE", "", BODIES),
    Rule(
        "no redirect elsewhere is followed",
        CLIENT,
        "        if response.is_redirect:\n",
        "        if False:\n",
        ADDRESSES,
    ),
    Rule("nor one to another place", CLIENT, "old_place == new_place and ", "", ADDRESSES),
    Rule("nor one without the query", CLIENT, "if asked <= kept and not drops_body:", "if not drops_body:", ADDRESSES),
    Rule("nor one without the body", CLIENT, "if asked <= kept and not drops_body:", "if asked <= kept:", ADDRESSES),
    Rule("the budget is kept", CLIENT, "                if seconds > 0:\n", "                if False:\n", WAITS),
    Rule("by the time that has passed", CLIENT, "self._sent[-rate.limit]", "self._sent[-1]", WAITS),
    Rule("a wait for the budget is announced", CLIENT, "                self._announce(seconds)\n", "", WAITS),
]

TIMED = [
    Rule("the earlier present counts", CLOCK, "else self._date + passed", "else ours", CLOCKS),
    Rule("it goes on with the time that passes", CLOCK, "else self._date + passed", "else self._date", CLOCKS),
    Rule("an old answer moves nothing back", CLOCK, "date - self._date >= timedelta", "True or timedelta", CLOCKS),
    Rule(
        "a day apart is too far",
        CLOCK,
        "MOST_DIFFERENCE = timedelta(days=1)",
        "MOST_DIFFERENCE = timedelta(days=3)",
        CLOCKS,
    ),
    Rule(
        "clocks are compared as of now",
        CLOCK,
        " + timedelta(seconds=seconds() - self._since)\n        if",
        "\n        if",
        CLOCKS,
    ),
    Rule("a second is no difference", CLOCK, "WHOLE_SECOND + response.elapsed", "timedelta()", CLOCKS),
    Rule("a fact is asked for once", ONCE, "if fact not in self._facts:", "if True:", FACTS),
    Rule("whoever needs it too waits", ONCE, "        with lock:\n", "        if lock:\n", FACTS),
    Rule("a switch is news once", ONCE, "return not was_on", "return True", FACTS),
    Rule("so many at once", ONCE, "BoundedSemaphore(self._at_once)", "BoundedSemaphore(self._at_once + 1)", FACTS),
]

SENDING_RULES = [*WAITED, *HEALTHY, *REQUESTED, *CROSSED, *TIMED]
