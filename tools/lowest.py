"""Print requirements.txt with the lowest versions that pyproject.toml allows instead of those that it pins.

Usage: python tools/lowest.py [NAME]...: of the switch's own dependencies, and of the test libraries that are named.
`make lowest` tests with them. Other test libraries and tools stay pinned: users of the switch do not have them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FLOOR = re.compile(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9][0-9A-Za-z.]*)")


def floors(requirements: Iterable[str]) -> dict[str, str]:
    """The lowest version by name; raises ValueError for a requirement that has none."""
    found = {}
    for requirement in requirements:
        match = _FLOOR.match(requirement)
        if match is None:
            raise ValueError(f"{requirement!r} has no lowest version: write NAME>=VERSION")
        found[match[1].lower()] = match[2]
    return found


def lowered(pins: Iterable[str], lowest: Mapping[str, str]) -> list[str]:
    """Lines of ``NAME==VERSION`` with the lowest versions where there are some."""
    names = [(line, line.partition("==")[0].lower()) for line in pins]
    return [f"{name}=={lowest[name]}" if name in lowest else line for line, name in names]


def main(named: list[str]) -> None:
    """Print them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tests = floors(project["optional-dependencies"]["test"])
    lowest = floors(project["dependencies"]) | {name: tests[name] for name in named}
    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    print("\n".join(lowered(pins, lowest)))


if __name__ == "__main__":
    main(sys.argv[1:])
