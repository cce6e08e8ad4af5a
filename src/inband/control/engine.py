"""The in-band engine: from what happens to the hidden flows that keep the control channel up.

``handle(event, now)`` returns commands and ``next_deadline()`` says when to call again with TimePassed; there is no
socket, no table and no clock here, so a year of a network's life can be played in a second.

How it works: every rule has a count of the reasons for it (two remotes behind one gateway are two reasons for its
(d) and (e)). An event adds and drops reasons; at the end of the event the rules whose count left or reached zero are
the difference. Installs are said before removals, and a rule with a reason before and after is never mentioned, so
there is no moment without it. The cost of an event is proportional to the reasons it changes.

What must stay true, and is tested with random events: the rules said to be installed always equal ``rules.wanted`` of
the current state, computed from nothing.

A remote keeps its previous next hop until the MAC of the new one is known: rules that might still work are not
given up for rules that cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import assert_never

from inband.control import events as ev
from inband.control import rules as letters
from inband.control.next_hop import HOLD_S, Agenda, Hop, HopKey
from inband.control.rules import InBandRule, State
from inband.flow.actions import Instruction
from inband.host.events import NeighbourChanged, NextHop, NextHopFound, RoutesChanged
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import DNS_PORT


@dataclass(slots=True, eq=False)
class _Destination:
    """One remote address: its endpoints, the next hop in use, and the previous one while that is still needed.

    A DNS server is one too, with or without endpoints.
    """

    address: IpAddress
    endpoints: dict[int, set[ev.RemoteKind]] = field(default_factory=dict)
    is_server: bool = False
    hop: Hop | None = None
    previous: Hop | None = None
    previous_until: Instant = 0.0

    @property
    def urgent(self) -> bool:
        return self.is_server or any(ev.RemoteKind.CONTROLLER in kinds for kinds in self.endpoints.values())


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """What ``show`` says of one remote. ``resolved_at`` is when its next hop's MAC was last learned."""

    address: IpAddress
    port: int
    kinds: tuple[str, ...]
    next_hop: IpAddress | None
    next_hop_mac: Mac | None
    interface: str | None
    resolved_at: Instant | None


