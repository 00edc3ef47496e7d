"""One literal at a time, where Python cannot parse two at once.

The CDK parses each value that it interpolates with `ast.literal_eval`: the address, the parameters and the headers of
every request, in all workers. Python 3.11.0 to 3.11.7 (Debian 12 has 3.11.2) count how deep a literal is nested in one
place for all threads, so that now and then one of them fails with a SystemError, "AST constructor recursion depth
mismatch" (CPython's issue 106905), and its stream with it.
"""

import sys
from threading import RLock
from typing import Any

from airbyte_cdk.sources.declarative.interpolation.jinja import JinjaInterpolation

AFFECTED = (3, 11, 0) <= sys.version_info < (3, 11, 8)


def one_at_a_time() -> None:
    """Have the CDK wait for the literal of another thread; of the whole process, since what Python counts is too."""
    lock, parse = RLock(), JinjaInterpolation._literal_eval

    def parse_alone(interpolation: JinjaInterpolation, *arguments: Any) -> Any:
        with lock:
            return parse(interpolation, *arguments)

    setattr(JinjaInterpolation, "_literal_eval", parse_alone)  # noqa: B010  # mypy refuses an assignment
