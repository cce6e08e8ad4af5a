"""Print requirements.txt, and what it includes, with the lowest versions that pyproject.toml allows for its pins.

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


def pins(file: Path) -> list[str]:
    """The lines of a requirements file and of those that it includes (``-r FILE``), without comments."""
    found = []
    for line in file.read_text().splitlines():
        if line.startswith("-r "):
            found += pins(file.parent / line.removeprefix("-r ").strip())
        elif line and not line.startswith("#"):
            found.append(line)
    return found


def lowered(pinned: Iterable[str], lowest: Mapping[str, str]) -> list[str]:
    """Lines of ``NAME==VERSION`` with the lowest versions where there are some."""
    names = [(line, line.partition("==")[0].lower()) for line in pinned]
    return [f"{name}=={lowest[name]}" if name in lowest else line for line, name in names]


def main(named: list[str]) -> None:
    """Print them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tests = floors(project["optional-dependencies"]["test"])
    lowest = floors(project["dependencies"]) | {name: tests[name] for name in named}
    print("\n".join(lowered(pins(ROOT / "requirements.txt"), lowest)))


if __name__ == "__main__":
    main(sys.argv[1:])
