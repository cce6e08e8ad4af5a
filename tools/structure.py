"""How the packages of the switch hang together, as counts.

    python tools/structure.py [ROOT] [ORDER]

ROOT is a checkout, the present folder unless given. ORDER, lowest package first with commas between, is that of the
table in its ARCHITECTURE.md unless given (an older checkout may have no such table). Printed are the packages, the
arrows between them (one for each pair of packages of which one imports the other), how many import statements these
are, and the arrows that run backward, which there should be none of.

What every package may use has no arrows: the version and the errors. An import counts wherever it is, also in a
function or for types alone.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

FOR_ALL = {"", "__version__", "errors"}

Arrows = Counter[tuple[str, str]]
"""How many import statements there are from one package (first) of another."""


def arrows_of(root: Path) -> Arrows:
    """The arrows of a checkout."""
    source = root / "src/inband"
    found: Arrows = Counter()
    for path in sorted(source.rglob("*.py")):
        package = path.relative_to(source).parts[0]
        for module in imports_of(path.read_text()):
            other = module.partition("inband")[2].lstrip(".").partition(".")[0]
            if other not in FOR_ALL and other != package and path.parent != source:
                found[package, other] += 1
    return found


def imports_of(text: str, package: str = "inband") -> Iterator[str]:
    """Modules of a package that a module's source imports, once for each statement."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == package:
            names = [f"{package}.{alias.name}" for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.partition(".")[0] == package)


def packages_of(root: Path) -> list[str]:
    """The packages of a checkout, by name."""
    return sorted(path.parent.name for path in (root / "src/inband").glob("*/__init__.py"))


def table_of(root: Path) -> dict[str, list[str]]:
    """What the table in ARCHITECTURE.md says that each package imports from, lowest package first."""
    rows = re.findall(r"^\| `(\w+)/` \| ([\w, ]*?) ?\|", (root / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    return {package: [name for name in imports.split(", ") if name] for package, imports in rows}


def backward(arrows: Arrows, order: Sequence[str]) -> list[tuple[str, str]]:
    """The arrows from a package to one that does not come before it."""
    rank = {package: place for place, package in enumerate(order)}
    return sorted(pair for pair in arrows if not rank[pair[1]] < rank[pair[0]])


def main(root: Path, order: Sequence[str]) -> None:
    """Print the counts."""
    arrows = arrows_of(root)
    against = backward(arrows, order)
    print(f"packages         {len(packages_of(root))}")
    print(f"arrows           {len(arrows)}")
    print(f"imports          {arrows.total()}")
    print(f"backward arrows  {len(against)}", *(f"{package} -> {other}" for package, other in against))


if __name__ == "__main__":
    given = sys.argv[1:]
    root_ = Path(given[0]) if given else Path()
    main(root_, given[1].split(",") if len(given) > 1 else list(table_of(root_)))
