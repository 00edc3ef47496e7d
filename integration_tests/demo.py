"""`make demo`: the whole connector against the embedded PostHog, and what came of it."""

import sys
import time
from typing import Any

from integration_tests.connector import STREAMS, Output, catalog, config, expected_keys, run_command
from integration_tests.posthog_server import PostHogServer, demo_account


def timed(command: str, **files: Any) -> tuple[Output, float]:
    begin = time.monotonic()
    output = run_command(command, **files)
    return output, time.monotonic() - begin


def main() -> int:
    account = demo_account()
    expected = expected_keys(account)
    with PostHogServer(account) as server:
        options = config(server.url)
        print(f"An embedded PostHog runs at {server.url}, with the clamp and the odd paging of the real one.\n")
        output, seconds = timed("spec")
        names = ", ".join(next(iter(output.of("SPEC")))["connectionSpecification"]["properties"])
        print(f"spec      {seconds:4.1f} s  options: {names}")
        output, seconds = timed("check", config=options)
        print(f"check     {seconds:4.1f} s  {output.connection[0]}")
        output, seconds = timed("check", config={**options, "api_key": "phx_wrong"})
        print(f"check     {seconds:4.1f} s  with a wrong key: {output.connection[0]}")
        print(f"                    {output.connection[1]}")
        output, seconds = timed("discover", config=options)
        print(f"discover  {seconds:4.1f} s  {len(next(iter(output.of('CATALOG')))['streams'])} streams")
        print("\n                 records  expected  second sync  seconds")
        complete = True
        for stream in STREAMS:
            first, seconds = timed("read", config=options, catalog=catalog(stream))
            second = run_command("read", config=options, catalog=catalog(stream), state=first.state)
            got = first.keys(stream)
            same = got == expected[stream]
            complete &= same and first.status == second.status == 0
            print(
                f"{stream:<16} {len(got):>7}  {len(expected[stream]):>8}  {len(second.records(stream)):>11}"
                f"  {seconds:>7.1f}  {'ids are the same' if same else 'IDS DIFFER'}"
            )
        print(
            "\nThe second sync of events reads what is new, what has arrived late, and the newest event again;"
            "\nthe other streams are read in full each time."
        )
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
