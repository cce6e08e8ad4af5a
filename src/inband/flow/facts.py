"""What follows from values that never change and are shared by many: found once for each object.

The codec gives equal short lists of instructions as one object, and thousands of flows have it. What must be known of a
list for each of these flows (does it use a group? what are its bytes?) is looked up by the object's identity, which is
an eighth of the cost of its hash.

Invariants: an object whose facts are kept is kept too, so no other one can have its identity; there are never more than
``most`` of them. An object that is not shared costs what it would cost without this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
F = TypeVar("F")


class Facts(Generic[V, F]):
    """``find`` applied to values, each of them once as long as there are few."""

    def __init__(self, find: Callable[[V], F], most: int = 1024) -> None:
        self._find = find
        self._most = most
        self._found: dict[int, tuple[V, F]] = {}

    def __len__(self) -> int:
        """Of how many values facts are kept."""
        return len(self._found)

    def of(self, value: V) -> F:
        """What ``find`` says of a value; what that raises is raised."""
        found = self._found.get(id(value))
        if found is not None:
            return found[1]
        facts = self._find(value)
        if len(self._found) >= self._most:
            self._found.clear()
        self._found[id(value)] = value, facts
        return facts
