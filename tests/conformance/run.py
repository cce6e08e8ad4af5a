"""`make conformance`: the os-ken switch tester against our switch and against Open vSwitch, case by case.

    python -m tests.conformance.run [--suite of13/match]... [--only TEXT] [--target inband|ovs|ebpf]... [--seconds N]

Suites that somebody else wrote say more about a switch than its own. They also ask for what hardly anybody builds, so
the count alone says little: what must hold is that every case Open vSwitch passes passes here. Both switches run in the
same kind of bed, one after the other. The results go to conformance/results.txt and .json; a run of some suites or of
one target replaces these and keeps the rest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from itertools import groupby

from lab import ovs
from lab.net import Lab
from tests.conformance import report
from tests.conformance.bed import TARGETS, Bed
from tests.conformance.cases import SUITES, Case, load
from tests.conformance.results import Outcome

PREFIX = "ihl"


def main() -> int:
    """Run what the options name; exit code 1 for a case that only Open vSwitch passes or nobody can explain."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--suite", action="append", choices=SUITES, help="may be repeated; default: all")
    options.add_argument("--only", default="", help="only cases whose name or file contains this")
    options.add_argument("--target", action="append", choices=TARGETS, help="may be repeated; default: inband and ovs")
    options.add_argument("--seconds", type=int, help="length of a throughput case (the tester's own: 30)")
    options.add_argument("--keep", action="store_true", help="do not write conformance/results.*")
    given = options.parse_args()
    cases = load(given.suite or SUITES, given.only)
    for target in given.target or TARGETS[:2]:
        for suite, group in groupby(cases, key=lambda case: case.suite):
            some = list(group)
            started = time.monotonic()
            outcomes = measure(target, some, given.seconds)
            passed = sum(each.passed for each in outcomes)
            print(f"{target:8} {suite:12} {passed} of {len(some)} in {time.monotonic() - started:.0f} s", flush=True)
            table = report.load()  # only now: another run may have written meanwhile
            table.update(target, some, outcomes)
            if not given.keep:
                table.save(heading())
    print(table.text())
    return 1 if table.missing() or table.unexplained() else 0


def heading() -> str:
    """Return what was run, with versions."""
    return f"The switch tester of os-ken {metadata.version('os-ken')}; inband beside Open vSwitch {ovs.version()}."


def measure(target: str, cases: Sequence[Case], seconds: int | None = None) -> list[Outcome]:
    """Run cases of one OpenFlow version against one target, in a bed of their own; return one outcome each."""
    with Lab(PREFIX, offloads=False) as lab:
        return Bed(lab, target).run(cases, seconds)


if __name__ == "__main__":
    sys.exit(main())
