"""The in-band engine at work in one bridge: its commands become hidden flows, questions to the kernel, and probes.

Invariants:

- All commands of an event are carried out before the next event is handled, in their order.
- ``flows`` has a rule exactly while the table has its flow: it is noted after the table took it, and forgotten after
  the table let it go. The engine looks there, so a rule that a table refused to take or to give up is tried again.
- Cached decisions that a removed or new rule would change are gone before another packet is looked at (the caller
  settles the cache before it lets one through).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import assert_never

from inband.bridge.megaflows import MegaflowCache
from inband.control import events as ev
from inband.control.destinations import RemoteStatus
from inband.control.engine import Engine
from inband.control.rules import InBandRule
from inband.flow.flow import Flow
from inband.host.state import Host
from inband.table.table_set import TableSet
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant

Probe = Callable[[int, IpAddress], None]
"""Send a question for an address from the local port, if that is where the interface index leads."""
Confirm = Callable[[ev.ConfirmPlace], None]
"""Send such a question if the next hop has not been heard of late."""


@dataclass(frozen=True, slots=True)
class InBandStatus:
    """What in-band control of a bridge is like; ``remotes`` and ``servers`` say how each is reached."""

    is_enabled: bool
    local_mac: Mac | None
    queue: int | None
    vlan: int | None
    hidden_flows: int
    remotes: tuple[RemoteStatus, ...]
    servers: tuple[RemoteStatus, ...]


class InBand:
    """The engine of one bridge and the flows it has installed."""

    def __init__(self, tables: TableSet, megaflows: MegaflowCache, host: Host, probe: Probe, confirm: Confirm) -> None:
        self._tables = tables
        self._megaflows = megaflows
        self._host = host
        self._probe = probe
        self._confirm = confirm
        self._flows: dict[InBandRule, Flow] = {}
        self.engine = Engine(host.state, installed=self._flows)

    def handle(self, event: ev.Event, now: Instant) -> None:
        """Tell the engine, and do what it says. What a table or cache raises comes through; then tell it the next."""
        for command in self.engine.handle(event, now):
            self._carry_out(command, now)

    @property
    def flows(self) -> list[Flow]:
        """The hidden flows of in-band control, by letter."""
        return sorted(self._flows.values(), key=lambda flow: flow.priority)

    def status(self) -> InBandStatus:
        """What it is like now."""
        engine = self.engine
        return InBandStatus(
            engine.is_enabled,
            engine.local_mac,
            engine.queue,
            engine.vlan,
            len(self._flows),
            tuple(engine.remotes()),
            tuple(engine.servers()),
        )

    def _carry_out(self, command: ev.Command, now: Instant) -> None:
        match command:
            case ev.InstallRules(rules):
                for rule in rules:
                    self._install(rule, command, now)
            case ev.RemoveRules(rules):
                self._remove(rules)
            case ev.LookUpNextHop(destination):
                self._host.look_up_next_hop(destination)
            case ev.SolicitNeighbour(index, address):
                self._host.solicit(index, address)
            case ev.ProbeNeighbour(index, address):
                self._probe(index, address)
            case ev.ConfirmPlace():
                self._confirm(command)
            case _:
                assert_never(command)

    def _install(self, rule: InBandRule, command: ev.InstallRules, now: Instant) -> None:
        flow = self._flows.get(rule)
        if flow is not None:
            changes = self._tables.replace_hidden(flow, command.instructions)
        else:
            flow = Flow(rule.match, rule.priority, command.instructions, origin=rule.origin)
            changes = self._tables.install_hidden(flow, now)
            self._flows[rule] = flow
        self._megaflows.flows_changed((*changes.added, *changes.modified))

    def _remove(self, rules: Iterable[InBandRule]) -> None:
        for rule in rules:
            flow = self._flows[rule]
            self._tables.remove_hidden(flow)
            self._megaflows.flows_changed((flow,))
            del self._flows[rule]
        self._megaflows.settle()
