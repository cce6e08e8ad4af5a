"""One bridge as a running switch has it: its ``Bridge``, its connections, and the order in which things are done.

Invariants: the bridge hears what the kernel says from its first moment on. Hidden flows are in place before a
controller is dialled: ``want`` comes before ``configure`` and ``set_names``. What the kernel says reaches the engine
first, so that a controller that is dialled again because of it is dialled with the rules that follow from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import assert_never

from inband import __version__
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.bridge.tree import TreeConfig
from inband.control import events as ev
from inband.datapath.base import Datapath
from inband.fabric.events import TellNeighbour, TellRefused
from inband.fabric.keys import NetworkKeys
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
    Resynchronised,
    RoutesChanged,
)
from inband.host.state import Host
from inband.openflow.reconnect import State
from inband.pipeline.ports import SwitchPort
from inband.stp.settings import TreeSettings
from inband.switch.config import BridgeConfig, Protection
from inband.switch.connections import ConnectionManager, Environment
from inband.switch.outgoing import OutgoingConnection
from inband.switch.reports import (
    LinkBack,
    LinkLost,
    LoopFound,
    LoopGone,
    NeighbourFound,
    NeighbourLost,
    NeighbourRefused,
    TreePortChanged,
)
from inband.switch.status import BridgeStatus, ListenerStatus, OutgoingStatus
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant, earliest
from inband.vocabulary.openflow import PortState
from inband.vocabulary.spanning_tree import StpRole, StpState

# Remotes that the engine takes at once: two milliseconds.
REMOTES_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class LocalInterface:
    """The bridge's own interface: the kernel's index and MAC of it, and the name of the datapath's end of it."""

    index: int
    mac: Mac
    inner: str


