"""The list of datapath actions as it grows, and never longer than it must be.

Header edits and queue changes are held back until an output needs them, so that edits which nothing leaves with are not
in the list, and a packet that goes nowhere has an empty one. No port gets twice what in-band control sends beside the
flow table, and LOCAL does not get lies about its next hop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from inband.flow.actions import Clone, DatapathAction, HeaderAction, Meter, Output, PopQueue, SetQueue, ToController
from inband.flow.ports import PortNo


class Program:
    """Actions for a datapath, in order."""

    def __init__(self) -> None:
        self.actions: list[DatapathAction] = []
        self._held: list[HeaderAction] = []
        self._queue: int | None = None
        self._queue_in_effect: int | None = None
        self._served: frozenset[PortNo] = frozenset()

    def leave_alone(self) -> None:
        """Whatever follows is about ports that have not got the packet yet, and has no queue chosen for it."""
        self._served |= frozenset(_ports(self.actions))
        self._queue = None

    def withhold_from(self, port: PortNo) -> None:
        """Whatever follows does not send the packet to this port."""
        self._served |= {port}

    def edit(self, action: HeaderAction) -> None:
        """Change the packet for all outputs that follow."""
        self._held.append(action)

    def set_queue(self, queue: int | None) -> None:
        """Use a queue (None: no particular one) for all outputs that follow."""
        self._queue = queue

    def output(self, action: Output | ToController) -> None:
        """Send a copy of the packet as it is now."""
        if self._served and isinstance(action, Output) and action.port in self._served:
            return
        if self._held:
            self.actions.extend(self._held)
            self._held.clear()
        if self._queue != self._queue_in_effect and isinstance(action, Output):
            self.actions.append(PopQueue() if self._queue is None else SetQueue(self._queue))
            self._queue_in_effect = self._queue
        self.actions.append(action)

    def meter(self, action: Meter) -> None:
        """Hold the packet as it is now against a meter, whether or not anything is sent afterwards."""
        self.actions += [*self._held, action]
        self._held.clear()

    def branch(self) -> Program:
        """A program for a copy of the packet, starting as this one is now."""
        copy = Program()
        copy._held, copy._served = list(self._held), self._served
        copy._queue, copy._queue_in_effect = self._queue, self._queue_in_effect
        return copy

    def join(self, branch: Program) -> None:
        """Run a branch here, on a copy of the packet if it does more than outputs."""
        actions = branch.finished()
        if all(isinstance(action, Output | ToController | Clone) for action in actions):
            self.actions.extend(actions)
        else:
            self.actions.append(Clone(actions))

    def finished(self) -> tuple[DatapathAction, ...]:
        """The whole list. Nothing comes after a copy at its end, so the copy may as well be the packet itself."""
        actions = self.actions
        while actions and isinstance(last := actions[-1], Clone):
            actions = [*actions[:-1], *last.actions]
        return tuple(actions)


def _ports(actions: Iterable[DatapathAction]) -> Iterator[PortNo]:
    """The ports that actions send to, in copies too."""
    for action in actions:
        if isinstance(action, Output):
            yield action.port
        elif isinstance(action, Clone):
            yield from _ports(action.actions)
