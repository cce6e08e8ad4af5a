"""The Rapid Spanning Tree Protocol of one bridge (IEEE 802.1D-2004, clause 17), without I/O.

The machines of clause 17 are in modules of their own over the variables in ``state``: ``information`` (port receive,
port information), ``roles`` (port role selection), ``transitions`` (port role and state transitions), ``changes``
(topology change) and ``transmission`` (transmit, protocol migration, bridge detection). Here an event is told to them
and they run until none has a step to do; then it is said what is to be done.

Invariants:
- Commands are to be carried out in their order: ports close, then ports open, addresses are forgotten, messages leave.
  So no neighbour reads that a port is closed before it is.
- Work per event is bounded by the number of ports, whatever is received.
- A port that is not known here is not told of; a port that is removed needs no command.

Left out: the versions 0 (STP alone) and 3 (MSTP), and ports that are enabled by an authenticator (802.1X).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from inband.flow.ports import PortNo
from inband.stp import events as ev
from inband.stp.changes import detect_change, run_topology
from inband.stp.information import receive, run_information
from inband.stp.roles import run_roles
from inband.stp.settings import TreeSettings
from inband.stp.state import MIGRATE_S, InfoIs, Tree, TreePort
from inband.stp.status import TreeStatus, status_of
from inband.stp.transitions import hold_timers, run_state, run_transitions
from inband.stp.transmission import check_rstp, next_deadline, run_detection, run_migration, tick, transmit
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.spanning_tree import StpRole, StpState

# The highest number that fits into a port identifier.
_MAX_PORT = 0xFFF
# What such a port does depends on all other ports.
_LOOK_AT_OTHERS = (StpRole.ROOT, StpRole.ALTERNATE, StpRole.BACKUP)


class SpanningTree:
    """One bridge's part of the tree."""

    def __init__(self, mac: Mac, settings: TreeSettings) -> None:
        self._tree = Tree(mac, settings)

    def handle(self, event: ev.Event, now: Instant) -> list[ev.Command]:
        """Take an event; what is to be done, in this order."""
        tree = self._tree
        tree.now = now
        for port in tree:
            hold_timers(tree, port)
        tick(tree)
        self._take(event)
        self._run()
        return [*self._changed_states(), *self._flushes(), *self._messages()]

    def _take(self, event: ev.Event) -> None:
        tree = self._tree
        match event:
            case ev.BridgeChanged(mac, settings):
                tree.mac, tree.settings = mac, settings
                tree.ask_for_roles(*tree)
            case ev.PortChanged():
                self._change_port(event)
            case ev.PortRemoved(number):
                tree.ports.pop(number, None)
                tree.ask_for_roles(*tree)
            case ev.BpduReceived(number, bpdu):
                receiver = tree.ports.get(number)
                if receiver is not None and receiver.is_enabled:
                    receiver.rx_count += 1
                    receive(tree, receiver, bpdu)
            case ev.RubbishReceived(number):
                if number in tree.ports:
                    tree.ports[number].errors += 1
            case ev.TopologyChangeAsked():
                for port in tree:
                    if port.is_in_tree and port.forwarding:
                        port.flush = port.is_touched = True
                        detect_change(tree, port)
            case ev.TimePassed():
                pass
            case _:
                assert_never(event)

    def _change_port(self, event: ev.PortChanged) -> None:
        tree = self._tree
        port = tree.ports.get(event.number)
        if port is None:
            port = TreePort(event.number, self._free_number(event.number), tree.own_priority)
            port.edge = event.settings.is_edge
            tree.ports[event.number] = port
            port.rr_until = port.fd_until = port.rb_until = port.tc_until = tree.now
            hold_timers(tree, port)
        if event.settings.is_edge and not port.settings.is_edge and port.info_is is not InfoIs.RECEIVED:
            port.edge = True
        port.settings, port.speed_cost = event.settings, event.path_cost
        port.is_point_to_point = event.is_point_to_point
        if event.is_enabled and not port.is_enabled:
            port.edge_delay_until, port.hello_at, port.since = tree.now + MIGRATE_S, tree.now, tree.now
            check_rstp(tree, port)
        port.is_enabled = event.is_enabled
        tree.ask_for_roles(port)

    def _free_number(self, number: PortNo) -> int:
        """The number in the identifier: the port's own, if it fits and is free."""
        taken = {port.port_number for port in self._tree}
        if number <= _MAX_PORT and number not in taken:
            return int(number)
        return next((each for each in range(_MAX_PORT, 0, -1) if each not in taken), int(number) & _MAX_PORT)

    def _run(self) -> None:
        """Let the machines run until none has a step to do: each step is one towards that, so they come to an end.

        Designated and disabled ports, of which there may be thousands, are looked at when something touched them.
        """
        tree, goes_on = self._tree, True
        while goes_on:
            goes_on = False
            for port in tree:
                if port.is_touched or tree.now >= port.look_at or port.role in _LOOK_AT_OTHERS:
                    goes_on = self._run_port(port) or goes_on
            goes_on = run_roles(tree) or goes_on

    def _run_port(self, port: TreePort) -> bool:
        """Let a port's machines run; whether one had a step to do."""
        tree, has_run = self._tree, False
        port.is_touched = False
        while (
            run_information(tree, port)
            or run_migration(tree, port)
            or run_detection(tree, port)
            or run_transitions(tree, port)
            or run_state(port)
            or run_topology(tree, port)
        ):
            has_run = True
        port.look_at = next_deadline(tree, port)
        return has_run

    def _changed_states(self) -> Iterator[ev.Command]:
        """What ports do with data, where that is not what was said before: those that close come first."""
        for is_closing in (True, False):
            for port in self._tree:
                if port.state is not port.told and (port.state is StpState.DISCARDING) == is_closing:
                    port.told = port.state
                    yield ev.SetState(port.number, port.state)

    def _flushes(self) -> Iterator[ev.Command]:
        for port in self._tree:
            if port.flush:
                port.flush = False
                yield ev.ForgetAddresses(port.number)

    def _messages(self) -> Iterator[ev.Command]:
        for port in self._tree:
            if port.new_info or self._tree.now >= port.hello_at:
                while (bpdu := transmit(self._tree, port)) is not None:
                    yield ev.SendBpdu(port.number, bpdu)

    def next_deadline(self) -> Instant | None:
        """When TimePassed is due."""
        tree = self._tree
        due = [next_deadline(tree, port) for port in tree if port.is_enabled]
        if tree.tick_at is not None:
            due.append(tree.tick_at)
        return min(due, default=None)

    def status(self) -> TreeStatus:
        """What it is like now."""
        return status_of(self._tree)

    def role_of(self, number: PortNo) -> StpRole:
        """What a port is for."""
        port = self._tree.ports.get(number)
        return StpRole.DISABLED if port is None else port.role
