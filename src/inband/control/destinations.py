"""The destinations of control traffic, which are remotes and DNS servers, and the next hop of each.

A destination is an IP address with its endpoints, the next hop in use, and the previous one while it is still needed:
rules that might still work are not given up for rules that cannot. So the previous next hop is kept until the MAC
address of the new one is known, or for a bounded time.

A network that calls (managers, by ``from:``) is a destination too. The kernel is asked for the way to its first
address; where that is on-link there is no next hop, for each of its hosts is its own.

Controllers and DNS servers are *urgent*: the switch itself speaks to them first. Work per event is in proportion to the
destinations that it names, for a changed route to all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from inband.control import events as ev
from inband.control import rules
from inband.control.address_resolution import AddressResolution
from inband.control.endpoints import Endpoint, PortUsers, without_scope
from inband.control.next_hop import HOLD_S, Hop
from inband.control.rule_set import RuleSet
from inband.host.events import NeighbourChanged, NextHop, NextHopFound, RoutesChanged
from inband.vocabulary.addresses import IpAddress, IpNetwork, Mac
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import DNS_PORT

_Place = tuple[IpAddress, int | None]
"""A host, or a network with its length."""


@dataclass(slots=True, eq=False)
class _Destination:
    """One address or network: why each endpoint is protected, whether it is a DNS server, and its next hops.

    ``asked`` is the address that the kernel is asked for the way to.
    """

    place: _Place
    asked: IpAddress
    endpoints: dict[Endpoint, set[ev.RemoteKind]] = field(default_factory=dict)
    on_link: str | None = None
    """Of a network without a next hop: the interface it is on."""
    is_server: bool = False
    hop: Hop | None = None
    previous: Hop | None = None
    previous_until: Instant = 0.0

    @property
    def address(self) -> IpAddress:
        return self.place[0]

    @property
    def is_network(self) -> bool:
        return self.place[1] is not None

    @property
    def urgent(self) -> bool:
        return self.is_server or any(kinds - {ev.RemoteKind.MANAGER} for kinds in self.endpoints.values())


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """What ``show`` says of one remote. ``resolved_at`` is when its next hop's MAC was last learned.

    A network that is on-link has an ``interface`` and no next hop.
    """

    endpoint: Endpoint
    kinds: tuple[str, ...]
    next_hop: IpAddress | None
    next_hop_mac: Mac | None
    interface: str | None
    resolved_at: Instant | None

    @property
    def address(self) -> IpAddress:
        """Where it is; of a network the first address."""
        return self.endpoint.address

    @property
    def port(self) -> int:
        """The port there, or here if it calls."""
        return self.endpoint.port

    @property
    def is_on_link(self) -> bool:
        """Whether it is a network each of whose hosts is its own next hop."""
        return self.endpoint.length is not None and self.next_hop is None and self.interface is not None


class Destinations:
    """Remotes and DNS servers. Rules go to ``rule_set``, questions for routes to ``commands``."""

    def __init__(self, rule_set: RuleSet, resolution: AddressResolution, commands: list[ev.Command]) -> None:
        self._rule_set = rule_set
        self._resolution = resolution
        self._commands = commands
        self._destinations: dict[_Place, _Destination] = {}
        self._asking: dict[IpAddress, dict[_Destination, None]] = {}
        self._servers: frozenset[IpAddress] = frozenset()
        self._networks: frozenset[IpNetwork] = frozenset()
        self.port_users = PortUsers()
        self._users = {4: 0, 6: 0}  # endpoints and servers by version of IP
        self._remotes = {4: 0, 6: 0}  # endpoints by version of IP
        self._waiting: dict[Hop, set[_Destination]] = {}  # for a MAC address, to let the previous hop go
        self._held: dict[_Destination, None] = {}  # those with a previous hop

    @property
    def endpoints(self) -> Iterator[Endpoint]:
        """What is protected of every remote."""
        return (endpoint for destination in self._destinations.values() for endpoint in destination.endpoints)

    @property
    def networks(self) -> frozenset[IpNetwork]:
        """The networks of the local ports of all bridges."""
        return self._networks

    @property
    def server_addresses(self) -> frozenset[IpAddress]:
        """The DNS servers that rules exist for."""
        return self._servers

    @property
    def ports(self) -> frozenset[int]:
        """Every protected port, there or here, and DNS's with servers; the same object until it changes."""
        return self.port_users.ports

    @property
    def uses_ipv6(self) -> bool:
        """Whether a remote or server has an IPv6 address."""
        return self._users[6] > 0

    def next_hop_of(self, address: IpAddress) -> tuple[IpAddress, Mac] | None:
        """The next hop of a destination, when its MAC is known."""
        hop = self._hop_of(address)
        return (hop.address, hop.mac) if hop is not None and hop.mac is not None else None

    def has(self, address: IpAddress) -> bool:
        """Whether it is a remote's or a DNS server's."""
        return (address, None) in self._destinations

    def remotes(self) -> Iterator[RemoteStatus]:
        """Every remote with its next hop, for ``show``."""
        for destination in self._destinations.values():
            for endpoint, kinds in destination.endpoints.items():
                yield _status(destination, endpoint, tuple(sorted(kind.value for kind in kinds)))

    def servers(self) -> Iterator[RemoteStatus]:
        """Every DNS server with its next hop, for ``show``."""
        for address in self._servers:
            yield _status(self._destinations[address, None], Endpoint(address, DNS_PORT), ("dns server",))

    # --- which there are ----------------------------------------------------------------------------------------

    def add(self, remotes: Iterable[ev.Remote], now: Instant) -> None:
        """Protect these remotes; those that no wire carries are left out."""
        for remote in remotes:
            if remote.length is not None or rules.needs_rules(remote.address):
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
            self._set_server(self._destination((address, None)), True, now)
        for address in before - servers:
            self._rule_set.unwant(rules.for_server(address))
            self._set_server(self._destinations[address, None], False, now)
            self._forget_if_unused(self._destinations[address, None])

    def set_networks(self, networks: frozenset[IpNetwork]) -> None:
        """Have what is narrow hold in these networks and no others. Work: narrow endpoints times networks."""
        networks = frozenset(network for network in networks if rules.needs_rules(network.network_address))
        before, self._networks = self._networks, networks
        if networks == before:
            return
        narrow = [endpoint for endpoint in self.endpoints if endpoint.is_narrow]
        for change, changed in ((self._rule_set.want, networks - before), (self._rule_set.unwant, before - networks)):
            for endpoint in narrow:
                change(rules.for_endpoint(endpoint, changed))
            for network in changed:
                if self._remotes[network.version]:
                    change(rules.for_network(network))

    def _add(self, remote: ev.Remote, now: Instant) -> None:
        endpoint = remote.endpoint
        destination = self._destination((endpoint.address, endpoint.length))
        was_urgent = destination.urgent
        if endpoint not in destination.endpoints:
            destination.endpoints[endpoint] = set()
            self._rule_set.want(rules.for_endpoint(endpoint, self._networks))
            self._count_endpoint(endpoint, 1)
        destination.endpoints[endpoint].add(remote.kind)
        self._urgency_changed(destination, was_urgent, now)

    def _remove(self, remote: ev.Remote) -> None:
        endpoint = remote.endpoint
        destination = self._destinations.get((endpoint.address, endpoint.length))
        kinds = destination.endpoints.get(endpoint) if destination else None
        if destination is None or kinds is None or remote.kind not in kinds:
            return
        was_urgent = destination.urgent
        kinds.discard(remote.kind)
        if not kinds:
            del destination.endpoints[endpoint]
            self._rule_set.unwant(rules.for_endpoint(endpoint, self._networks))
            self._count_endpoint(endpoint, -1)
        self._urgency_changed(destination, was_urgent, 0.0)
        self._forget_if_unused(destination)

    def _set_server(self, destination: _Destination, is_server: bool, now: Instant) -> None:
        was_urgent, destination.is_server = destination.urgent, is_server
        self._urgency_changed(destination, was_urgent, now)
        change = 1 if is_server else -1
        self._users[destination.address.version] += change
        self.port_users.count(DNS_PORT, change)

    def _destination(self, place: _Place) -> _Destination:
        destination = self._destinations.get(place)
        if destination is None:
            destination = self._destinations[place] = _Destination(place, _first_host(place))
            self._asking.setdefault(destination.asked, {})[destination] = None
            if not destination.is_network:
                self._rule_set.want(rules.for_address(destination.address))
            self._commands.append(ev.LookUpNextHop(destination.asked))
        return destination

    def _forget_if_unused(self, destination: _Destination) -> None:
        if destination.endpoints or destination.is_server:
            return
        self._release_previous(destination)
        self._stop_waiting(destination)
        if destination.hop is not None:
            self._resolution.release(destination.hop, urgent=False)
            destination.hop = None
        del self._destinations[destination.place]
        asking = self._asking[destination.asked]
        del asking[destination]
        if not asking:
            del self._asking[destination.asked]
        if not destination.is_network:
            self._rule_set.unwant(rules.for_address(destination.address))

    def _count_endpoint(self, endpoint: Endpoint, change: int) -> None:
        """Count one more or less, and have the rules that are there while there is one of its version of IP."""
        version, counts = endpoint.address.version, self._remotes
        before, counts[version] = counts[version], counts[version] + change
        self._users[version] += change
        self.port_users.count(endpoint.port, change)
        if 0 in (before, counts[version]):
            act = self._rule_set.want if change > 0 else self._rule_set.unwant
            for network in self._networks:
                if network.version == version:
                    act(rules.for_network(network))

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
        for address in self._asking:
            if event.destination is None or address in event.destination:
                self._commands.append(ev.LookUpNextHop(address))

    def next_hop_found(self, event: NextHopFound, now: Instant) -> None:
        """Use this next hop from now on; the kernel has said it."""
        for destination in self._asking.get(event.destination, ()):
            self._take_next_hop(destination, event.next_hop, now)

    def _take_next_hop(self, destination: _Destination, found: NextHop | None, now: Instant) -> None:
        destination.on_link = None
        if destination.is_network and found is not None and found.address == destination.asked:
            destination.on_link, found = found.interface, None
        old = destination.hop
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
        if (address, None) in self._destinations:
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
        destination = self._destinations.get((address, None))
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


def _first_host(place: _Place) -> IpAddress:
    """The address that represents a destination: of a network the one behind its own, which may be a broadcast."""
    address, length = place
    if length is None:
        return address
    scope = address.scope_id if isinstance(address, IPv6Address) else None
    return ip_address(f"{without_scope(address) + 1}{f'%{scope}' if scope else ''}")


def _status(destination: _Destination, endpoint: Endpoint, kinds: tuple[str, ...]) -> RemoteStatus:
    hop = destination.hop or destination.previous
    return RemoteStatus(
        endpoint,
        kinds,
        hop.address if hop else None,
        hop.mac if hop else None,
        hop.interface if hop else destination.on_link,
        hop.resolved_at if hop else None,
    )
