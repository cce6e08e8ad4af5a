"""The rules of in-band control by letter, and the whole wanted set as one pure function.

    letter  one per                packets (IPv4)                          packets (IPv6)
    a       bridge                 DHCP requests from LOCAL                DHCPv6 and router solicitations from LOCAL
    b       bridge                 ARP replies to the local MAC            neighbour advertisements to the local MAC
    c       bridge                 ARP requests from the local MAC         neighbour solicitations from the local MAC
    d       next-hop MAC           ARP replies to it                       neighbour advertisements to it
    e       next-hop MAC           ARP requests from it                    neighbour solicitations from it
    f       remote or next-hop IP  ARP replies whose target is that IP     neighbour advertisements sent to that IP
    g       remote or next-hop IP  ARP requests whose sender is that IP    neighbour solicitations sent from that IP
    h       remote IP and port     TCP to it                               TCP to it
    i       remote IP and port     TCP from it                             TCP from it
    j       remote or next-hop IP  ARP requests whose target is that IP    neighbour solicitations for that target
    k       remote or next-hop IP  ARP replies whose sender is that IP     neighbour advertisements for that target
    l       local IPv6 address     -                                       neighbour advertisements for that target

(a), (b), (c) of IPv6 are there once IPv6 is in use: the local port has an IPv6 address, or a remote is one. (l) is
ours: a host that has our address already says so to all nodes, not to our MAC, and duplicate address detection must
hear it.

(a) to (i) carry this switch's own channel and that of switches behind it once they know their next hop. (j) and (k),
and (f), (g) for a next hop, let a switch behind this one find out who its next hop is: without them its first
question is dropped here and a row of switches never starts.

``wanted`` computes the set from nothing. The engine keeps the same set up to date change by change; a property test
compares the two after every event. Nothing here knows what is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from inband.flow.actions import ApplyActions, Instruction, Output, SetQueue
from inband.flow.fields import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_ICMPV6, IP_TCP, IP_UDP
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.flow.priority import HiddenPriority
from inband.packet.addresses import IpAddress, Mac

# Open vSwitch numbers its in-band rules from 180000; the same numbers let people read either dump.
FIRST_PRIORITY = 180_000
ARP_REQUEST, ARP_REPLY = 1, 2
DHCP_CLIENT, DHCP_SERVER = 68, 67
DHCPV6_CLIENT, DHCPV6_SERVER = 546, 547
ROUTER_SOLICITATION, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 133, 135, 136


@dataclass(frozen=True, slots=True)
class InBandRule:
    """One hidden flow: its letter, for whom it is (for people), and what it matches. Equal rules are the same rule."""

    letter: str
    subject: str
    match: Match

    def __hash__(self) -> int:
        # Ten thousand remotes are sixty thousand rules, each looked up several times; the match nearly identifies one.
        return hash((self.letter, self.match.value))

    @property
    def priority(self) -> HiddenPriority:
        """180000 for (a), 180001 for (b), and so on."""
        return HiddenPriority(FIRST_PRIORITY + ord(self.letter) - ord("a"))


@dataclass(frozen=True, slots=True)
class State:
    """All that decides which rules there are.

    ``endpoints`` are (address, TCP port) of remotes; ``hops`` the next-hop addresses in use; ``hop_macs`` their known
    MAC addresses, with the IP version (4 or 6) that they are used for. ``local_mac`` is None while it is unknown.
    ``local_addresses`` are the local port's IPv6 addresses, tentative ones too.
    """

    enabled: bool
    local_mac: Mac | None
    endpoints: frozenset[tuple[IpAddress, int]]
    hops: frozenset[IpAddress]
    hop_macs: frozenset[tuple[int, Mac]]
    local_addresses: frozenset[IPv6Address] = frozenset()

    @property
    def uses_ipv6(self) -> bool:
        """Whether anything here speaks IPv6: a bridge without it needs no rules for it."""
        return bool(self.local_addresses) or any(address.version == 6 for address, _ in self.endpoints)


def wanted(state: State) -> frozenset[InBandRule]:
    """The whole set of rules for a state; its size is bounded by 8 + 4 a MAC + 4 an address + 2 an endpoint."""
    if not state.enabled:
        return frozenset()
    rules: set[InBandRule] = set()
    if state.local_mac:
        rules.update(for_bridge(state.local_mac))
        if state.uses_ipv6:
            rules.update(for_bridge_ipv6(state.local_mac))
    for version, mac in state.hop_macs:
        rules.update(for_hop_mac(mac, version))
    for own in state.local_addresses:
        rules.update(for_local_address(own))
    for address in {address for address, _ in state.endpoints} | state.hops:
        rules.update(for_address(address))
    for address, port in state.endpoints:
        rules.update(for_endpoint(address, port))
    return frozenset(rules)


def instructions(queue: int | None) -> tuple[Instruction, ...]:
    """What every in-band rule does: ``[set_queue:Q,] NORMAL``."""
    if queue is None:
        return (ApplyActions((Output(NORMAL),)),)
    return (ApplyActions((SetQueue(queue), Output(NORMAL))),)


def for_bridge(local_mac: Mac) -> Iterator[InBandRule]:
    """(a), (b), (c): for the local port, whose MAC must be known and not 0."""
    yield InBandRule("a", f"{local_mac}", _dhcp_request(local_mac))
    yield InBandRule("b", f"{local_mac}", _arp(ARP_REPLY, eth_dst=local_mac))
    yield InBandRule("c", f"{local_mac}", _arp(ARP_REQUEST, eth_src=local_mac))


def for_bridge_ipv6(local_mac: Mac) -> Iterator[InBandRule]:
    """(a), (b), (c) of IPv6."""
    yield InBandRule("a", f"{local_mac}", _dhcpv6_request(local_mac))
    yield InBandRule("a", f"{local_mac}", _nd(ROUTER_SOLICITATION, in_port=LOCAL, eth_src=local_mac))
    yield InBandRule("b", f"{local_mac}", _nd(NEIGHBOUR_ADVERTISEMENT, eth_dst=local_mac))
    yield InBandRule("c", f"{local_mac}", _nd(NEIGHBOUR_SOLICITATION, eth_src=local_mac))


def for_hop_mac(mac: Mac, version: int) -> Iterator[InBandRule]:
    """(d), (e): for a next hop's MAC, known and not 0, used for this version of IP."""
    if version == 4:
        yield InBandRule("d", f"{mac}", _arp(ARP_REPLY, eth_dst=mac))
        yield InBandRule("e", f"{mac}", _arp(ARP_REQUEST, eth_src=mac))
    else:
        yield InBandRule("d", f"{mac}", _nd(NEIGHBOUR_ADVERTISEMENT, eth_dst=mac))
        yield InBandRule("e", f"{mac}", _nd(NEIGHBOUR_SOLICITATION, eth_src=mac))


