"""Who is told what: programs by messages on standard output, people by plain lines on standard error.

standard error is no terminal    LOG messages on standard output
it is one                        plain lines there, with the time; and the same LOG messages on standard output,
                                 unless that is a terminal too: whoever watches sees each line once
catalog, --help, --version       plain lines on standard error, whatever it is; standard output is the answer alone
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TextIO

from airbyte_cdk.logger import PRINT_BUFFER, AirbyteLogFormatter
from airbyte_cdk.models import Level
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets

# What the CDK says of itself, and what the connector takes care of (`of_one_form`).
UNSAID = ("MemoryMonitor instantiated", "There was an error during the serialization of an AirbyteMessage")

_LEVELS: dict[int, Level] = AirbyteLogFormatter.level_mapping

# Would move the cursor of a terminal, or worse; PostHog's sentences and the names in them are not ours.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Console(logging.Handler):
    """Where the log of a command goes, and its errors.

    `is_answer`: standard output is not for messages. `people`: where they read; None where nobody does.
    """

    def __init__(self, *, is_answer: bool) -> None:
        super().__init__()
        is_watched = _is_terminal(sys.stderr)
        self.is_answer = is_answer
        self._people: TextIO | None = sys.stderr if is_answer or is_watched else None
        self._has_messages = not is_answer and not (is_watched and _is_terminal(sys.stdout))

    @contextmanager
    def instead(self) -> Iterator["Console"]:
        """Take the place of the CDK's handler, which prints on standard output whatever is asked for."""
        root = logging.getLogger()
        theirs = [one for one in root.handlers if getattr(one, "stream", None) is PRINT_BUFFER]
        for one in theirs:
            root.removeHandler(one)
        root.addHandler(self)
        try:
            yield self
        finally:
            root.removeHandler(self)
            for one in theirs:
                root.addHandler(one)

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(UNSAID):
            return
        text = self.format(record)  # with the traceback, where there is one
        if record.levelno <= logging.DEBUG:
            text += _extras_of(record)
        text, level = filter_secrets(text), _LEVELS.get(record.levelno, Level.INFO).value
        if self._has_messages:
            message = {"type": "LOG", "log": {"level": level, "message": text}}
            PRINT_BUFFER.write(json.dumps(message, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._say(level, text)

    def show(self, line: str) -> None:
        """Tell people what there is for them in `line`, a message."""
        if self._people is None or not line.startswith(('{"type":"TRACE"', '{"type":"CONNECTION_STATUS"')):
            return
        match json.loads(line):
            case {"trace": {"error": {"message": str(sentence)}}}:
                self._say("ERROR", sentence)
            case {"trace": {"stream_status": {"status": "STARTED", "stream_descriptor": {"name": name}}}}:
                self._say("INFO", f"Stream {name}: started")
            case {"connectionStatus": {"status": "FAILED", "message": str(sentence)}}:
                self._say("ERROR", sentence)

    def _say(self, level: str, text: str) -> None:
        if self._people is None:
            return
        rank = "" if level == "INFO" else f"{level} "
        plain = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
        with suppress(OSError, ValueError):  # a terminal that is closed is no reason to stop
            print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {rank}{plain}\n", end="", file=self._people, flush=True)


def _extras_of(record: logging.LogRecord) -> str:
    """What was logged beside the message of `record`, as JSON: requests and answers."""
    extras = {**AirbyteLogFormatter.extract_extra_args_from_record(record)}
    extras.pop("message", None)  # which formatting adds
    return f" {json.dumps(extras, ensure_ascii=False)}" if extras else ""


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()
