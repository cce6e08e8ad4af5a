"""The lowest versions that are promised are the ones that are tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lowest import floors, lowered, pins


def test_the_floor_of_each_requirement_replaces_its_pin() -> None:
    lowest = floors(["click>=8.1,<9", "Rich>=13"])

    assert lowered(["click==8.5.1", "rich==15.0.0", "six==1.17.0"], lowest) == ["click==8.1", "rich==13", "six==1.17.0"]


def test_what_a_requirements_file_includes_is_lowered_too(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("# what runs it\nclick==8.5.1\n")
    (tmp_path / "all.txt").write_text("-r run.txt\n\nsix==1.17.0\n")

    assert lowered(pins(tmp_path / "all.txt"), {"click": "8.1"}) == ["click==8.1", "six==1.17.0"]


def test_a_requirement_without_a_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="no lowest version"):
        floors(["click"])
