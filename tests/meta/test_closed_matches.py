"""Every ``match`` ends in a case for what is not known yet, so that whoever adds a variant is told where to go.

A last ``case _`` is closed when it calls ``assert_never`` (mypy then names the place), raises, or hands the subject
itself on to a function that takes only what is left (mypy again). What is open on purpose is in OPEN, with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "inband"

OPEN: dict[str, str] = {
    "controller/controller.py:_take": "a controller answers what it must and counts what its figures need, no more",
    "runtime/config_document.py:texts_of": "keys whose text is the value's own need no case",
    "openflow/actions10.py:encode_actions": "looks at three actions of a list for those that are one in 1.0",
}
"""File and function of a match that is open, and why."""


class Found(NamedTuple):
    """A match statement: its file, the function it is in, its line."""

    file: str
    function: str
    node: ast.Match

    @property
    def place(self) -> str:
        """As OPEN names it."""
        return f"{self.file}:{self.function}"


def matches(source: str, file: str) -> Iterator[Found]:
    """Every match statement of a module, outermost first."""

    def visit(node: ast.AST, function: str) -> Iterator[Found]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Match):
            yield Found(file, function, node)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(ast.parse(source), "")


def is_closed(node: ast.Match) -> bool:
    """Whether the last case is a wildcard that ends all, or hands the subject on."""
    last = node.cases[-1]
    is_wildcard = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
    return is_wildcard and (isinstance(last.body[0], ast.Raise) or _passes_on(last.body[-1], node.subject))


def _passes_on(statement: ast.stmt, subject: ast.expr) -> bool:
    """Whether a call in a statement has the subject among its arguments: assert_never(subject) is such a call."""
    wanted = ast.dump(subject)
    return any(
        isinstance(call, ast.Call) and any(ast.dump(argument) == wanted for argument in call.args)
        for call in ast.walk(statement)
    )


ALL = [found for path in sorted(ROOT.rglob("*.py")) for found in matches(path.read_text(), str(path.relative_to(ROOT)))]


def test_every_match_is_closed_or_open_for_a_reason() -> None:
    opened = [
        f"src/inband/{found.file}:{found.node.lineno}: end this match with `case _: assert_never(...)`"
        for found in ALL
        if not is_closed(found.node) and found.place not in OPEN
    ]

    assert opened == []


@pytest.mark.parametrize("place", OPEN)
def test_what_is_said_to_be_open_is_there_and_open(place: str) -> None:
    found = [each for each in ALL if each.place == place]

    assert found, f"{place} has no match any more: take it out of OPEN"
    assert not all(is_closed(each.node) for each in found), f"{place} is closed: take it out of OPEN"


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ("case A(): pass", False),
        ("case A(): pass\n  case _: pass", False),
        ("case A(): pass\n  case _ if x: assert_never(x)", False),
        ("case A(): pass\n  case _: return f(y)", False),
        ("case A(): pass\n  case _: assert_never(x)", True),
        ("case A(): pass\n  case _: raise ValueError", True),
        ("case A(): pass\n  case _: return 1 + f(x)", True),
    ],
)
def test_open_and_closed_are_told_apart(cases: str, expected: bool) -> None:
    (found,) = matches(f"def g(x, y):\n match x:\n  {cases}", "")

    assert (found.function, is_closed(found.node)) == ("g", expected)
