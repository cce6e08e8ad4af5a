"""The seeds that have been played, one line of JSON each in a file, so that a run over days can stop and go on.

A line says how large the play was and what it found. A seed counts as played only for the same number of switches and
failures. What was played with another version of the switch is not told apart: that wants another file.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.failures.play import Outcome


class Results:
    """The results of plays of one size, kept in ``file`` if there is one."""

    def __init__(self, switches: int, failures: int, file: Path | None = None) -> None:
        self._size = {"switches": switches, "failures": failures}
        self._file = file
        self._played: dict[int, Outcome] = {}
        if file is not None and file.exists():
            self._read(file)

    def played(self, seed: int) -> Outcome | None:
        """What a seed has shown, or None if it was not played yet."""
        return self._played.get(seed)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Keep what a seed has shown. It is in the file when this returns."""
        self._played[seed] = outcome
        if self._file is not None:
            with self._file.open("a") as to:
                to.write(json.dumps(self._size | {"seed": seed} | asdict(outcome)) + "\n")

    def _read(self, file: Path) -> None:
        text = file.read_text()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            # The run was ended while it wrote: that seed is played again.
            file.write_text(whole)
        for line in map(json.loads, whole.splitlines()):
            if {name: line[name] for name in self._size} == self._size:
                self._played[line["seed"]] = Outcome(line["loops"], line["repeats"], line["lost"])
