"""Two columns: what became of each case on our switch and on Open vSwitch, with reasons for what fails.

``conformance/results.json`` has everything, keyed by case; ``conformance/results.txt`` is for people: counts by suite,
the cases that Open vSwitch passes and ours does not (the goal is none), those that fail on ours for no known reason
(none either), and those that fail on both, under the reasons that ``known.md`` gives.
"""

from __future__ import annotations

import functools
import json
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from tests.conformance.cases import SUITES, Case
from tests.conformance.results import Outcome

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
KNOWN = Path(__file__).with_name("known.md")
REASON_LENGTH = 200
"""The tester prints whole flow tables; the beginning says what kind of failure it was."""
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
            row[target] = "OK" if outcome.passed else outcome.reason[:REASON_LENGTH] or "ERROR"

    def missing(self) -> list[str]:
        """Return the cases that Open vSwitch passes and ours, tried too, does not."""
        return sorted(key for key, row in self._rows.items() if row.get("ovs") == "OK" != row.get("inband", "OK"))

    def unexplained(self) -> list[str]:
        """Return the cases that fail on ours and for which ``known.md`` has no reason."""
        return sorted(key for key, row in self._rows.items() if row.get("inband", "OK") != "OK" and not reason(key))

    def text(self) -> str:
        """Return the table for people."""
        lines = [f"{'suite':14} {'inband':>12} {'Open vSwitch':>14}"]
        lines += [_counts(suite, self._rows) for suite in SUITES if any(_is_of(suite, key) for key in self._rows)]
        for title, keys in (
            ("Open vSwitch passes, inband does not", self.missing()),
            ("inband does not pass and nobody knows why", self.unexplained()),
        ):
            lines += ["", f"{title}: {len(keys)}", *(f"  {key}\n      {self._rows[key]['inband']}" for key in keys)]
        for why, keys in self._explained().items():
            lines += ["", *textwrap.wrap(f"Neither passes ({len(keys)}): {why}", 120), *(f"  {key}" for key in keys)]
        return "\n".join(lines) + "\n"

    def _explained(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, row in sorted(self._rows.items()):
            if row.get("inband", "OK") != "OK" and (why := reason(key)):
                found.setdefault(why, []).append(key)
        return found

    def save(self, heading: str) -> None:
        """Write both files; ``heading`` is one line on top of the text."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "results.json").write_text(json.dumps(self._rows, indent=1, sort_keys=True) + "\n")
        (FOLDER / "results.txt").write_text(f"{heading}\n\n{self.text()}")


def load() -> Table:
    """Return what the last runs found, or an empty table."""
    path = FOLDER / "results.json"
    return Table(json.loads(path.read_text()) if path.exists() else {})


def reason(key: str) -> str:
    """Return why a case is known to fail, empty when it is not known to."""
    return next((why for pattern, why in known() if fnmatchcase(key, pattern)), "")


@functools.cache
def known() -> tuple[tuple[str, str], ...]:
    """Return patterns and reasons from ``known.md``: items of a list, patterns in backquotes before the colon."""
    items = KNOWN.read_text().split("\n- ")[1:]
    pairs = []
    for item in items:
        patterns, _, why = " ".join(item.split()).partition(": ")
        pairs += [(pattern, why) for pattern in re.findall(r"`([^`]+)`", patterns)]
    return tuple(pairs)


def _is_of(suite: str, key: str) -> bool:
    return key.startswith(f"{suite}/")


def _counts(suite: str, rows: dict[str, Row]) -> str:
    passed: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for key, row in rows.items():
        if _is_of(suite, key):
            passed.update(target for target, word in row.items() if word == "OK")
            tried.update(list(row))
    ours, theirs = (f"{passed[each]} of {tried[each]}" if tried[each] else "-" for each in ("inband", "ovs"))
    return f"{suite:14} {ours:>12} {theirs:>14}"