class Engine:
    """In-band control of one bridge."""

    def __init__(self) -> None:
        self._enabled = False
        self._queue: int | None = None
        self._local_mac: Mac | None = None
        self._local_addresses: frozenset[IPv6Address] = frozenset()
        self._port_users: dict[int, int] = {}
        self._tcp_ports: frozenset[int] = frozenset()
        self._ipv6_endpoints = 0
        self._ipv6_mac: Mac | None = None  # the MAC that IPv6's (a), (b), (c) are wanted for
        self._destinations: dict[IpAddress, _Destination] = {}
        self._servers: frozenset[IpAddress] = frozenset()
        self._hops: dict[HopKey, Hop] = {}
        self._waiting: dict[HopKey, set[_Destination]] = {}
        self._neighbours: dict[HopKey, Mac] = {}
        self._agenda = Agenda()
        self._reasons: dict[InBandRule, int] = {}
        self._touched: dict[InBandRule, None] = {}
        self._installed: dict[InBandRule, None] = {}
        self._leaving: set[InBandRule] = set()
        self._commands: list[ev.Command] = []
        self._held: dict[_Destination, None] = {}

    # --- what the outside calls ---------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: Instant) -> list[ev.Command]:
        """Take one event; returns what to do, in this order: installs, removals, questions."""
        match event:
            case ev.RemotesChanged():
                self._remotes_changed(event, now)
            case ev.ServersChanged():
                self._set_servers(event.servers, now)
            case ev.InBandEnabled():
                self._set_enabled(event.enabled)
            case ev.QueueChanged():
                self._set_queue(event.queue)
            case ev.LocalMacChanged():
                self._set_local_mac(event.mac or None)
            case ev.LocalAddressesChanged():
                self._set_local_addresses(event.addresses)
            case ev.LocalAddressReady():
                self._ask_anew(event.version, now)
            case ev.FlowsLost():
                self._installed.clear()
                self._leaving.clear()
                self._touched.update(dict.fromkeys(self._reasons))
            case ev.RulesRemoved():
                self._confirm_removed(event.rules)
            case ev.ChannelSilent():
                self._suspect(event.address, now)
            case ev.ChannelAlive():
                self._trust(event.address)
            case ev.TimePassed():
                self._time_passed(now)
            case NeighbourChanged():
                self._neighbour_changed(event, now)
            case RoutesChanged():
                self._routes_changed(event)
            case NextHopFound():
                self._next_hop_found(event, now)
            case _:
                assert_never(event)
        return self._settle()

    def next_deadline(self) -> Instant | None:
        """When TimePassed is due; None when nothing is planned."""
        held = min((destination.previous_until for destination in self._held), default=None)
        asked = self._agenda.next_deadline()
        return min((due for due in (held, asked) if due is not None), default=None)

    @property
    def state(self) -> State:
        """What decides the rules, for ``rules.wanted`` (tests) and for people."""
        return State(
            enabled=self._enabled,
            local_mac=self._local_mac,
            endpoints=frozenset((d.address, port) for d in self._destinations.values() for port in d.endpoints),
            hops=frozenset(hop.address for hop in self._hops.values()),
            hop_macs=frozenset((hop.address.version, hop.mac) for hop in self._hops.values() if hop.mac),
            local_addresses=self._local_addresses,
            servers=self._servers,
        )

    @property
    def rules(self) -> frozenset[InBandRule]:
        """The rules that were said to be installed and not yet said to be removed."""
        return frozenset(rule for rule in self._installed if rule not in self._leaving)

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """What every rule does at the moment."""
        return letters.instructions(self._queue)

    @property
    def is_enabled(self) -> bool:
        """Whether in-band control is on."""
        return self._enabled

    @property
    def uses_ipv6(self) -> bool:
        """Whether the local port has an IPv6 address or a remote is one; costs nothing, unlike ``state``."""
        return bool(self._local_addresses) or self._ipv6_endpoints > 0

    @property
    def queue(self) -> int | None:
        """The queue of control traffic."""
        return self._queue

    @property
    def local_mac(self) -> Mac | None:
        """The local port's MAC address as the rules have it."""
        return self._local_mac

    @property
    def tcp_ports(self) -> frozenset[int]:
        """Every remote's TCP port, and DNS's with servers; the same object until it changes."""
        return self._tcp_ports

    def next_hop_of(self, address: IpAddress) -> tuple[IpAddress, Mac] | None:
        """The next hop of a remote, when its MAC is known."""
        destination = self._destinations.get(address)
        hop = destination.hop if destination else None
        return (hop.address, hop.mac) if hop is not None and hop.mac is not None else None

    def remotes(self) -> Iterator[RemoteStatus]:
        """Every remote with its next hop, for ``show``."""
        for destination in self._destinations.values():
            for port, kinds in destination.endpoints.items():
                yield _status(destination, port, tuple(sorted(kind.value for kind in kinds)))

    def servers(self) -> Iterator[RemoteStatus]:
        """Every DNS server with its next hop, for ``show``."""
        for address in self._servers:
            yield _status(self._destinations[address], DNS_PORT, ("dns server",))

    # --- remotes ------------------------------------------------------------------------------------------------

    def _remotes_changed(self, event: ev.RemotesChanged, now: Instant) -> None:
        for remote in event.added:
            if letters.needs_rules(remote.address):
                self._add_remote(remote, now)
        for remote in event.removed:
            self._remove_remote(remote)

    def _add_remote(self, remote: ev.Remote, now: Instant) -> None:
        destination = self._destination(remote.address)
        was_urgent = destination.urgent
        if remote.port not in destination.endpoints:
            destination.endpoints[remote.port] = set()
            self._want(letters.for_endpoint(remote.address, remote.port))
            self._count_endpoint(remote.address, remote.port, 1)
        destination.endpoints[remote.port].add(remote.kind)
        self._urgency_changed(destination, was_urgent, now)

    def _remove_remote(self, remote: ev.Remote) -> None:
        destination = self._destinations.get(remote.address)
        kinds = destination.endpoints.get(remote.port) if destination else None
        if destination is None or kinds is None or remote.kind not in kinds:
            return
        was_urgent = destination.urgent
        kinds.discard(remote.kind)
        if not kinds:
            del destination.endpoints[remote.port]
            self._unwant(letters.for_endpoint(remote.address, remote.port))
            self._count_endpoint(remote.address, remote.port, -1)
        self._urgency_changed(destination, was_urgent, 0.0)
        self._forget_if_unused(destination)

    def _set_servers(self, servers: frozenset[IpAddress], now: Instant) -> None:
        servers = frozenset(address for address in servers if letters.needs_rules(address))
        before, self._servers = self._servers, servers
        for address in servers - before:
            self._want(letters.for_server(address))
            self._set_server(self._destination(address), True, now)
        for address in before - servers:
            self._unwant(letters.for_server(address))
            self._set_server(self._destinations[address], False, now)
            self._forget_if_unused(self._destinations[address])

    def _set_server(self, destination: _Destination, is_server: bool, now: Instant) -> None:
        was_urgent, destination.is_server = destination.urgent, is_server
        self._urgency_changed(destination, was_urgent, now)
        self._count_endpoint(destination.address, DNS_PORT, 1 if is_server else -1)

    def _destination(self, address: IpAddress) -> _Destination:
        destination = self._destinations.get(address)
        if destination is None:
            destination = self._destinations[address] = _Destination(address)
            self._want(letters.for_address(address))
            self._commands.append(ev.LookUpNextHop(address))
        return destination

    def _count_endpoint(self, address: IpAddress, port: int, change: int) -> None:
        users = self._port_users.get(port, 0)
        self._port_users[port] = users + change
        if users + change == 0:
            del self._port_users[port]
        if 0 in (users, users + change):
            self._tcp_ports = frozenset(self._port_users)
        if address.version == 6:
            self._ipv6_endpoints += change
            self._follow_ipv6()

    def _forget_if_unused(self, destination: _Destination) -> None:
        if destination.endpoints or destination.is_server:
            return
        self._release_previous(destination)
        self._release(destination.hop, urgent=False)
        self._stop_waiting(destination)
        destination.hop = None
        del self._destinations[destination.address]
        self._unwant(letters.for_address(destination.address))

    def _urgency_changed(self, destination: _Destination, was_urgent: bool, now: Instant) -> None:
        if destination.urgent == was_urgent:
            return
        for hop in (destination.hop, destination.previous):
            if hop is not None:
                hop.urgent_users += 1 if destination.urgent else -1
        hop = destination.hop
        if destination.urgent and hop is not None and not hop.resolved:
            self._agenda.ask_soon(hop, now)

    # --- next hops ----------------------------------------------------------------------------------------------

    def _routes_changed(self, event: RoutesChanged) -> None:
        for address in self._destinations:
            if event.destination is None or address in event.destination:
                self._commands.append(ev.LookUpNextHop(address))

    def _next_hop_found(self, event: NextHopFound, now: Instant) -> None:
        destination = self._destinations.get(event.destination)
        if destination is None:
            return
        old, found = destination.hop, event.next_hop
        if old is not None and found is not None and old.key == (found.index, found.address):
            return
        if old is None and found is None:
            return
        self._stop_waiting(destination)
        destination.hop = self._acquire(found, destination.urgent, now) if found else None
        self._keep_as_previous(destination, old, now)
        self._previous_is_obsolete(destination)

    def _keep_as_previous(self, destination: _Destination, old: Hop | None, now: Instant) -> None:
        """Hold on to the hop that was in use: the newest one whose MAC is known."""
        if old is None:
            return
        if old.mac is None and destination.previous is not None:
            self._release(old, urgent=destination.urgent)
            return
        self._release_previous(destination)
        destination.previous = old
        destination.previous_until = now + HOLD_S
        self._held[destination] = None

    def _previous_is_obsolete(self, destination: _Destination) -> None:
        """Let the previous hop go when the present one's MAC is known; wait for that otherwise."""
        hop = destination.hop
        if hop is None:
            return
        if hop.mac is not None:
            self._release_previous(destination)
        elif destination.previous is not None:
            self._waiting.setdefault(hop.key, set()).add(destination)

    def _acquire(self, found: NextHop, urgent: bool, now: Instant) -> Hop:
        key = (found.index, found.address)
        hop = self._hops.get(key)
        if hop is None:
            hop = self._hops[key] = Hop(found.index, found.interface, found.address)
            self._want(letters.for_address(hop.address))
            self._set_hop_mac(hop, self._neighbours.get(key), now)
        hop.users += 1
        was_urgent = hop.urgent
        hop.urgent_users += urgent
        if not hop.resolved and (hop.ask_at is None or (hop.urgent and not was_urgent)):
            self._agenda.ask_soon(hop, now)
            self._ask_if_due(hop, now)
        return hop

    def _release(self, hop: Hop | None, *, urgent: bool) -> None:
        if hop is None:
            return
        hop.users -= 1
        hop.urgent_users -= urgent
        if hop.users:
            return
        del self._hops[hop.key]
        self._unwant(letters.for_address(hop.address))
        if hop.mac is not None:
            self._unwant(letters.for_hop_mac(hop.mac, hop.address.version))

    def _release_previous(self, destination: _Destination) -> None:
        self._release(destination.previous, urgent=destination.urgent)
        destination.previous = None
        self._held.pop(destination, None)

    def _stop_waiting(self, destination: _Destination) -> None:
        if destination.hop is not None and (waiting := self._waiting.get(destination.hop.key)):
            waiting.discard(destination)

    def _neighbour_changed(self, event: NeighbourChanged, now: Instant) -> None:
        key, mac = (event.index, event.address), event.mac or None
        if mac is None:
            self._neighbours.pop(key, None)
        else:
            self._neighbours[key] = mac
        hop = self._hops.get(key)
        if hop is None:
            return
        if mac is not None:
            self._set_hop_mac(hop, mac, now)
        elif hop.resolved:
            hop.resolved = False
            self._agenda.hold(hop, now)
            self._agenda.ask_soon(hop, now)
            self._ask_if_due(hop, now)

    def _set_hop_mac(self, hop: Hop, mac: Mac | None, now: Instant) -> None:
        """The MAC of a hop is known now: rules for it first, then without the old one."""
        if mac is None:
            return
        hop.resolved, hop.hold_until = True, None
        if not hop.suspected:
            self._agenda.stop_asking(hop)
        if mac != hop.mac:
            self._want(letters.for_hop_mac(mac, hop.address.version))
            if hop.mac is not None:
                self._unwant(letters.for_hop_mac(hop.mac, hop.address.version))
            hop.mac, hop.resolved_at = mac, now
        for destination in self._waiting.pop(hop.key, set()):
            self._release_previous(destination)

    # --- asking -------------------------------------------------------------------------------------------------

    def _suspect(self, address: IpAddress, now: Instant) -> None:
        destination = self._destinations.get(address)
        if destination is None:
            return
        self._commands.append(ev.LookUpNextHop(address))
        hop = destination.hop
        if hop is not None and not hop.suspected:
            hop.suspected = True
            self._agenda.ask_soon(hop, now)
            self._ask_if_due(hop, now)

    def _trust(self, address: IpAddress) -> None:
        destination = self._destinations.get(address)
        hop = destination.hop if destination else None
        if hop is not None and hop.suspected:
            hop.suspected = False
            if hop.resolved:
                self._agenda.stop_asking(hop)

    def _ask_anew(self, version: int, now: Instant) -> None:
        """Ask at once for what controllers wait for: so far there was no address to ask from."""
        for hop in self._hops.values():
            if hop.urgent and not hop.resolved and hop.address.version == version:
                self._agenda.ask_soon(hop, now)
                hop.questions = 1  # the kernel's own question waits for its timer, so one of ours goes too
                self._ask_if_due(hop, now)

    def _time_passed(self, now: Instant) -> None:
        for hop in self._agenda.due(now):
            if hop.hold_until is not None and hop.hold_until <= now:
                self._hold_expired(hop)
            self._ask_if_due(hop, now)
        for destination in [d for d in self._held if d.previous_until <= now]:
            self._stop_waiting(destination)
            self._release_previous(destination)

    def _hold_expired(self, hop: Hop) -> None:
        hop.hold_until = None
        if hop.mac is not None:
            self._unwant(letters.for_hop_mac(hop.mac, hop.address.version))
            hop.mac = None

    def _ask_if_due(self, hop: Hop, now: Instant) -> None:
        if hop.ask_at is None or hop.ask_at > now:
            return
        if not hop.resolved:
            self._commands.append(ev.SolicitNeighbour(hop.index, hop.address))
        if hop.resolved or hop.questions:
            # The kernel sends the first question itself, and no second one before its own timer.
            self._commands.append(ev.ProbeNeighbour(hop.index, hop.address))
        self._agenda.ask_again(hop, now)

    # --- rules --------------------------------------------------------------------------------------------------

    def _set_enabled(self, enabled: bool) -> None:
        if enabled != self._enabled:
            self._enabled = enabled
            self._touched.update(dict.fromkeys(self._reasons))

    def _set_queue(self, queue: int | None) -> None:
        if queue == self._queue:
            return
        self._queue = queue
        if self._installed:
            self._commands.append(ev.InstallRules(tuple(self.rules), self.instructions))

    def _set_local_mac(self, mac: Mac | None) -> None:
        if mac == self._local_mac:
            return
        if mac is not None:
            self._want(letters.for_bridge(mac, 4))
        if self._local_mac is not None:
            self._unwant(letters.for_bridge(self._local_mac, 4))
        self._local_mac = mac
        self._follow_ipv6()

    def _set_local_addresses(self, addresses: frozenset[IPv6Address]) -> None:
        before, self._local_addresses = self._local_addresses, addresses
        for address in addresses - before:
            self._want(letters.for_local_address(address))
        for address in before - addresses:
            self._unwant(letters.for_local_address(address))
        self._follow_ipv6()

    def _follow_ipv6(self) -> None:
        """Have the bridge's rules of IPv6 while somebody uses it."""
        mac = self._local_mac if self.uses_ipv6 else None
        if mac == self._ipv6_mac:
            return
        if mac is not None:
            self._want(letters.for_bridge(mac, 6))
        if self._ipv6_mac is not None:
            self._unwant(letters.for_bridge(self._ipv6_mac, 6))
        self._ipv6_mac = mac

    def _confirm_removed(self, rules: frozenset[InBandRule]) -> None:
        for rule in rules & self._leaving:
            self._leaving.discard(rule)
            self._installed.pop(rule, None)

    def _want(self, rules: Iterable[InBandRule]) -> None:
        for rule in rules:
            self._reasons[rule] = self._reasons.get(rule, 0) + 1
            self._touched[rule] = None

    def _unwant(self, rules: Iterable[InBandRule]) -> None:
        for rule in rules:
            left = self._reasons[rule] - 1
            if left:
                self._reasons[rule] = left
            else:
                del self._reasons[rule]
            self._touched[rule] = None

    def _settle(self) -> list[ev.Command]:
        """Turn what the event touched into commands: make before break, and nothing for what stays."""
        installs: list[InBandRule] = []
        removals: list[InBandRule] = []
        for rule in self._touched:
            is_wanted = self._enabled and rule in self._reasons
            is_there = rule in self._installed and rule not in self._leaving
            if is_wanted and not is_there:
                installs.append(rule)
                self._installed[rule] = None
                self._leaving.discard(rule)
            elif is_there and not is_wanted:
                removals.append(rule)
                self._leaving.add(rule)
        self._touched.clear()
        commands: list[ev.Command] = []
        if installs:
            commands.append(ev.InstallRules(tuple(installs), self.instructions))
        if removals:
            commands.append(ev.RemoveRules(tuple(removals)))
        commands += self._commands
        self._commands = []
        return commands


def _status(destination: _Destination, port: int, kinds: tuple[str, ...]) -> RemoteStatus:
    hop = destination.hop or destination.previous
    return RemoteStatus(
        destination.address,
        port,
        kinds,
        hop.address if hop else None,
        hop.mac if hop else None,
        hop.interface if hop else None,
        hop.resolved_at if hop else None,
    )
