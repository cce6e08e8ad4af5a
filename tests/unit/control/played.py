"""An engine with a table that carries out its commands at once, as a bridge does."""

from __future__ import annotations

from inband.control import events as ev
from inband.control.engine import Engine
from inband.control.rules import InBandRule
from inband.host.events import NeighbourChanged, RoutesChanged
from inband.host.state import KernelState
from inband.vocabulary.instant import Instant


class Played:
    """What the tests say to an engine and hear from it. While it ``refuses`` the table does nothing."""

    def __init__(self) -> None:
        self.refuses = False
        self._table: set[InBandRule] = set()
        self._kernel = KernelState()
        self._engine = Engine(self._kernel, self._table)

    def handle(self, event: ev.Event, now: Instant) -> list[ev.Command]:
        """Have the kernel say what it says, tell the engine, have its commands carried out, and return them."""
        if isinstance(event, NeighbourChanged | RoutesChanged):
            self._kernel.note(event)
        commands = self._engine.handle(event, now)
        for command in commands:
            match command:
                case ev.InstallRules(rules) if not self.refuses:
                    self._table.update(rules)
                case ev.RemoveRules(rules) if not self.refuses:
                    self._table.difference_update(rules)
                case _:
                    pass
        return commands

    def next_deadline(self) -> Instant | None:
        """As the engine's."""
        return self._engine.next_deadline()

    @property
    def rules(self) -> frozenset[InBandRule]:
        """The rules that the engine wants."""
        return self._engine.rules

    @property
    def installed(self) -> frozenset[InBandRule]:
        """The rules that the table has."""
        return frozenset(self._table)
