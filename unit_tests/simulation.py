"""Whole syncs, simulated: one seed decides all that happens, so that what failed can be seen again.

    python -m unit_tests.simulation SEED

A seed makes an account (`simulated_world.py`) and lets one sync follow the other, each from the last state of the one
before, until one ends well; then start_date is moved and it goes on. It decides which worker goes on after each batch,
row and state, what the server answers and when it fails, what arrives meanwhile and how late, how far back late events
are looked for, how far our clock is behind, and where the process is killed. There are no threads: a worker is a
generator. What must hold (the promise):

- A sync that ends well has emitted every event that could be seen when it began, but for those that came later than the
  horizon, and none twice.
- No state claims an event that was not emitted before it: of [since, timestamp) all is emitted that arrived before
  `arrived` less the margin, but for what came later than the horizon.
- Nothing is emitted again but events at the timestamp of the state or after it (after it only where the sync before was
  stopped or failed), and those that arrived after `arrived` less the margin. That is when the last good sync began.
- Nothing is emitted from before start_date, nor from end_date on.
- That holds for a range before what the state covers, too: if a sync reads nothing else, it goes on where the last one
  of such a range ended.
- What it says of a day that is read in part is as true, and of that part only what arrived since is emitted again.
- What was read as new is not read again as late, but for what arrived since that sync began, less the margin.
- A timestamp never moves back, and is never past the newest event emitted unless that lies a day back.
- Of the windows after a project's oldest no more rows are emitted than may be ahead of the state.
"""

import random
import sys

from unit_tests.exact.events.support import DAY, HOUR, SECOND, START
from unit_tests.simulated_sync import Sync
from unit_tests.simulated_world import Killed, make_world, old_state


def run(seed: int) -> int:
    """All that `seed` decides. Raises AssertionError where the promise is broken; returns how many syncs there were."""
    rng = random.Random(seed)
    world = make_world(rng)
    state = old_state(world) if rng.random() < 0.3 else {}
    start_date = START + rng.choice((0, 0, 1, 20)) * DAY
    step = rng.choice((DAY, 7 * DAY, 30 * DAY)) if world.now - START < 9 * DAY else rng.choice((5 * DAY, 30 * DAY))
    beyond: dict[tuple[str, bool], set[str]] = {}
    syncs, is_good, furthest = 0, False, START
    for _ in range(rng.choice((1, 2, 3))):
        for attempt in range(12):
            syncs += 1
            last = attempt == 11
            world.kill_in = None if last else rng.choice((None, rng.randrange(20), rng.randrange(400)))
            trouble, world.trouble = world.trouble, 0.0 if last else world.trouble
            sync = Sync(world, state, start_date, step, rng.choice((1, 2, 4, 10)), beyond, is_good)
            furthest = max(furthest, sync.end)
            try:
                sync.run()
                killed = False
            except Killed:
                killed = True
            world.trouble, state = trouble, sync.last
            world.now += rng.choice((SECOND, HOUR, DAY, 3 * DAY))
            is_good = not killed and not sync.failed
            if is_good:
                sync.require_all()
                # Else one that was stopped has read on after the end of this one, or before its start_date.
                is_good = sync.end == furthest and not sync.leaves_a_gap
                break
        if rng.random() < 0.6:
            start_date = START + rng.choice((0, 0, 1, 2, 20, 50)) * DAY
        elif rng.random() < 0.4:  # near the state
            start_date = world.now - rng.random() * 5 * DAY
        for project in world.events:
            for _ in range(rng.choice((0, 0, 2))):
                world.arrive(project)
    return syncs


if __name__ == "__main__":
    print(f"seed {sys.argv[1]}: {run(int(sys.argv[1]))} syncs kept the promise")
