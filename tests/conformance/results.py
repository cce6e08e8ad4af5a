"""What the switch tester prints, read: one outcome a case.

The tester logs a line with the file's description, then for each case four spaces, its name padded to a hundred columns
and OK or ERROR; the reason follows, indented by eight. Everything else (connections, dots, the report at the end) is
not about a case. Outcomes come in the order of the cases, so the n-th outcome is the n-th case's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OUTCOME = re.compile(r"^ {4}(?P<name>\S.*?) +(?P<word>OK|ERROR)$")
_REASON = re.compile(r"^ {8}(?P<reason>\S.*)$")
_END = "--- Test report ---"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case; ``reason`` is the tester's, empty when the case passed."""

    name: str
    passed: bool
    reason: str = ""


def read(log: str) -> list[Outcome]:
    """Return the outcomes in a log that may end anywhere, in order."""
    outcomes: list[Outcome] = []
    for line in log.partition(_END)[0].splitlines():
        if found := _OUTCOME.match(line):
            outcomes.append(Outcome(found["name"].strip(), found["word"] == "OK"))
        elif outcomes and not outcomes[-1].passed and not outcomes[-1].reason and (found := _REASON.match(line)):
            outcomes[-1] = Outcome(outcomes[-1].name, False, found["reason"])
    return outcomes
