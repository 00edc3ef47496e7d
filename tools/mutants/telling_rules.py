"""The rules of what people and programs are told that `make mutants` breaks."""

from tools.mutants.rules import Rule

FAILURES, ENGINE = "source_posthog/streams/failures.py", "source_posthog/engine.py"
CONSOLE, OUTPUT, READER, RUN = (
    f"source_posthog/{name}.py" for name in ("command/console", "command/output", "command/reader", "run")
)
CONNECTIONS, ERRORS = "source_posthog/api/connections.py", "source_posthog/api/errors.py"
JOINED = ("unit_tests/streams/test_failures.py",)
COMMAND = ("integration_tests/test_command.py",)
ENDINGS = ("integration_tests/test_endings.py",)
WORDS = ("unit_tests/api/test_connections.py",)

TELLING_RULES = (
    Rule("a reason is told once", FAILURES, "failures.setdefault(kind, _Failure(error))", "_Failure(error)", JOINED),
    Rule(
        "the CDK's own errors are left out", FAILURES, "return  # of a single part", "pass  # of a single part", JOINED
    ),
    Rule("a stream has so many sentences", FAILURES, "failures[:MOST_SENTENCES]", "failures", JOINED),
    Rule("what may pass is worth a try", FAILURES, "if FailureType.transient_error in kinds", "if False", JOINED),
    Rule("a long stream warns of its first error", FAILURES, ">= SECONDS_UNTIL_A_WARNING", ">= 1e9", JOINED),
    Rule("what was foreseen has no traceback", ERRORS, "message.trace.error.stack_trace = None", "pass", JOINED),
    Rule(
        "the CDK's account is for debugging",
        ENGINE,
        "Background(self.logger)",
        "self.logger",
        ("integration_tests/test_access.py",),
    ),
    Rule("a name is not resolved", CONNECTIONS, "isinstance(cause, socket.gaierror)", "False", WORDS),
    Rule("a connection is refused", CONNECTIONS, "isinstance(cause, ConnectionRefusedError)", "False", WORDS),
    Rule("an address has no password", CONNECTIONS, '.rpartition("@")[2]', "", WORDS),
    Rule(
        "an answer has no log in it", CONSOLE, "self._has_messages = not is_answer and", "self._has_messages =", COMMAND
    ),
    Rule("each line is seen once", CONSOLE, "and _is_terminal(sys.stdout)", "and False", COMMAND),
    Rule("nothing moves the cursor", CONSOLE, "_CONTROLS.sub(", "(lambda _, text: text)(", COMMAND),
    Rule("the output is UTF-8", OUTPUT, 'encoding="utf-8"', "encoding=before[0].encoding", COMMAND),
    Rule(
        "it is written when the command ends",
        OUTPUT,
        "        yield\n        sys.stdout.flush()",
        "        yield",
        ENDINGS,
    ),
    Rule(
        "a thread that cannot write wakes the first",
        READER,
        "            self._wake_the_main_thread()\n",
        "            pass\n",
        ENDINGS,
    ),
    Rule("SIGTERM has a status", READER, "self.status = TERMINATED", "pass", ENDINGS),
    Rule("signals are heard from the beginning", RUN, "    reader.watch()\n", "", ENDINGS),
)
