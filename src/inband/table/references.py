"""Which flows use a group or a meter, so that deleting one finds its flows without asking every flow."""

from __future__ import annotations

from inband.flow.actions import ApplyActions, Group, Instruction, Meter, WriteActions
from inband.flow.facts import Facts, are_few
from inband.flow.flow import Flow

Needed = Group | Meter
"""What a flow can need besides itself, named by the action or instruction that uses it."""


class References:
    """Flows by what they need. Work: proportional to a flow's own actions."""

    def __init__(self) -> None:
        self._users: dict[Needed, dict[Flow, None]] = {}

    def add(self, flow: Flow) -> None:
        """Note what a flow's instructions need."""
        for needed in needs(flow.instructions):
            self._users.setdefault(needed, {})[flow] = None

    def remove(self, flow: Flow) -> None:
        """Forget a flow, its instructions being those that it was added with."""
        for needed in needs(flow.instructions):
            users = self._users[needed]
            del users[flow]
            if not users:
                del self._users[needed]

    def users(self, needed: Needed) -> tuple[Flow, ...]:
        """The flows that need a group or meter, oldest first."""
        return tuple(self._users.get(needed, ()))

    def count(self, needed: Needed) -> int:
        """How many flows need a group or meter."""
        return len(self._users.get(needed, ()))


def _find_needs(instructions: tuple[Instruction, ...]) -> frozenset[Needed]:
    found: set[Needed] = set()
    for instruction in instructions:
        if isinstance(instruction, ApplyActions | WriteActions):
            for action in instruction.actions:
                if isinstance(action, Group):
                    found.add(action)
        elif isinstance(instruction, Meter):
            found.add(instruction)
    return frozenset(found)


needs = Facts(_find_needs, are_few).of
"""The groups and meters that instructions use."""
