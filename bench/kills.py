"""`python -m bench.kills [--kills N] [--seed N]`: a switch killed at random instants; see ``lab.kills``.

The end's exit code is 1 when something was lost, wrong or left.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

from lab.kills import Outcome, measure

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Kill, print and write."""
    options = argparse.ArgumentParser(prog="python -m bench.kills", description="A switch killed at random instants.")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = options.parse_args()
    began = time.monotonic()
    outcome = measure(given.kills, given.seed)
    text = report(outcome, given.seed, time.monotonic() - began)
    print(text)
    (RESULTS / "kills.txt").write_text(text)
    document = {"measured": time.strftime("%Y-%m-%d"), "kernel": platform.release(), "seed": given.seed}
    (RESULTS / "kills.json").write_text(json.dumps({**document, **asdict(outcome)}, indent=1) + "\n")
    return 0 if is_good(outcome) else 1


def is_good(outcome: Outcome) -> bool:
    """Whether nothing was wrong or left, and nothing of known flows was lost."""
    return not (outcome.faults or outcome.left or outcome.sessions_lost or outcome.data.lost or outcome.to_local.lost)


def report(outcome: Outcome, seed: int, took_s: float) -> str:
    """The text for people."""
    data, local = outcome.data, outcome.to_local
    lines = [
        f"{outcome.kills} kills in {took_s:.0f} s, {outcome.kills_while_starting} while it started (seed {seed})",
        f"longest start: {outcome.slowest_start_s:.1f} s; looked at closely: {outcome.checks} times",
        f"datagrams between hosts: {data.lost} of {data.expected} lost, longest gap {data.longest_gap_s * 1e3:.0f} ms",
        f"datagrams to the bridge's address: {local.lost} of {local.expected} lost, "
        f"longest gap {local.longest_gap_s * 1e3:.0f} ms",
        f"channel of the switch behind: lost {outcome.sessions_lost} times, "
        f"longest silence {outcome.silence_s * 1e3:.0f} ms",
        *(f"fault: {fault}" for fault in outcome.faults),
        *(f"left: {line}" for line in outcome.left),
        "nothing left" if not outcome.left else f"{len(outcome.left)} differences at the end",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
