"""Which tests flaked in a run of CI, and which of them have flaked once too often.

    python tools/flaky.py HISTORY COMMIT (FAILED_FIRST FAILED_AGAIN)...

A test flakes when it fails in a run of all tests and passes when it is run again by itself: the networks of the tests
are real, their time limits too, and the machines are shared, so one stall is no defect. A second stall of the same test
is: it waits too little, or the switch does have a fault that shows now and then. So what flaked is written down, and a
test that flakes twice in ten runs fails the run.

The two FAILED files of each part of the tests are pytest's own (``.pytest_cache/v/cache/lastfailed``: JSON, an object
whose keys are test ids), kept from after the first run and as they are after the second; one that does not exist means
that nothing failed.

The HISTORY is part of the repository, for CI starts from a fresh clone and keeps nothing: one line for each test that
flaked in a run, ``-`` in place of the test where none did. This adds the lines of the present run and drops those of
runs that do not count any more. Run ``.ci/run`` before a commit and commit the file with it; where a run's clone
is thrown away, its lines are printed, to be added by hand if a test flaked. Runs without a flake matter too: they are
what an old flake grows old by. Branches that both added lines merge without a conflict (``.gitattributes``).

To forgive a test that was mended there is nothing to do: a history alone fails no run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

WINDOW = 10  # runs, the present one among them
NONE = "-"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of all tests: when (ISO 8601, UTC), of which commit, and the ids of the tests that flaked."""

    when: str
    commit: str
    flaked: frozenset[str]

    def lines(self) -> list[str]:
        """The run as it is written down."""
        return [f"{self.when} {self.commit} {test}" for test in sorted(self.flaked) or [NONE]]


def parse(text: str) -> list[Run]:
    """Read a history, oldest run first, in whatever order merges have left its lines."""
    runs: dict[tuple[str, str], set[str]] = {}
    for line in sorted(text.splitlines()):
        if line and not line.startswith("#"):
            when, commit, test = line.split(" ", 2)  # ids of tests may have spaces
            runs.setdefault((when, commit), set()).update({test} - {NONE})
    return [Run(when, commit, frozenset(tests)) for (when, commit), tests in runs.items()]


def repeated(before: Sequence[Run], now: Run) -> dict[str, list[Run]]:
    """The tests that flaked now and have before, with the earlier runs; ``before`` has those that count."""
    found = {test: [run for run in before if test in run.flaked] for test in sorted(now.flaked)}
    return {test: runs for test, runs in found.items() if runs}


def counting(before: Iterable[Run]) -> list[Run]:
    """The runs that count beside the present one."""
    return list(before)[-(WINDOW - 1) :]


def failed_in(path: Path) -> frozenset[str]:
    """The tests that pytest has noted as failed."""
    return frozenset(json.loads(path.read_text())) if path.exists() else frozenset()


def written(text: str, runs: Iterable[Run]) -> str:
    """A history with its comments and these runs."""
    comments = [line for line in text.splitlines() if line.startswith("#")]
    return "\n".join([*comments, *(line for run in runs for line in run.lines()), ""])


def report(now: Run, again: dict[str, list[Run]], history: Path) -> list[str]:
    """What people are told; nothing where no test flaked."""
    if not now.flaked:
        return []
    lines = [f"flaky: {test} failed, and passed when it was run again" for test in sorted(now.flaked)]
    lines += [f"to be added to {history}, if this clone is thrown away:", *now.lines()]
    for test, runs in again.items():
        earlier = ", ".join(f"{run.when} ({run.commit})" for run in runs)
        lines.append(f"FAILED {test}: flaked before within {WINDOW} runs, on {earlier}: mend the test or the switch")
    return lines


def main(history: Path, commit: str, parts: Sequence[tuple[Path, Path]]) -> int:
    """Judge a run and write it down; returns the exit code, 1 for a test that has flaked once too often.

    ``parts``: which tests failed first, and which again.
    """
    text = history.read_text()
    before = counting(parse(text))
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    now = Run(when, commit, frozenset().union(*(failed_in(first) - failed_in(again) for first, again in parts)))
    history.write_text(written(text, [*before, now]))
    again = repeated(before, now)
    print("\n".join(report(now, again, history)), end="\n" if now.flaked else "")
    return 1 if again else 0


if __name__ == "__main__":
    if len(sys.argv) < 5 or len(sys.argv) % 2 == 0:
        sys.exit("usage: python tools/flaky.py HISTORY COMMIT (FAILED_FIRST FAILED_AGAIN)...")
    history_, commit_, *files = sys.argv[1:]
    sys.exit(main(Path(history_), commit_, [*zip(map(Path, files[::2]), map(Path, files[1::2]), strict=True)]))
