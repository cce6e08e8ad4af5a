"""The in-band engine: from what happens to the hidden flows that keep the control channel up.

``handle(event, now)`` returns commands and ``next_deadline()`` says when to call again with TimePassed; there is no
socket, no table and no clock here, so a year of a network's life can be played in a second.

An event changes what is known of the local port (here), of the destinations (``destinations``) or of their next hops
(``address_resolution``). Each of them adds and drops reasons for rules, and at the end of the event the rules whose
wanting differs from what is installed are the commands (``rule_set``). The cost of an event is in proportion to the
reasons that it changes.

Invariant, tested with random events: the rules that are installed when the commands are carried out always equal
``rules.wanted`` of the current state, computed from nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from typing import assert_never

from inband.control import events as ev
from inband.control import rules
from inband.control.address_resolution import AddressResolution
from inband.control.destinations import Destinations, RemoteStatus
from inband.control.neighbour_needs import NeighbourNeeds
from inband.control.next_hop import Hop, HopKey
from inband.control.rule_set import RuleSet
from inband.control.rules import InBandRule, State
from inband.flow.actions import Instruction
from inband.host.events import NeighbourChanged, NextHopFound, RoutesChanged
from inband.host.state import KernelState
from inband.vocabulary.addresses import AddressKey, IpAddress, Mac, address_key
from inband.vocabulary.instant import Instant, earliest


class Engine:
    """In-band control of one bridge.

    ``kernel`` is what the kernel has said, the present event included. ``installed`` is a live view of the rules that
    the bridge's table has: who carries the commands out keeps it true.
    """

    def __init__(self, kernel: KernelState, installed: Container[InBandRule]) -> None:
        self._queue: int | None = None
        self._local_mac: Mac | None = None
        self._local_addresses: frozenset[IpAddress] = frozenset()
        self._has_ipv6_address = False
        self._ipv6_mac: Mac | None = None  # the MAC that IPv6's rules per bridge are wanted for
        self._commands: list[ev.Command] = []
        self._rule_set = RuleSet(installed)
        self._resolution = AddressResolution(kernel, self._rule_set, self._commands)
        self._destinations = Destinations(self._rule_set, self._resolution, self._commands)
        ports = self._destinations.port_users
        self._neighbours = NeighbourNeeds(self._rule_set, self._resolution, kernel, ports, self._commands)

    # --- what the outside calls ---------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: Instant) -> list[ev.Command]:
        """Take one event; returns what to do, in this order: installs, questions, removals.

        What is carried out at all is carried out before the next event. A rule whose command failed is in the commands
        of the next event again; removals come last because nothing waits for them if one fails.
        """
        match event:  # the most frequent first
            case ev.TimePassed():
                self._resolution.time_passed(now)
                self._destinations.time_passed(now)
            case NeighbourChanged():
                self._destinations.neighbour_changed(event, now)
            case RoutesChanged():
                self._destinations.routes_changed(event)
                self._neighbours.routes_changed(event)
            case NextHopFound():
                self._destinations.next_hop_found(event, now)
                self._neighbours.next_hop_found(event, now)
            case ev.RemotesChanged() | ev.ServersChanged():
                self._remotes_changed(event, now)
            case ev.NeighboursNeed():
                self._neighbours.follow(event)
            case ev.ControlVlanChanged(vlan):
                self._rule_set.vlan = vlan
            case ev.InBandEnabled() | ev.QueueChanged() | ev.LocalMacChanged() | ev.LocalAddressesChanged():
                self._bridge_changed(event)
            case ev.NetworksChanged(networks):
                self._destinations.set_networks(networks)
            case ev.LocalAddressReady(version):
                self._resolution.ask_anew(version, now)
            case ev.PlaceLost(mac):
                self._resolution.place_lost(mac, now)
            case ev.ChannelSilent(address):
                self._destinations.suspect(address, now)
            case ev.ChannelAlive(address):
                self._destinations.trust(address)
            case _:
                assert_never(event)
        return self._take_commands()

    def next_deadline(self) -> Instant | None:
        """When TimePassed is due; None when nothing is planned."""
        return earliest(self._destinations.next_deadline(), self._resolution.next_deadline())

    @property
    def state(self) -> State:
        """What decides the rules, for ``rules.wanted`` (tests) and for people."""
        hops = list(self._resolution.hops)
        return State(
            enabled=self._rule_set.enabled,
            local_mac=self._local_mac,
            endpoints=frozenset(self._destinations.endpoints),
            hops=frozenset(hop.address for hop in hops),
            hop_macs=frozenset((hop.address.version, hop.mac) for hop in hops if hop.mac),
            local_addresses=self._local_addresses,
            servers=self._destinations.server_addresses,
            networks=self._destinations.networks,
            vlan=self._rule_set.vlan,
            neighbours_endpoints=self._neighbours.endpoints,
            neighbours_hops=frozenset(self._neighbours.hops),
            clients=self._neighbours.clients,
            neighbours_servers=self._neighbours.servers,
        )

    @property
    def rules(self) -> frozenset[InBandRule]:
        """The rules that are wanted: those that are installed, unless a command failed."""
        return frozenset(self._rule_set.wanted)

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """What every rule does at the moment."""
        return rules.instructions(self._queue)

    @property
    def is_enabled(self) -> bool:
        """Whether in-band control is on."""
        return self._rule_set.enabled

    @property
    def uses_ipv6(self) -> bool:
        """Whether the local port has an IPv6 address or a remote is one; costs nothing, unlike ``state``."""
        return self._has_ipv6_address or self._destinations.uses_ipv6

    @property
    def queue(self) -> int | None:
        """The queue of control traffic."""
        return self._queue

    @property
    def vlan(self) -> int | None:
        """The VLAN of control traffic, None for untagged."""
        return self._rule_set.vlan

    @property
    def local_mac(self) -> Mac | None:
        """The local port's MAC address as the rules have it."""
        return self._local_mac

    @property
    def ports(self) -> frozenset[int]:
        """Every protected port, there or here, and DNS's with servers; the same object until it changes."""
        return self._destinations.ports

    @property
    def urgent_hops(self) -> frozenset[HopKey]:
        """The next hops that controllers and DNS servers need; the same object until it changes."""
        return self._resolution.urgent

    @property
    def hops(self) -> Mapping[AddressKey, Hop]:
        """A live view of the next hops in use, each by its IP address."""
        return self._resolution.by_address

    def next_hop_of(self, address: IpAddress) -> tuple[IpAddress, Mac] | None:
        """The next hop of a remote, when its MAC is known."""
        return self._destinations.next_hop_of(address)

    @property
    def neighbours_hops(self) -> Collection[IpAddress]:
        """The next hops of neighbours."""
        return self._neighbours.hops

    def hops_towards(self, address: IpAddress) -> Collection[IpAddress]:
        """The next hops by which a remote may be reached: of a neighbour's all that neighbours have, for it has one."""
        if address_key(address) in self._neighbours.addresses and not self._destinations.has(address):
            return self._neighbours.hops
        own = self.next_hop_of(address)
        return () if own is None else (own[0],)

    def remotes(self) -> Iterator[RemoteStatus]:
        """Every remote with its next hop, for ``show``."""
        return self._destinations.remotes()

    def servers(self) -> Iterator[RemoteStatus]:
        """Every DNS server with its next hop, for ``show``."""
        return self._destinations.servers()

    def _remotes_changed(self, event: ev.RemotesChanged | ev.ServersChanged, now: Instant) -> None:
        if isinstance(event, ev.ServersChanged):
            self._destinations.set_servers(event.servers, now)
        else:
            self._destinations.add(event.added, now)
            self._destinations.remove(event.removed)
        self._follow_ipv6()

    # --- the local port and the queue ---------------------------------------------------------------------------

    def _bridge_changed(
        self, event: ev.InBandEnabled | ev.QueueChanged | ev.LocalMacChanged | ev.LocalAddressesChanged
    ) -> None:
        match event:
            case ev.InBandEnabled(enabled):
                self._rule_set.enabled = enabled
            case ev.QueueChanged(queue):
                self._set_queue(queue)
            case ev.LocalMacChanged(mac):
                self._set_local_mac(mac or None)
            case ev.LocalAddressesChanged(addresses):
                self._set_local_addresses(addresses)
            case _:
                assert_never(event)

    def _set_queue(self, queue: int | None) -> None:
        """Give every rule its other actions in place."""
        if queue == self._queue:
            return
        self._queue = queue
        if wanted := self._rule_set.wanted:
            self._commands.append(ev.InstallRules(wanted, self.instructions))

    def _set_local_mac(self, mac: Mac | None) -> None:
        if mac == self._local_mac:
            return
        if mac is not None:
            self._rule_set.want(rules.for_bridge(mac, 4))
        if self._local_mac is not None:
            self._rule_set.unwant(rules.for_bridge(self._local_mac, 4))
        self._local_mac = mac
        self._follow_ipv6()

    def _set_local_addresses(self, addresses: frozenset[IpAddress]) -> None:
        addresses = frozenset(address for address in addresses if rules.needs_rules(address))
        before, self._local_addresses = self._local_addresses, addresses
        self._has_ipv6_address = any(address.version == 6 for address in addresses)
        for address in addresses - before:
            self._rule_set.want(rules.for_local_address(address))
        for address in before - addresses:
            self._rule_set.unwant(rules.for_local_address(address))
        self._follow_ipv6()

    def _follow_ipv6(self) -> None:
        """Have the bridge's rules of IPv6 while IPv6 is in use."""
        mac = self._local_mac if self.uses_ipv6 else None
        if mac == self._ipv6_mac:
            return
        if mac is not None:
            self._rule_set.want(rules.for_bridge(mac, 6))
        if self._ipv6_mac is not None:
            self._rule_set.unwant(rules.for_bridge(self._ipv6_mac, 6))
        self._ipv6_mac = mac

    # --- commands -----------------------------------------------------------------------------------------------

    def _take_commands(self) -> list[ev.Command]:
        """What the event came to: make before break, and nothing for what stays."""
        installs, removals = self._rule_set.settle()
        commands: list[ev.Command] = []
        if installs:
            commands.append(ev.InstallRules(installs, self.instructions))
        commands += self._commands
        if removals:
            commands.append(ev.RemoveRules(removals))
        self._commands.clear()
        return commands
