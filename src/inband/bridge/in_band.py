"""The in-band engine at work in one bridge: its commands become hidden flows, questions to the kernel, and probes.

What must stay true: a command is carried out completely before the next event is handled, installs before removals,
and cached decisions that a removed or new rule would change are gone before another packet is looked at (the caller
settles the book before it lets one through).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from inband.bridge.megaflows import MegaflowBook
from inband.control import events as ev
from inband.control.engine import Engine
from inband.control.rules import InBandRule
from inband.flow.flow import Flow
from inband.host.events import Host
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant

Probe = Callable[[int, IpAddress], None]
"""Send a question for an address from the local port, if that is where the interface index leads."""


@dataclass(slots=True)
class InBand:
    """The engine of one bridge and the flows it has installed."""

    tables: TableSet
    book: MegaflowBook
    host: Host
    probe: Probe
    engine: Engine = field(default_factory=Engine)
    _flows: dict[InBandRule, Flow] = field(default_factory=dict)

    def handle(self, event: ev.Event, now: Instant) -> None:
        """Tell the engine, and do what it says."""
        self._obey(self.engine.handle(event, now), now)

    @property
    def flows(self) -> list[Flow]:
        """The hidden flows of in-band control, by letter."""
        return sorted(self._flows.values(), key=lambda flow: flow.priority)

    def _obey(self, commands: Iterable[ev.Command], now: Instant) -> None:
        for command in commands:
            match command:
                case ev.InstallRules():
                    self._install(command, now)
                case ev.RemoveRules():
                    self._remove(command, now)
                case ev.LookUpNextHop(destination):
                    self.host.look_up_next_hop(destination)
                case ev.SolicitNeighbour(index, address):
                    self.host.solicit(index, address)
                case ev.ProbeNeighbour(index, address):
                    self.probe(index, address)

    def _install(self, command: ev.InstallRules, now: Instant) -> None:
        for rule in command.rules:
            flow = self._flows.get(rule)
            if flow is not None:
                changes = self.tables.replace_hidden(flow, command.instructions)
            else:
                flow = self._flows[rule] = Flow(rule.match, rule.priority, command.instructions, origin=rule.origin)
                changes = self.tables.install_hidden(flow, now)
            self.book.flows_changed((*changes.added, *changes.modified))

    def _remove(self, command: ev.RemoveRules, now: Instant) -> None:
        for rule in command.rules:
            flow = self._flows.pop(rule)
            self.tables.remove_hidden(flow)
            self.book.flows_changed((flow,))
        self.book.settle()
        self._obey(self.engine.handle(ev.RulesRemoved(frozenset(command.rules)), now), now)
