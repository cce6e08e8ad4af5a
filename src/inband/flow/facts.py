"""What follows from values that never change and are shared by many: found once for each object.

The codec gives equal short lists of instructions as one object, and thousands of flows have it. What must be known of a
list for each of these flows (does it use a group? what are its bytes?) is looked up by the object's identity, which is
an eighth of the cost of its hash.

Invariants: an object whose facts are kept is kept too, so no other one can have its identity; there are never more than
``MOST`` of them, all of them small. An object that is not shared costs what it would cost without this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from inband.flow.actions import ApplyActions, Instruction, WriteActions

MOST: Final = 1024
MOST_ACTIONS: Final = 16
"""A list with more is most likely not shared, and would be kept for no good after its flow is gone."""

V = TypeVar("V")
F = TypeVar("F")


class Facts(Generic[V, F]):
    """``find`` applied to values, to each that ``is_small`` once as long as there are few."""

    def __init__(self, find: Callable[[V], F], is_small: Callable[[V], bool], most: int = MOST) -> None:
        self._find = find
        self._is_small = is_small
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
        if not self._is_small(value):
            return facts
        if len(self._found) >= self._most:
            self._found.clear()
        self._found[id(value)] = value, facts
        return facts


def are_few(instructions: tuple[Instruction, ...]) -> bool:
    """Whether these have no more than MOST_ACTIONS; for facts about instructions."""
    return (
        sum(len(each.actions) for each in instructions if isinstance(each, ApplyActions | WriteActions)) <= MOST_ACTIONS
    )
