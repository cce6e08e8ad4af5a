"""`python -m bench.soak [--seconds N]`: a switch to which everything happens (``lab.churn``), for an hour: is it level?

Every few seconds it is looked at: memory, of the kernel for its maps too; descriptors, threads and tasks; megaflows;
how long echoes of its controller take. What rises in the first tenth is a start; addresses are remembered for five
minutes, so less than WARM_S is never enough. Of the rest a straight line is fitted, and its rise in an hour must be
below a bound that is small beside what a leak would be. A rise counts as far as it is sure: the line less two standard
errors.

Exit code 1: something rises, the in-band channel was lost, or the switch's log tells of a defect.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.churn import Churn, Sample
from lab.net import Lab

RESULTS = Path(__file__).with_name("results")
HOUR_S = 3600.0
SAMPLE_S, EVENT_S = 3.0, 0.9
WARM_S = 330.0
ROWS = 12
"""Of the curve, in the text."""

BOUNDS: dict[str, float] = {
    "memory_mb": 3.0,
    "map_memory_mb": 0.1,
    "descriptors": 2.0,
    "threads": 0.5,
    "tasks": 2.0,
    "megaflows": 50.0,
    "echo_median_ms": 2.0,
}
"""What each may rise in an hour."""


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through a row of values: rise in an hour, and its standard error."""

    per_hour: float
    error: float

    @property
    def sure(self) -> float:
        """The rise that there is with some certainty; 0 when there may be none."""
        return max(0.0, self.per_hour - 2 * self.error)


def main() -> int:
    """Churn, print and write."""
    options = argparse.ArgumentParser(prog="python -m bench.soak", description="Is a busy switch level?")
    options.add_argument("--seconds", type=float, default=HOUR_S)
    given = options.parse_args()
    with Lab() as lab:
        churn = Churn(lab)
        churn.start()
        samples = run(churn, given.seconds)
        lost, complaints = churn.lost(), churn.complaints()
    trends = {name: trend(samples, name, warm_up_s(given.seconds)) for name in BOUNDS}
    text = report(samples, trends, lost, complaints)
    print(text)
    (RESULTS / "soak.txt").write_text(text)
    document = {
        "measured": time.strftime("%Y-%m-%d"), "kernel": platform.release(), "lost": lost, "complaints": complaints,
        "trends": {name: asdict(each) for name, each in trends.items()}, "samples": [asdict(each) for each in samples],
    }  # fmt: skip
    (RESULTS / "soak.json").write_text(json.dumps(document) + "\n")
    return 1 if lost or complaints or any(trends[name].sure > bound for name, bound in BOUNDS.items()) else 0


def run(churn: Churn, seconds: float) -> list[Sample]:
    """Let things happen, and look."""
    began = time.monotonic()
    samples: list[Sample] = []
    while (now := time.monotonic()) < began + seconds:
        churn.happen()
        if now >= began + len(samples) * SAMPLE_S:
            samples.append(churn.sample())
        time.sleep(max(0.0, now + EVENT_S - time.monotonic()))
    return samples


def warm_up_s(seconds: float) -> float:
    """What is not looked at."""
    return max(seconds / 10, min(WARM_S, seconds / 2))


def trend(samples: Sequence[Sample], name: str, after_s: float) -> Trend:
    """The line of least squares through what came after some time."""
    points = [(each.at_s / HOUR_S, float(getattr(each, name))) for each in samples if each.at_s >= after_s]
    n = len(points)
    middle_x, middle_y = (sum(column) / n for column in zip(*points, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    rest = sum((y - middle_y - slope * (x - middle_x)) ** 2 for x, y in points)
    return Trend(slope, math.sqrt(rest / (n - 2) / spread))


def report(samples: Sequence[Sample], trends: dict[str, Trend], lost: int, complaints: Sequence[str]) -> str:
    """The text for people: the curve in a few rows, then what rises and by how much."""
    names = [*BOUNDS, "echo_longest_ms"]
    rows = [samples[round(at * (len(samples) - 1) / (ROWS - 1))] for at in range(ROWS)]
    lines = [
        f"{len(samples)} samples in {samples[-1].at_s:.0f} s",
        "",
        "".join(f"{name:>17}" for name in ("s", *names)),
    ]
    lines += [
        "".join(f"{value:>17}" for value in (each.at_s, *(getattr(each, name) for name in names))) for each in rows
    ]
    lines += ["", f"{'in an hour':>17}{'rise':>12}{'+-':>10}{'allowed':>10}"]
    for name, bound in BOUNDS.items():
        found = trends[name]
        verdict = "level" if found.sure <= bound else "RISES"
        lines.append(f"{name:>17}{found.per_hour:>12.2f}{2 * found.error:>10.2f}{bound:>10}  {verdict}")
    lines += ["", f"the in-band channel was lost {lost} times", *complaints]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
