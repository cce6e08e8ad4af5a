"""The rules of in-band control for a state of the world: the whole wanted set as one pure function.

``letters`` says which kinds of rules there are, what they match and why. This says when there is one of a kind:

- per bridge, for IPv4, while the local port's MAC address is known; for IPv6 while IPv6 is in use besides: the local
  port has an IPv6 address, or a remote or DNS server is one;
- per next hop's MAC address that is known, for the version of IP that it is used for;
- per address of a remote, a next hop or a DNS server, and per remote's port;
- per address of the local port, and per DNS server (there are some while a remote has a name);
- per port of a manager that is narrow (``endpoints``) and network of the switches, of the same version of IP; and per
  network of the switches while there is a remote of its version.

``wanted`` computes the set from nothing. The engine keeps the same set up to date change by change; a property test
compares the two after every event. Nothing here knows what is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from inband.control.endpoints import Endpoint, common_part, without_scope
from inband.control.letters import LETTERS, Pattern, Per, Prefix, RuleKind
from inband.flow.actions import ApplyActions, Instruction, Output, SetQueue
from inband.flow.match import Match
from inband.flow.origin import Origin
from inband.flow.ports import NORMAL
from inband.flow.priority import HiddenPriority
from inband.vocabulary.addresses import IpAddress, IpNetwork, Mac


class InBandRule(NamedTuple):
    """One hidden flow: its kind, for whom it is (for people), and what it matches. Equal rules are the same rule.

    A tuple of plain values: ten thousand remotes are sixty thousand rules, each of them looked up several times.
    """

    kind: RuleKind
    subject: str
    value: int
    mask: int

    @property
    def letter(self) -> str:
        """The letter of its kind."""
        return self.kind.letter

    @property
    def match(self) -> Match:
        """What it matches."""
        return Match(self.value, self.mask)

    def in_vlan(self, vlan: int | None) -> InBandRule:
        """The same rule for packets of a VLAN, None for untagged ones."""
        match = self.match.in_vlan(vlan)
        return self._replace(value=match.value, mask=match.mask)

    @property
    def priority(self) -> HiddenPriority:
        """Its place in table 0."""
        return self.kind.priority

    @property
    def origin(self) -> Origin:
        """What its flow says of itself."""
        return self.kind.origin(self.subject)


_Patterns = tuple[tuple[RuleKind, Pattern], ...]


def _patterns(per: Per) -> Mapping[int, _Patterns]:
    """By IP version: every pattern of the letters that are for this, in the order of letters."""
    kinds = [kind for kind in LETTERS.values() if kind.per is per]
    return {
        4: tuple((kind, pattern) for kind in kinds for pattern in kind.ipv4_patterns),
        6: tuple((kind, pattern) for kind in kinds for pattern in kind.ipv6_patterns),
    }


_BRIDGE, _HOP_MAC, _ADDRESS = _patterns(Per.BRIDGE), _patterns(Per.HOP_MAC), _patterns(Per.ADDRESS)
_ENDPOINT, _SERVER, _LOCAL_ADDRESS = _patterns(Per.ENDPOINT), _patterns(Per.SERVER), _patterns(Per.LOCAL_ADDRESS)
_SERVICE, _CALLER, _CALLER_PLACE = _patterns(Per.SERVICE), _patterns(Per.CALLER), _patterns(Per.CALLER_PLACE)
_CLIENT = _patterns(Per.CLIENT)
_NETWORK, _NEAR_CALLERS = _patterns(Per.NETWORK), _patterns(Per.NEAR_CALLERS)


@dataclass(frozen=True, slots=True)
class State:
    """All that decides which rules there are.

    ``endpoints`` are what is protected of remotes; ``hops`` the next-hop addresses in use; ``hop_macs`` their known
    MAC addresses, with the IP version (4 or 6) that they are used for. ``local_mac`` is None while it is unknown.
    ``local_addresses`` are the local port's addresses, tentative ones too. ``servers`` are the DNS servers that
    remotes' names are asked of. ``networks`` are those of the local ports of all bridges: switches behind this one have
    addresses there too. ``vlan`` is the VLAN of control, None for untagged. ``neighbours_endpoints``,
    ``neighbours_hops`` and ``neighbours_servers`` (of DNS) are what neighbours of the network's key need, ``clients``
    their LOCALs that ask for addresses.
    """

    enabled: bool
    local_mac: Mac | None
    endpoints: frozenset[Endpoint]
    hops: frozenset[IpAddress]
    hop_macs: frozenset[tuple[int, Mac]]
    local_addresses: frozenset[IpAddress] = frozenset()
    servers: frozenset[IpAddress] = frozenset()
    networks: frozenset[IpNetwork] = frozenset()
    vlan: int | None = None
    neighbours_endpoints: frozenset[Endpoint] = frozenset()
    neighbours_hops: frozenset[IpAddress] = frozenset()
    clients: frozenset[Mac] = frozenset()
    neighbours_servers: frozenset[IpAddress] = frozenset()

    @property
    def uses_ipv6(self) -> bool:
        """Whether anything here speaks IPv6: a bridge without it needs no rules for it."""
        remotes = (endpoint.address for endpoint in self.endpoints)
        return any(address.version == 6 for address in (*self.local_addresses, *self.servers, *remotes))


def wanted(state: State) -> frozenset[InBandRule]:
    """The whole set for a state, computed from nothing: work in proportion to all that the state names."""
    if not state.enabled:
        return frozenset()
    rules: set[InBandRule] = set()
    if state.local_mac:
        rules.update(for_bridge(state.local_mac, 4))
        if state.uses_ipv6:
            rules.update(for_bridge(state.local_mac, 6))
    for version, mac in state.hop_macs:
        rules.update(for_hop_mac(mac, version))
    for own in state.local_addresses:
        rules.update(for_local_address(own))
    servers = state.servers | state.neighbours_servers
    everyones = state.endpoints | state.neighbours_endpoints
    hosts = {endpoint.address for endpoint in everyones if endpoint.length is None}
    for address in hosts | state.hops | servers | state.neighbours_hops:
        rules.update(for_address(address))
    for endpoint in everyones:
        rules.update(for_endpoint(endpoint, state.networks))
    for server in servers:
        rules.update(for_server(server))
    for client in state.clients:
        rules.update(for_client(client))
    versions = {endpoint.address.version for endpoint in state.endpoints}
    for network in state.networks:
        if network.version in versions:
            rules.update(for_network(network))
    return frozenset(rules if state.vlan is None else (rule.in_vlan(state.vlan) for rule in rules))


def instructions(queue: int | None) -> tuple[Instruction, ...]:
    """What every in-band rule does: ``[set_queue:Q,] NORMAL``."""
    if queue is None:
        return (ApplyActions((Output(NORMAL),)),)
    return (ApplyActions((SetQueue(queue), Output(NORMAL))),)


def for_bridge(local_mac: Mac, version: int) -> list[InBandRule]:
    """For the local port, whose MAC must be known and not 0, and this version of IP."""
    return _rules(_BRIDGE[version], str(local_mac), local_mac)


def for_hop_mac(mac: Mac, version: int) -> list[InBandRule]:
    """For a next hop's MAC, known and not 0, used for this version of IP."""
    return _rules(_HOP_MAC[version], str(mac), mac)


