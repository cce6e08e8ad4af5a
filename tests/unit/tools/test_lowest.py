"""The lowest versions that are promised are the ones that are tested."""

from __future__ import annotations

import pytest

from tools.lowest import floors, lowered


def test_the_floor_of_each_requirement_replaces_its_pin() -> None:
    lowest = floors(["click>=8.1,<9", "Rich>=13"])

    assert lowered(["click==8.5.1", "rich==15.0.0", "six==1.17.0"], lowest) == ["click==8.1", "rich==13", "six==1.17.0"]


def test_a_requirement_without_a_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="no lowest version"):
        floors(["click"])
