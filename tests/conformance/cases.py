"""The switch tester's cases as it ships them, chosen, put in order and written out for one run.

The tester (os_ken.tests.switch) takes a folder of JSON files and runs all of it. Three things about that do not suit
a comparison case by case, and a folder of our own cures them without touching the tester: two files that describe
themselves with the same words replace each other (so here a file's description is its path); a run that the tester
does not survive has to go on behind the case it died of (so here a folder may begin in the middle of a file); and a
quick run wants some files only.

What is sent and what is expected is never touched, but for the length of a throughput case when the caller says so.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

SUITES = ("of10/action", "of10/match", "of13/action", "of13/match", "of13/group", "of13/meter")
"""What is run; of14 is left out because neither switch claims it here."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case: ``file`` is its path below the suites without the ending, ``number`` its place in it from 0."""

    file: str
    number: int
    name: str
    body: dict[str, Any]

    @property
    def key(self) -> str:
        """What names it in results: names alone occur twice in some files."""
        return f"{self.file} #{self.number} {self.name}"

    @property
    def suite(self) -> str:
        """The suite it is from, as :data:`SUITES` spells it."""
        return "/".join(self.file.split("/")[:2])

    @property
    def is_throughput(self) -> bool:
        """True when the tester sends for half a minute and compares rates."""
        return any(isinstance(test.get("egress"), dict) for test in self.body["tests"])


def root() -> Path:
    """Return the folder of the cases in the installed os-ken."""
    found = importlib.util.find_spec("os_ken")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "tests" / "switch"


def load(suites: Iterable[str] = SUITES, only: str = "") -> list[Case]:
    """Return the cases of these suites whose key contains ``only``, in the order in which the tester runs them."""
    paths = [path for suite in suites for path in (root() / suite).rglob("*.json")]
    cases = [case for path in paths for case in _read(path) if only in case.key]
    return sorted(cases, key=lambda case: (case.file, case.number))


def write(cases: Sequence[Case], folder: Path, seconds: int | None = None) -> None:
    """Write a folder that makes the tester run these cases in this order; ``seconds``: a throughput case's length."""
    folder.mkdir()
    for number, (file, group) in enumerate(groupby(cases, key=lambda case: case.file)):
        content = [file, *(_body(case, seconds) for case in group)]
        (folder / f"{number:04d}.json").write_text(json.dumps(content))


def _read(path: Path) -> list[Case]:
    name = str(path.relative_to(root()).with_suffix(""))
    _, *bodies = json.loads(path.read_text())
    return [Case(name, number, body["description"], body) for number, body in enumerate(bodies)]


def _body(case: Case, seconds: int | None) -> dict[str, Any]:
    if seconds is None or not case.is_throughput:
        return case.body
    copy: dict[str, Any] = json.loads(json.dumps(case.body))
    for test in copy["tests"]:
        if isinstance(test["ingress"], dict):
            test["ingress"]["packets"]["duration_time"] = seconds
    return copy
