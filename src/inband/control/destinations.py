"""The destinations of control traffic, which are remotes and DNS servers, and the next hop of each.

A destination is an IP address with its endpoints, the next hop in use, and the previous one while it is still needed:
rules that might still work are not given up for rules that cannot. So the previous next hop is kept until the MAC
address of the new one is known, or for a bounded time.

Controllers and DNS servers are *urgent*: the switch itself speaks to them first. Work per event is in proportion to the
destinations that it names, for a changed route to all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from inband.control import events as ev
from inband.control import rules
from inband.control.address_resolution import AddressResolution
from inband.control.next_hop import HOLD_S, Hop
from inband.control.rule_set import RuleSet
from inband.host.events import NeighbourChanged, NextHopFound, RoutesChanged
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import DNS_PORT


@dataclass(slots=True, eq=False)
class _Destination:
    """One address: its endpoints by TCP port, whether it is a DNS server, and its next hops."""

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


class Destinations:
    """Remotes and DNS servers. Rules go to ``rule_set``, questions for routes to ``commands``."""

    def __init__(self, rule_set: RuleSet, resolution: AddressResolution, commands: list[ev.Command]) -> None:
        self._rule_set = rule_set
        self._resolution = resolution
        self._commands = commands
        self._destinations: dict[IpAddress, _Destination] = {}
        self._servers: frozenset[IpAddress] = frozenset()
        self._port_users: dict[int, int] = {}
        self._tcp_ports: frozenset[int] = frozenset()
        self._ipv6_endpoints = 0
        self._waiting: dict[Hop, set[_Destination]] = {}  # for a MAC address, to let the previous hop go
        self._held: dict[_Destination, None] = {}  # those with a previous hop

    @property
    def endpoints(self) -> Iterator[tuple[IpAddress, int]]:
        """(address, TCP port) of every remote."""
        return ((d.address, port) for d in self._destinations.values() for port in d.endpoints)

    @property
    def server_addresses(self) -> frozenset[IpAddress]:
        """The DNS servers that rules exist for."""
        return self._servers

    @property
    def tcp_ports(self) -> frozenset[int]:
        """Every remote's TCP port, and DNS's with servers; the same object until it changes."""
        return self._tcp_ports

    @property
    def uses_ipv6(self) -> bool:
        """Whether a remote or server has an IPv6 address."""
        return self._ipv6_endpoints > 0

    def next_hop_of(self, address: IpAddress) -> tuple[IpAddress, Mac] | None:
        """The next hop of a destination, when its MAC is known."""
        hop = self._hop_of(address)
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

    # --- which there are ----------------------------------------------------------------------------------------

    def add(self, remotes: Iterable[ev.Remote], now: Instant) -> None:
        """Protect these remotes; those that no wire carries are left out."""
        for remote in remotes:
            if rules.needs_rules(remote.address):
                self._add(remote, now)

    def remove(self, remotes: Iterable[ev.Remote]) -> None:
        """Protect these no longer; unknown ones are ignored."""
        for remote in remotes:
            self._remove(remote)

    def set_servers(self, servers: frozenset[IpAddress], now: Instant) -> None:
        """Protect the way to these DNS servers and no others."""
        servers = frozenset(address for address in servers if rules.needs_rules(address))
        before, self._servers = self._servers, servers
        for address in servers - before:
            self._rule_set.want(rules.for_server(address))
            self._set_server(self._destination(address), True, now)
        for address in before - servers:
            self._rule_set.unwant(rules.for_server(address))
            self._set_server(self._destinations[address], False, now)
            self._forget_if_unused(self._destinations[address])

    def _add(self, remote: ev.Remote, now: Instant) -> None:
        destination = self._destination(remote.address)
        was_urgent = destination.urgent
        if remote.port not in destination.endpoints:
            destination.endpoints[remote.port] = set()
            self._rule_set.want(rules.for_endpoint(remote.address, remote.port))
            self._count_endpoint(remote.address, remote.port, 1)
        destination.endpoints[remote.port].add(remote.kind)
        self._urgency_changed(destination, was_urgent, now)

    def _remove(self, remote: ev.Remote) -> None:
        destination = self._destinations.get(remote.address)
        kinds = destination.endpoints.get(remote.port) if destination else None
        if destination is None or kinds is None or remote.kind not in kinds:
            return
        was_urgent = destination.urgent
        kinds.discard(remote.kind)
        if not kinds:
            del destination.endpoints[remote.port]
            self._rule_set.unwant(rules.for_endpoint(remote.address, remote.port))
            self._count_endpoint(remote.address, remote.port, -1)
        self._urgency_changed(destination, was_urgent, 0.0)
        self._forget_if_unused(destination)

    def _set_server(self, destination: _Destination, is_server: bool, now: Instant) -> None:
        was_urgent, destination.is_server = destination.urgent, is_server
        self._urgency_changed(destination, was_urgent, now)
        self._count_endpoint(destination.address, DNS_PORT, 1 if is_server else -1)

    def _destination(self, address: IpAddress) -> _Destination:
        destination = self._destinations.get(address)
        if destination is None:
            destination = self._destinations[address] = _Destination(address)
            self._rule_set.want(rules.for_address(address))
            self._commands.append(ev.LookUpNextHop(address))
        return destination

    def _forget_if_unused(self, destination: _Destination) -> None:
        if destination.endpoints or destination.is_server:
            return
        self._release_previous(destination)
        self._stop_waiting(destination)
        if destination.hop is not None:
            self._resolution.release(destination.hop, urgent=False)
            destination.hop = None
        del self._destinations[destination.address]
        self._rule_set.unwant(rules.for_address(destination.address))

    def _count_endpoint(self, address: IpAddress, port: int, change: int) -> None:
        users = self._port_users.get(port, 0)
        self._port_users[port] = users + change
        if users + change == 0:
            del self._port_users[port]
        if 0 in (users, users + change):
            self._tcp_ports = frozenset(self._port_users)
        if address.version == 6:
            self._ipv6_endpoints += change

    def _urgency_changed(self, destination: _Destination, was_urgent: bool, now: Instant) -> None:
        urgent = destination.urgent
        if urgent == was_urgent:
            return
        for hop in (destination.hop, destination.previous):
            if hop is not None:
                self._resolution.change_urgency(hop, urgent=urgent)
        if urgent and destination.hop is not None:
            self._resolution.ask_if_unresolved(destination.hop, now)

    # --- how they are reached -----------------------------------------------------------------------------------

    def routes_changed(self, event: RoutesChanged) -> None:
        """Ask for the next hop of each destination that the changed route could be for."""
        for address in self._destinations:
            if event.destination is None or address in event.destination:
                self._commands.append(ev.LookUpNextHop(address))

    def next_hop_found(self, event: NextHopFound, now: Instant) -> None:
        """Use this next hop from now on; the kernel has said it."""
        destination = self._destinations.get(event.destination)
        if destination is None:
            return
        old, found = destination.hop, event.next_hop
        if old is not None and found is not None and old.key == (found.index, found.address):
            return
        if old is None and found is None:
            return
        self._stop_waiting(destination)
        destination.hop = self._resolution.acquire(found, now, urgent=destination.urgent) if found else None
        if old is not None:
            self._keep_as_previous(destination, old, now)
        self._previous_is_obsolete(destination)

    def neighbour_changed(self, event: NeighbourChanged, now: Instant) -> None:
        """Take a neighbour entry; who waited for it can give up the previous next hop."""
        resolved = self._resolution.neighbour_changed(event, now)
        if resolved is not None:
            for destination in self._waiting.pop(resolved, ()):
                self._release_previous(destination)

    def suspect(self, address: IpAddress, now: Instant) -> None:
        """The channel to this address is silent: ask for the route and for the next hop."""
        if address in self._destinations:
            self._commands.append(ev.LookUpNextHop(address))
            hop = self._hop_of(address)
            if hop is not None:
                self._resolution.suspect(hop, now)

    def trust(self, address: IpAddress) -> None:
        """The channel to this address works."""
        hop = self._hop_of(address)
        if hop is not None:
            self._resolution.trust(hop)

    def time_passed(self, now: Instant) -> None:
        """Give up the previous next hops whose time is over."""
        for destination in [d for d in self._held if d.previous_until <= now]:
            self._stop_waiting(destination)
            self._release_previous(destination)

    def next_deadline(self) -> Instant | None:
        """When ``time_passed`` has something to do."""
        return min((destination.previous_until for destination in self._held), default=None)

    def _hop_of(self, address: IpAddress) -> Hop | None:
        destination = self._destinations.get(address)
        return destination.hop if destination else None

    def _keep_as_previous(self, destination: _Destination, old: Hop, now: Instant) -> None:
        """Hold on to the hop that was in use: the newest one whose MAC is known."""
        if old.mac is None and destination.previous is not None:
            self._resolution.release(old, urgent=destination.urgent)
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
            self._waiting.setdefault(hop, set()).add(destination)

    def _release_previous(self, destination: _Destination) -> None:
        if destination.previous is not None:
            self._resolution.release(destination.previous, urgent=destination.urgent)
            destination.previous = None
        self._held.pop(destination, None)

    def _stop_waiting(self, destination: _Destination) -> None:
        hop = destination.hop
        if hop is not None and (waiting := self._waiting.get(hop)):
            waiting.discard(destination)
            if not waiting:
                del self._waiting[hop]


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
