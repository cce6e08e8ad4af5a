"""What neighbours of the network's key need: rules for their controllers and next hops, as if they were our own.

A switch in a row may have other controllers than the one behind it, and another gateway; neighbours say so
(docs/neighbours.md, "Needs"). Here that is rules, and a question for each of their next hops that LOCAL is on one link
with: so the switch behind whose port the next hop is proves where it is, and tells the others (``fabric.distances``).
Such a next hop is never urgent, for no channel of this switch needs it.

What it is not: a remote of this switch. Nothing is dialled, and the kernel is not asked for the way to their
controllers, which may be another one than theirs.

Invariant: nothing of it changes what is wanted for this switch's own remotes. Work per event is in proportion to what
it changes, for a changed route to all next hops.
"""

from __future__ import annotations

from inband.control import events as ev
from inband.control import rules
from inband.control.address_resolution import AddressResolution
from inband.control.endpoints import Endpoint, PortUsers
from inband.control.next_hop import Hop
from inband.control.rule_set import RuleSet
from inband.host.events import NextHopFound, RoutesChanged
from inband.host.state import KernelState
from inband.vocabulary.addresses import AddressKey, IpAddress, Mac, address_key
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import DNS_PORT


class NeighbourNeeds:
    """Rules go to ``rule_set``, questions for routes to ``commands``, protected ports to ``ports``."""

    def __init__(
        self,
        rule_set: RuleSet,
        resolution: AddressResolution,
        kernel: KernelState,
        ports: PortUsers,
        commands: list[ev.Command],
    ) -> None:
        self.endpoints: frozenset[Endpoint] = frozenset()
        self.addresses: frozenset[AddressKey] = frozenset()
        """Where their controllers are."""
        self.hops: dict[IpAddress, Hop | None] = {}
        """Their next hops; None: no port of this switch is known to lead there."""
        self.clients: frozenset[Mac] = frozenset()
        """Their LOCALs that ask for addresses."""
        self.servers: frozenset[IpAddress] = frozenset()
        """The DNS servers that they ask."""
        self._rule_set, self._resolution, self._kernel = rule_set, resolution, kernel
        self._ports, self._commands = ports, commands

    def follow(self, event: ev.NeighboursNeed) -> None:
        """Neighbours need this and nothing else."""
        endpoints = frozenset(each for each in event.endpoints if rules.needs_rules(each.address))
        for endpoint in endpoints - self.endpoints:
            self._rule_set.want(_rules_for(endpoint))
            self._ports.count(endpoint.port, 1)
        for endpoint in self.endpoints - endpoints:
            self._rule_set.unwant(_rules_for(endpoint))
            self._ports.count(endpoint.port, -1)
        self.endpoints, self.addresses = endpoints, frozenset(address_key(each.address) for each in endpoints)
        for client in event.clients - self.clients:
            self._rule_set.want(rules.for_client(client))
        for client in self.clients - event.clients:
            self._rule_set.unwant(rules.for_client(client))
        self.clients = event.clients
        self._follow_servers(frozenset(each for each in event.servers if rules.needs_rules(each)))
        self._follow_hops(event.hops)

    def _follow_servers(self, servers: frozenset[IpAddress]) -> None:
        for server in servers - self.servers:
            self._rule_set.want([*rules.for_server(server), *rules.for_address(server)])
            self._ports.count(DNS_PORT, 1)
        for server in self.servers - servers:
            self._rule_set.unwant([*rules.for_server(server), *rules.for_address(server)])
            self._ports.count(DNS_PORT, -1)
        self.servers = servers

    def _follow_hops(self, wanted: frozenset[IpAddress]) -> None:
        hops = frozenset(each for each in wanted if rules.needs_rules(each))
        for address in sorted(hops - self.hops.keys(), key=address_key):
            self.hops[address] = None
            self._rule_set.want(rules.for_address(address))
            self._commands.append(ev.LookUpNextHop(address))
        for address in self.hops.keys() - hops:
            self._rule_set.unwant(rules.for_address(address))
            self._use(address, None)
            del self.hops[address]

    def next_hop_found(self, event: NextHopFound, now: Instant) -> None:
        """The kernel has said how it would reach one of their next hops: on LOCAL's own link, or it is not asked."""
        if event.destination not in self.hops:
            return
        found, own = event.next_hop, self.hops[event.destination]
        if found is None or found.address != event.destination or found.index not in self._kernel.local_ports:
            self._use(event.destination, None)
        elif own is None or own.key != (found.index, found.address):
            self._use(event.destination, self._resolution.acquire(found, now, urgent=False))

    def _use(self, address: IpAddress, hop: Hop | None) -> None:
        before, self.hops[address] = self.hops[address], hop
        if before is not None:
            self._resolution.release(before, urgent=False)

    def routes_changed(self, event: RoutesChanged) -> None:
        """Ask for those next hops that the changed route could be for."""
        for address in self.hops:
            if event.destination is None or address in event.destination:
                self._commands.append(ev.LookUpNextHop(address))


def _rules_for(endpoint: Endpoint) -> list[rules.InBandRule]:
    return [*rules.for_endpoint(endpoint, ()), *rules.for_address(endpoint.address)]