def for_address(address: IpAddress) -> list[InBandRule]:
    """For the IP address of a remote, of a next hop or of a DNS server."""
    return _rules(_ADDRESS[address.version], str(without_scope(address)), int(address))


def for_endpoint(endpoint: Endpoint, networks: Iterable[IpNetwork]) -> list[InBandRule]:
    """For what is protected of a remote: of a narrow one, within each of these networks (of its version of IP)."""
    if endpoint.is_narrow:
        version = endpoint.address.version
        return [rule for each in networks if each.version == version for rule in for_narrow_endpoint(endpoint, each)]
    return _rules(_ENDPOINT[endpoint.address.version], endpoint.subject, int(endpoint.address), endpoint.port)


def for_narrow_endpoint(endpoint: Endpoint, network: IpNetwork) -> list[InBandRule]:
    """For what is protected between a manager and one of the switches' networks, of the same version of IP."""
    version, prefixes = network.version, (_prefix(endpoint.network), _prefix(network))
    found: list[InBandRule] = []
    for kind, pattern in (_CALLER if endpoint.calls else _SERVICE)[version]:
        if pattern.ip_proto == endpoint.protocol.number:
            # What does not name the port is the same rule for all ports of this remote.
            subject, values = (endpoint.subject, (endpoint.port,)) if pattern.takes_values else (endpoint.place, ())
            found.append(InBandRule(kind, subject, *pattern.fill(values, prefixes)))
    if endpoint.calls:
        found += _within(_CALLER_PLACE[version], endpoint.place, *prefixes)
        near = common_part(endpoint.network, network)
        if near is not None and endpoint.length is not None:
            found += _within(_NEAR_CALLERS[version], str(near), _prefix(near), _prefix(network))
    return found


def for_network(network: IpNetwork) -> list[InBandRule]:
    """For one of the switches' networks: errors about packets that come from there."""
    return _within(_NETWORK[network.version], str(network), _prefix(network))


def for_server(address: IpAddress) -> list[InBandRule]:
    """For a DNS server: what goes to it and comes from it (RFC 1035, 4.2; RFC 7766: TCP as well as UDP)."""
    return _rules(_SERVER[address.version], str(without_scope(address)), int(address))


def for_client(mac: Mac) -> list[InBandRule]:
    """For LOCAL of a switch behind this one, which asks for its addresses and routes."""
    return [rule for version in (4, 6) for rule in _rules(_CLIENT[version], str(mac), mac)]


def for_local_address(address: IpAddress) -> list[InBandRule]:
    """For an address of the local port: who asks for it, and who says to have it (RFC 4862, 5.4.3 and 5.4.4)."""
    return _rules(_LOCAL_ADDRESS[address.version], str(without_scope(address)), int(address))


def needs_rules(address: IpAddress) -> bool:
    """Whether a remote's traffic can be in-band at all: never for loopback, multicast or no address."""
    return not (address.is_loopback or address.is_multicast or address.is_unspecified)


def _rules(patterns: _Patterns, subject: str, *values: int) -> list[InBandRule]:
    return [InBandRule(kind, subject, *pattern.fill(values)) for kind, pattern in patterns]


def _within(patterns: _Patterns, subject: str, *prefixes: Prefix) -> list[InBandRule]:
    return [InBandRule(kind, subject, *pattern.fill((), prefixes)) for kind, pattern in patterns]


def _prefix(network: IpNetwork) -> Prefix:
    return Prefix(int(network.network_address), int(network.netmask))
