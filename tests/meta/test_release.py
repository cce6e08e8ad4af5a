"""The version stands in ``src/inband/__init__.py`` alone, and the changelog begins with it."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from importlib.metadata import version
from pathlib import Path

from inband import __version__

ROOT = Path(__file__).parents[2]
RELEASE = re.compile(r"## (\d+)\.(\d+)\.(\d+) - (\d{4}-\d\d-\d\d)")
HEADINGS = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]


def test_the_package_has_the_version_that_its_source_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert "version" not in project
    assert version("inband") == __version__, "`make setup` installs the package anew when its version has changed"


def test_releases_of_the_changelog_are_in_order_and_the_last_is_this_version() -> None:
    found = [RELEASE.fullmatch(line) for line in HEADINGS if line != "## Unreleased"]
    releases = [((int(m[1]), int(m[2]), int(m[3])), date.fromisoformat(m[4])) for m in found if m]

    assert len(releases) == len(found), HEADINGS
    assert releases == sorted(releases, reverse=True)
    assert len({number for number, _ in releases}) == len(releases)
    assert ".".join(map(str, releases[0][0])) == __version__


def test_what_is_not_released_stands_first() -> None:
    assert "## Unreleased" not in HEADINGS[1:]
