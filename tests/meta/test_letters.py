"""The letters of rules are the same in the code, in docs/in-band.md and in docs/guide.md, and so are words and reasons.

Whoever adds a letter finds here what the documents still lack.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inband.control.letters import LETTERS

ROOT = Path(__file__).parents[2]
DESIGN, GUIDE = ROOT / "docs/in-band.md", ROOT / "docs/guide.md"
PAGES = (ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
SOURCES = sorted((*(ROOT / "src").rglob("*.py"), *(ROOT / "lab").rglob("*.py")))


def table_of(page: Path) -> list[tuple[str, ...]]:
    """The rows of the page's table of letters, without its head."""
    lines = iter(page.read_text().splitlines())
    assert any(line.startswith("| letter |") for line in lines), f"{page.name} has no table of letters"
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return rows


def headings(page: Path) -> set[str]:
    """The names of a page's sections."""
    return {line.lstrip("# ") for line in page.read_text().splitlines() if line.startswith("#")}


def test_the_design_has_a_row_for_each_letter_with_its_packets_and_its_reason() -> None:
    assert table_of(DESIGN) == [
        (kind.letter, kind.per.value, kind.ipv4, kind.ipv6, kind.reason) for kind in LETTERS.values()
    ]


def test_the_guide_has_a_row_for_each_letter_with_its_packets() -> None:
    assert table_of(GUIDE) == [(kind.letter, kind.per.value, kind.ipv4, kind.ipv6) for kind in LETTERS.values()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_no_letter_that_there_is_not(page: Path) -> None:
    assert set(re.findall(r"(?<![\w)])\(([a-z])\)", page.read_text())) <= LETTERS.keys()


def test_what_the_code_cites_of_the_design_is_there() -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    cited = set(re.findall(r'docs/in-band\.md,\s"([^"]+)"', text))

    assert cited
    assert cited <= headings(DESIGN)
    assert text.count("in-band.md") == text.count("docs/in-band.md")
