"""`python -m tests.failures [--switches N] [--failures N] [--seeds N] [--first N] [--results FILE]`: play seeds.

It says what was wrong. Two hundred switches and a hundred failures take over a quarter of an hour each; standard error
says how far each seed is. With `--results` what was played is kept in a file, and not played again by the next run.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from pathlib import Path

from tests.failures.play import Outcome, play
from tests.failures.results import Results

SHOWN = 3
# A network is many objects that stay, and frames are freed without the collector: to look for cycles as often as Python
# does otherwise (700, 10, 10) takes some percent of the time and finds little.
COLLECT_AFTER = 100_000, 20, 1000


def main() -> int:
    """Play; return 1 when something was wrong."""
    options = argparse.ArgumentParser(prog="python -m tests.failures")
    for name, default in (("switches", 200), ("failures", 100), ("seeds", 1000), ("first", 0)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--results", type=Path, help="keep what was played in this file, and go on from there")
    given = options.parse_args()
    gc.set_threshold(*COLLECT_AFTER)
    results = Results(given.switches, given.failures, given.results)
    wrong = 0
    for seed in range(given.first, given.first + given.seeds):
        outcome = results.played(seed)
        if outcome is None:
            outcome = _play(seed, given.switches, given.failures)
            results.add(seed, outcome)
        wrong += _say(seed, outcome)
    print(f"{wrong} of {given.seeds} seeds with a fault")
    return 1 if wrong else 0


def _play(seed: int, switches: int, failures: int) -> Outcome:
    began = time.monotonic()

    def progress(number: int) -> None:
        took = time.monotonic() - began
        print(f"seed {seed}: {number} of {failures} after {took:.0f} s", file=sys.stderr, flush=True)

    outcome = play(seed, switches, failures, progress)
    gc.collect()
    return outcome


def _say(seed: int, outcome: Outcome) -> bool:
    """Print what a seed has shown; return whether something was wrong."""
    found = {"loops": outcome.loops, "repeats": outcome.repeats, "lost": outcome.lost}
    print(f"seed {seed}: " + ", ".join(f"{len(each)} {name}" for name, each in found.items()), flush=True)
    for each in found.values():
        print(*(f"    {line}" for line in each[:SHOWN]), sep="\n", end="\n" if each else "")
    return any(found.values())


if __name__ == "__main__":
    sys.exit(main())
