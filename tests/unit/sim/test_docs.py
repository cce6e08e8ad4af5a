"""The examples in docs/simulator.md and README.md are what happens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "simulator.md"


def test_every_example_on_the_simulators_page_is_what_happens() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)

    assert result.attempted > 20
    assert result.failed == 0


def test_the_first_network_of_the_readme_prints_what_is_said_there(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)

    exec(compile(program, "README.md", "exec"), {})

    assert f"It prints `{capsys.readouterr().out.strip()}`" in readme
