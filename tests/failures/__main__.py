"""`python -m tests.failures [--switches N] [--failures N] [--seeds N] [--first N]`: play seeds, and say what was wrong.

Two hundred switches and a hundred failures take some minutes each.
"""

from __future__ import annotations

import argparse
import sys

from tests.failures.play import play

SHOWN = 3


def main() -> int:
    """Play; return 1 when something was wrong."""
    options = argparse.ArgumentParser(prog="python -m tests.failures")
    for name, default in (("switches", 200), ("failures", 100), ("seeds", 1000), ("first", 0)):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    wrong = 0
    for seed in range(given.first, given.first + given.seeds):
        outcome = play(seed, given.switches, given.failures)
        found = {"loops": outcome.loops, "repeats": outcome.repeats, "lost": outcome.lost}
        wrong += any(found.values())
        print(f"seed {seed}: " + ", ".join(f"{len(each)} {name}" for name, each in found.items()), flush=True)
        for each in found.values():
            print(*(f"    {line}" for line in each[:SHOWN]), sep="\n", end="\n" if each else "")
    print(f"{wrong} of {given.seeds} seeds with a fault")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
