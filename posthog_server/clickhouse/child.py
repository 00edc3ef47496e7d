"""A ClickHouse behind standard input and output, run by the Python of an environment that has chDB.

A line in is the JSON of a statement, a string. The line out is `{"answer": "<what ClickHouse wrote>"}`, or
`{"error": "<its message>"}`. It ends with its input, so also when the process that started it is killed.
"""

import json
import os
import sys
from unittest.mock import MagicMock

# chDB imports it for formats that are not used here. With pandas, it would take 270 MB of the environment.
sys.modules["pyarrow"] = MagicMock()

from chdb.session import Session  # noqa: E402


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library itself prints must not come between
    session = Session()
    for line in sys.stdin:
        try:
            reply = {"answer": session.query(json.loads(line), "JSONCompact").bytes().decode(errors="replace")}
        except Exception as error:  # the library has classes of its own, by version
            reply = {"error": str(error)}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
