"""The examples in docs/simulator.md are what happens."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "simulator.md"


def test_every_example_on_the_simulators_page_is_what_happens() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)

    assert result.attempted > 20
    assert result.failed == 0