def for_address(address: IpAddress) -> Iterator[InBandRule]:
    """(f), (g), (j), (k): for the IP address of a remote or of a next hop."""
    ip, subject = int(address), str(without_scope(address))
    if address.version == 4:
        yield InBandRule("f", subject, _arp(ARP_REPLY, arp_tpa=ip))
        yield InBandRule("g", subject, _arp(ARP_REQUEST, arp_spa=ip))
        yield InBandRule("j", subject, _arp(ARP_REQUEST, arp_tpa=ip))
        yield InBandRule("k", subject, _arp(ARP_REPLY, arp_spa=ip))
    else:
        yield InBandRule("f", subject, _nd(NEIGHBOUR_ADVERTISEMENT, ipv6_dst=ip))
        yield InBandRule("g", subject, _nd(NEIGHBOUR_SOLICITATION, ipv6_src=ip))
        yield InBandRule("j", subject, _nd(NEIGHBOUR_SOLICITATION, ipv6_nd_target=ip))
        yield InBandRule("k", subject, _nd(NEIGHBOUR_ADVERTISEMENT, ipv6_nd_target=ip))


def for_endpoint(address: IpAddress, port: int) -> Iterator[InBandRule]:
    """(h), (i): the TCP connection itself."""
    ip = int(address)
    if address.version == 4:
        tcp = {"eth_type": ETH_IPV4, "ip_proto": IP_TCP}
        subject = f"{address}:{port}"
        yield InBandRule("h", subject, Match.of(**tcp, ipv4_dst=ip, tcp_dst=port))
        yield InBandRule("i", subject, Match.of(**tcp, ipv4_src=ip, tcp_src=port))
    else:
        tcp = {"eth_type": ETH_IPV6, "ip_proto": IP_TCP}
        subject = f"[{without_scope(address)}]:{port}"
        yield InBandRule("h", subject, Match.of(**tcp, ipv6_dst=ip, tcp_dst=port))
        yield InBandRule("i", subject, Match.of(**tcp, ipv6_src=ip, tcp_src=port))


def for_local_address(address: IPv6Address) -> Iterator[InBandRule]:
    """(l): for an address of the local port, so that a duplicate of it is noticed (RFC 4862, 5.4.4)."""
    yield InBandRule("l", str(without_scope(address)), _nd(NEIGHBOUR_ADVERTISEMENT, ipv6_nd_target=int(address)))


def without_scope(address: IpAddress) -> IpAddress:
    """The address as packets have it: an interface's name behind a link-local one is the host's own business."""
    return IPv6Address(int(address)) if address.version == 6 else address


def needs_rules(address: IpAddress) -> bool:
    """Whether a remote's traffic can be in-band at all: never for loopback, multicast or no address."""
    return not (address.is_loopback or address.is_multicast or address.is_unspecified)


def _arp(operation: int, **fields: int) -> Match:
    return Match.of(eth_type=ETH_ARP, arp_op=operation, **fields)


def _nd(icmpv6_type: int, **fields: int) -> Match:
    return Match.of(eth_type=ETH_IPV6, ip_proto=IP_ICMPV6, icmpv6_type=icmpv6_type, **fields)


def _dhcpv6_request(local_mac: Mac) -> Match:
    udp = {"eth_type": ETH_IPV6, "ip_proto": IP_UDP, "udp_src": DHCPV6_CLIENT, "udp_dst": DHCPV6_SERVER}
    return Match.of(in_port=LOCAL, eth_src=local_mac, **udp)


def _dhcp_request(local_mac: Mac) -> Match:
    udp = {"eth_type": ETH_IPV4, "ip_proto": IP_UDP, "udp_src": DHCP_CLIENT, "udp_dst": DHCP_SERVER}
    return Match.of(in_port=LOCAL, eth_src=local_mac, **udp)
