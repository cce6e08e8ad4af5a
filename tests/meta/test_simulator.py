"""The simulator and its controller do no input or output: what they import tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src" / "inband"
WORLD = {"asyncio", "io", "logging", "os", "pathlib", "select", "socket", "subprocess", "tempfile", "threading", "time"}
OURS = ("inband.runtime", "inband.cli", "inband.demo")


def imported(module: Path) -> Iterator[str]:
    """The modules that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


@pytest.mark.parametrize("package", ["sim", "controller"])
def test_nothing_that_reaches_the_world_is_imported(package: str) -> None:
    modules = list((SOURCES / package).rglob("*.py"))

    found = {name for module in modules for name in imported(module)}

    assert len(modules) > 2
    assert not {name for name in found if name.partition(".")[0] in WORLD or name.startswith(OURS)}