class ManagedBridge:
    """Runs one bridge, without I/O: the owner moves frames and bytes, and calls ``run`` at ``next_deadline``."""

    def __init__(
        self,
        config: BridgeConfig,
        local: LocalInterface,
        datapath: Datapath,
        host: Host,
        environment: Environment,
        datapath_id: int | None = None,
    ) -> None:
        """``datapath`` is not attached to anything yet; ``datapath_id`` is what it had in an earlier run."""
        self.config = config
        self._report = environment.report
        self._lost_links: set[PortNo] = set()
        self._said_loops: frozenset[tuple[str, ...]] = frozenset()
        self._local = local
        self.default_datapath_id = int(local.mac) if datapath_id is None else datapath_id
        self._kernel = host.state
        self._remotes: set[ev.Remote] = set()
        self._coming: deque[ev.Remote] = deque()
        self._going: deque[ev.Remote] = deque()
        self._running = {(link.index, link.name) for link in host.state.links if link.running}
        self._is_own_interface = environment.is_own_interface
        settings = BridgeSettings(config.name, self._identity(config), config.flow_limit)
        self.bridge = Bridge(settings, datapath, host, environment.clock, environment.wake)
        self.connections = ConnectionManager(self.bridge, config, environment)
        self.bridge.tree.state_changed = self._tree_state_changed
        self._random = environment.random
        self.bridge.neighbours.tell = self._tell_neighbour
        self.bridge.loops.changed = self._loops_changed
        datapath.client = self.bridge

    # --- life -------------------------------------------------------------------------------------------------------

    def open(self, local: LocalInterface) -> None:
        """Have the local port, with what the kernel has said of it so far, and in-band control. Raises HostError."""
        self.set_local(local)
        self.bridge.control(ev.QueueChanged(self.config.queue))
        self.bridge.control(ev.ControlVlanChanged(self.config.control_vlan))
        self.bridge.control(ev.InBandEnabled(self.config.in_band))
        for event in self._kernel.about(local.index):
            self.host_event(event)

    def set_local(self, local: LocalInterface) -> None:
        """The bridge's own interface is this one from now on. Raises HostError."""
        self._local = local
        self.bridge.datapath.add_port(LOCAL, local.inner)
        self.bridge.add_port(LOCAL, self.config.name, local.mac)
        self.bridge.set_local(local.index, local.mac)

    def leave(self) -> None:
        """Other bridges protect the networks of this one no longer."""
        self._kernel.local_ports.discard(self._local.index)

    def stop(self) -> Iterator[None]:
        """Hang up on all, then take the hidden flows out: go on with the iterator until it ends.

        The end of a stream is reported some turns of the loop later, and what it does to the bridge still needs the
        datapath, which is the owner's to close after this. No peer can make it longer: streams are aborted.
        """
        self.connections.stop()
        while len(self.connections):
            yield
        self.bridge.control(ev.InBandEnabled(False))

    # --- configuration ----------------------------------------------------------------------------------------------

    @property
    def remotes(self) -> frozenset[ev.Remote]:
        """The remotes that are protected now."""
        return frozenset(self._remotes)

    def want(self, remotes: frozenset[ev.Remote]) -> Iterator[None]:
        """Have these remotes protected: at the iterator's end controllers are, all others after ``protect_more``.

        Thousands are taken in portions: go on with the iterator when everything else has had its turn.
        """
        self._coming = deque(sorted(remotes - self._remotes, key=_in_order))
        self._going = deque(sorted(self._remotes - remotes, key=_in_order))
        while self._coming and not _is_manager(self._coming[0]):
            self.protect_more()
            yield

    @property
    def is_behind(self) -> bool:
        """Whether other remotes are protected than are wanted."""
        return bool(self._coming or self._going)

    def protect_more(self) -> None:
        """Come a portion nearer to what is wanted: rules that come, then rules that go."""
        if self._coming:
            added = _portion(self._coming)
            self._remotes.update(added)
            self.bridge.control(ev.RemotesChanged(added=added))
        else:
            removed = _portion(self._going)
            self._remotes.difference_update(removed)
            self.bridge.control(ev.RemotesChanged(removed=removed))

    def configure(self, config: BridgeConfig) -> None:
        """Go to another configuration of the same bridge, or dial for the first time, touching only what differs.

        Remotes that come must be protected already, and those that go still be.
        """
        self.config = config
        self.bridge.control(ev.QueueChanged(config.queue))
        self.bridge.control(ev.ControlVlanChanged(config.control_vlan))
        self.bridge.control(ev.InBandEnabled(config.in_band))
        self.bridge.tables.limit = config.flow_limit
        self.connections.configure(config)
        self._set_identity(self._identity(config))
        self._set_neighbours()
        self.bridge.neighbours.protect(by_all_ways=config.protect is Protection.DUPLICATE)

    def set_network_keys(self, keys: NetworkKeys | None) -> None:
        """Take the word of neighbours that have one of these keys, and sign with the first; before ``configure``."""
        self.bridge.neighbours.set_keys(keys, self.bridge.now)

    def _set_neighbours(self) -> None:
        """Neighbours know this switch by its datapath id."""
        switch = self._identity(self.config).datapath_id if self.config.neighbours else None
        self.bridge.neighbours.set_switch(switch, self._random, self.bridge.now)

    def configure_tree(self, config: BridgeConfig, numbers: Mapping[str, PortNo]) -> None:
        """Run a spanning tree or none; ``numbers`` are those of ports by name, of them that are to come, too."""
        ports = {numbers[name]: settings for name, settings in config.port_trees if name in numbers}
        tree = TreeConfig(TreeSettings(config.rstp_priority, *config.rstp_times_s), ports)
        self.bridge.configure_tree(tree if config.rstp else None)

    def _tree_state_changed(self, port: SwitchPort, role: StpRole) -> None:
        """Say what becomes of a port; to learn is on the way to forwarding, and said then."""
        if port.tree is not StpState.LEARNING:
            name, words = self.config.name, (str(role), str(port.tree))
            self._report(TreePortChanged(name, int(port.number), port.name, *words))

    def _loops_changed(self) -> None:
        """Say which ports are joined, once for each pair: a probe comes back from both."""
        there = self.loops()
        known = self._said_loops
        self._said_loops = there
        for ports in sorted(there - known):
            self._report(LoopFound(self.config.name, ports))
        for ports in sorted(known - there):
            self._report(LoopGone(self.config.name, ports))

    def loops(self) -> frozenset[tuple[str, ...]]:
        """The ports that are joined outside, by their interfaces' names: pairs, or one that leads to itself."""
        names = {port.number: port.name for port in self.bridge.ports}
        return frozenset(
            tuple(sorted(names.get(number, str(number)) for number in loop.ports)) for loop in self.bridge.loops.loops
        )

    def _identity(self, config: BridgeConfig) -> Identity:
        number = self.default_datapath_id if config.datapath_id is None else config.datapath_id
        return Identity(number, software=__version__, datapath=config.name)

    def _set_identity(self, identity: Identity) -> None:
        """A datapath id is said once, in FEATURES_REPLY: controllers must connect anew to hear of another one."""
        switch = self.bridge.agent.switch
        if identity != switch.identity:
            switch.identity = identity
            self.connections.hang_up()

    # --- the kernel's events ----------------------------------------------------------------------------------------

    def link_changed(self, number: PortNo, *, link_up: bool, mac: Mac) -> None:
        """A port's link came up or went down, or it has another MAC address; links are said to people, too."""
        port = self.bridge.ports.get(number)
        was_up = port is not None and not port.state & PortState.LINK_DOWN
        if port is not None and was_up and not link_up:
            self._lost_links.add(number)
            self._report(LinkLost(self.config.name, int(number), port.name))
        elif port is not None and link_up and number in self._lost_links:
            self._lost_links.remove(number)
            self._report(LinkBack(self.config.name, int(number), port.name))
        self.bridge.link_changed(number, link_up=link_up, mac=mac)

    def _tell_neighbour(self, told: TellNeighbour | TellRefused) -> None:
        port = self.bridge.ports.get(told.port)
        where = (self.config.name, int(told.port), "" if port is None else port.name)
        if isinstance(told, TellRefused):
            self._report(NeighbourRefused(*where, told.reason))
        elif told.is_there:
            self._report(NeighbourFound(*where, told.switch))
        else:
            self._report(NeighbourLost(*where, told.switch, told.reason))

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Pass on what the kernel said, and dial again when it is good news. Ports' links are ``link_changed``'s."""
        if isinstance(event, LinkChanged) and event.index == self._local.index:
            self.bridge.link_changed(LOCAL, link_up=event.up and event.running, mac=event.mac)
        self.bridge.host_event(event)
        match event:
            case AddressChanged(present=True, tentative=False):
                link = self._kernel.link(event.index)
                self.connections.hurry(event.index == self._local.index or self._is_on_the_way(link))
            case LinkChanged() if self._came_up(event):
                self.connections.hurry(self._is_on_the_way(event))
            case LinkRemoved():
                self._running.discard((event.index, event.name))
            case NeighbourChanged() | NextHopFound() | RoutesChanged():
                self.connections.hurry_where_the_way_is_new()
            case AddressChanged() | LinkChanged() | Resynchronised():  # no reason to dial
                pass
            case _:
                assert_never(event)

    def _came_up(self, event: LinkChanged) -> bool:
        link = (event.index, event.name)
        was_running = link in self._running
        (self._running.add if event.running else self._running.discard)(link)
        return event.running and not was_running

    def _is_on_the_way(self, link: LinkChanged | None) -> bool:
        """Whether in-band control may go by an interface: the switch's own are its way, all of its bridges'."""
        return link is not None and self._is_own_interface(link.name)

    # --- what people ask --------------------------------------------------------------------------------------------

    def status(self) -> BridgeStatus:
        """What it is like now."""
        bridge, connections = self.bridge, self.connections
        return BridgeStatus(
            name=bridge.name,
            datapath=bridge.datapath.kind,
            datapath_id=bridge.agent.switch.identity.datapath_id,
            forwarding=connections.fail_mode.forwarding,
            ports=tuple(bridge.ports),
            vlans={**bridge.ports.memberships, **self._vlan_of_local()},
            tree=bridge.tree.status(),
            loops=tuple(sorted(self.loops())),
            outgoing=self.outgoing(),
            listeners=self.listeners(),
            in_band=bridge.in_band.status(),
            counters=self.counters(),
        )

    def _vlan_of_local(self) -> dict[PortNo, VlanMembership]:
        vlan = self.config.control_vlan
        return {} if vlan is None else {LOCAL: VlanMembership(VlanMode.ACCESS, vlan)}

    def outgoing(self) -> tuple[OutgoingStatus, ...]:
        """The controllers that are dialled."""
        return tuple(self._outgoing_status(each) for each in self.connections.outgoing)

    def listeners(self) -> tuple[ListenerStatus, ...]:
        """The places where controllers may call."""
        return tuple(ListenerStatus(each.target, each.has_sessions) for each in self.connections.listeners)

    def counters(self) -> dict[str, int]:
        """Every named counter, by name."""
        bridge = self.bridge
        values = {**bridge.datapath.counters(), **bridge.pipeline.counters, **bridge.counters.values}
        return dict(sorted((values | self.connections.counters() | {"megaflows": len(bridge.megaflows)}).items()))

    def _outgoing_status(self, outgoing: OutgoingConnection) -> OutgoingStatus:
        reconnect, channel = outgoing.reconnect, outgoing.channel
        session = self.bridge.agent.switch.connections.get(channel.number) if channel else None
        return OutgoingStatus(
            target=outgoing.target,
            state=reconnect.state,
            is_connected=reconnect.is_connected,
            role=session.role if session else None,
            version=session.version if session else None,
            since=None if reconnect.state is State.VOID else reconnect.since,
            last_error=reconnect.last_error,
            last_error_at=reconnect.last_error_at,
            next_try=reconnect.next_deadline() if reconnect.state is State.BACKOFF else None,
            address=outgoing.address if reconnect.is_connected else None,
            addresses=outgoing.addresses,
            failures=outgoing.failures,
        )

    # --- time (switch.driver.Driven) --------------------------------------------------------------------------------

    def send(self) -> None:
        """Send what waits for peers."""
        self.connections.send()

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return earliest(self.bridge.next_deadline(), self.connections.next_deadline())

    def run(self) -> None:
        """Do what is due."""
        self.bridge.run()
        self.connections.run()


def _is_manager(remote: ev.Remote) -> bool:
    return remote.kind is ev.RemoteKind.MANAGER


def _in_order(remote: ev.Remote) -> tuple[bool, int, int, int]:
    """Controllers first. Hashes of addresses differ from process to process; what is done in their order would, too."""
    return _is_manager(remote), remote.address.version, int(remote.address), remote.port


def _portion(remotes: deque[ev.Remote]) -> list[ev.Remote]:
    return [remotes.popleft() for _ in range(min(REMOTES_AT_ONCE, len(remotes)))]
