"""The lists of CONTRIBUTING.md, "Where do I add ...", name files that are there, and things that are in them.

That they are complete is for those tests to show that fail when something is forgotten; here: whatever file they send
people to is in a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
GUIDES = ("test_completeness.py", "test_operators_words.py")
"""The tests in this folder whose failures say where to go."""


class Item(NamedTuple):
    """One line of a list: what is added, and the rest of it."""

    added: str
    text: str

    @property
    def is_for_all(self) -> bool:
        """Whether every addition of this kind needs it."""
        return not self.text.startswith("perhaps")

    def named(self) -> Iterator[tuple[str, list[str]]]:
        """The paths in it, each with the names that follow it."""
        path, names = "", list[str]()
        for word in re.findall(r"`([^`]+)`", self.text):
            if "/" in word:
                if path:
                    yield path, names
                path, names = word, []
            elif re.fullmatch(r"[A-Za-z_]\w*", word):
                names.append(word)
        yield path, names


def items() -> list[Item]:
    """Every line of every list."""
    found = []
    for section in PAGE.partition("## Where do I add")[2].split("\n### ")[1:]:
        added, _, rest = section.partition("\n")
        found += [Item(added, " ".join(each.split())) for each in re.findall(r"^- (.*(?:\n  .*)*)", rest, re.MULTILINE)]
    return found


ITEMS = items()


def text_of(path: Path) -> str:
    """A file's text, or that of all files of a folder."""
    if path.is_dir():
        return "\n".join(each.read_text() for each in path.glob("*.py"))
    return path.read_bytes().decode(errors="replace")


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.added}: {item.text[:40]}")
def test_a_line_names_files_that_are_there_with_what_it_says_of_them(item: Item) -> None:
    for path, names in item.named():
        assert (ROOT / path).exists(), f"{path} is not there"
        missing = [name for name in names if not re.search(rf"\b{name}\b", text_of(ROOT / path))]
        assert missing == [], path


def test_where_failures_send_people_is_in_a_list() -> None:
    sent = {
        path
        for name in GUIDES
        for path in re.findall(r"\b(?:src|bpf|docs|tests)/[\w/]+\.\w+", Path(__file__).with_name(name).read_text())
    }
    listed = {path for item in ITEMS for path, _ in item.named()}

    assert sent - listed - {f"tests/meta/{GUIDES[1]}"} == set()


def test_the_counts_of_the_architecture_are_those_of_the_lists() -> None:
    counted = {
        added: (len(paths), sum(path.startswith(("docs/", "tests/")) for path in paths))
        for added in dict.fromkeys(item.added for item in ITEMS)
        for paths in [[next(item.named())[0] for item in ITEMS if item.added == added and item.is_for_all]]
    }
    text = (ROOT / "ARCHITECTURE.md").read_text()
    written = {
        added: (int(files), int(others))
        for added, files, others in re.findall(r"^\| (an? [^|]+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    }

    assert written == counted
