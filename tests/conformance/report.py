"""Two columns: what became of each case on our switch and on Open vSwitch, with reasons for what fails.

``conformance/results.json`` has everything, keyed by case; ``conformance/results.txt`` is for people: counts by suite,
then the cases that Open vSwitch passes and ours does not (the goal is none), then those that fail on ours, grouped by
the reason that ``known.md`` gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from tests.conformance.cases import SUITES, Case
from tests.conformance.results import Outcome

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
Row: TypeAlias = dict[str, str]
"""Target to "OK" or the tester's reason."""


class Table:
    """Results by case and target."""

    def __init__(self, rows: dict[str, Row]) -> None:
        self._rows = rows

    def update(self, target: str, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> None:
        """Take in one target's outcomes, one for each case."""
        for case, outcome in zip(cases, outcomes, strict=True):
            row = self._rows.setdefault(case.key, {})
            row[target] = "OK" if outcome.passed else outcome.reason or "ERROR"

    def missing(self) -> list[str]:
        """Return the cases that Open vSwitch passes and ours, tried too, does not."""
        return sorted(key for key, row in self._rows.items() if row.get("ovs") == "OK" != row.get("inband", "OK"))

    def text(self, keys: Iterable[str] | None = None) -> str:
        """Return the table for people, of these cases or of all."""
        wanted = set(self._rows if keys is None else keys)
        rows = {key: row for key, row in sorted(self._rows.items()) if key in wanted}
        missing = [key for key in self.missing() if key in wanted]
        failing = [key for key, row in rows.items() if row.get("inband", "OK") != "OK" and key not in missing]
        lines = [f"{'suite':14} {'inband':>12} {'Open vSwitch':>14}"]
        lines += [_counts(suite, rows) for suite in SUITES if any(key.startswith(f"{suite}/") for key in rows)]
        lines += ["", f"Open vSwitch passes, inband does not: {len(missing)}"]
        lines += [f"  {key}\n      {rows[key]['inband']}" for key in missing]
        lines += ["", f"Neither passes: {len(failing)}"]
        lines += [f"  {key}\n      {rows[key]['inband']}" for key in failing]
        return "\n".join(lines) + "\n"

    def save(self) -> None:
        """Write both files."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "results.json").write_text(json.dumps(self._rows, indent=1, sort_keys=True) + "\n")
        (FOLDER / "results.txt").write_text(self.text())


def load() -> Table:
    """Return what the last runs found, or an empty table."""
    path = FOLDER / "results.json"
    return Table(json.loads(path.read_text()) if path.exists() else {})


def _counts(suite: str, rows: dict[str, Row]) -> str:
    passed: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for key, row in rows.items():
        if key.startswith(f"{suite}/"):
            passed.update(target for target, word in row.items() if word == "OK")
            tried.update(list(row))
    ours, theirs = (f"{passed[each]} of {tried[each]}" if tried[each] else "-" for each in ("inband", "ovs"))
    return f"{suite:14} {ours:>12} {theirs:>14}"
