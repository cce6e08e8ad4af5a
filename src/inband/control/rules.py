"""The rules of in-band control by letter, and the whole wanted set as one pure function.

    letter  one per                 packets (IPv4)
    a       bridge                  DHCP requests from LOCAL: in_port LOCAL, eth src local MAC, UDP 68 to 67
    b       bridge                  ARP replies to the local MAC
    c       bridge                  ARP requests from the local MAC
    d       next-hop MAC            ARP replies to it
    e       next-hop MAC            ARP requests from it
    f       remote or next-hop IP   ARP replies whose target is that IP
    g       remote or next-hop IP   ARP requests whose sender is that IP
    h       remote IP and port      TCP to it
    i       remote IP and port      TCP from it
    j       remote or next-hop IP   ARP requests whose target is that IP
    k       remote or next-hop IP   ARP replies whose sender is that IP

(a) to (i) carry this switch's own channel and that of switches behind it once they know their next hop. (j) and (k),
and (f), (g) for a next hop, let a switch behind this one find out who its next hop is: without them its first
question is dropped here and a row of switches never starts.

``wanted`` computes the set from nothing. The engine keeps the same set up to date change by change; a property test
compares the two after every event. Nothing here knows what is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inband.flow.actions import ApplyActions, Instruction, Output, SetQueue
from inband.flow.fields import ETH_ARP, ETH_IPV4, IP_TCP, IP_UDP
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.flow.priority import HiddenPriority
from inband.packet.addresses import IpAddress, Mac

# Open vSwitch numbers its in-band rules from 180000; the same numbers let people read either dump.
FIRST_PRIORITY = 180_000
ARP_REQUEST, ARP_REPLY = 1, 2
DHCP_CLIENT, DHCP_SERVER = 68, 67


@dataclass(frozen=True, slots=True)
class InBandRule:
    """One hidden flow: its letter, for whom it is (for people), and what it matches. Equal rules are the same rule."""

    letter: str
    subject: str
    match: Match

    @property
    def priority(self) -> HiddenPriority:
        """180000 for (a), 180001 for (b), and so on."""
        return HiddenPriority(FIRST_PRIORITY + ord(self.letter) - ord("a"))


@dataclass(frozen=True, slots=True)
class State:
    """All that decides which rules there are.

    ``endpoints`` are (address, TCP port) of remotes; ``hops`` the next-hop addresses in use; ``hop_macs`` their known
    MAC addresses. ``local_mac`` is None while it is unknown.
    """

    enabled: bool
    local_mac: Mac | None
    endpoints: frozenset[tuple[IpAddress, int]]
    hops: frozenset[IpAddress]
    hop_macs: frozenset[Mac]


def wanted(state: State) -> frozenset[InBandRule]:
    """The whole set of rules for a state; its size is bounded by 3 + 2 a MAC + 4 an address + 2 an endpoint."""
    if not state.enabled:
        return frozenset()
    rules: set[InBandRule] = set()
    if state.local_mac:
        rules.update(for_bridge(state.local_mac))
    for mac in state.hop_macs:
        rules.update(for_hop_mac(mac))
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


def for_hop_mac(mac: Mac) -> Iterator[InBandRule]:
    """(d), (e): for a next hop's MAC, known and not 0."""
    yield InBandRule("d", f"{mac}", _arp(ARP_REPLY, eth_dst=mac))
    yield InBandRule("e", f"{mac}", _arp(ARP_REQUEST, eth_src=mac))


def for_address(address: IpAddress) -> Iterator[InBandRule]:
    """(f), (g), (j), (k): for the IP address of a remote or of a next hop."""
    if address.version != 4:
        return
    ip = int(address)
    yield InBandRule("f", f"{address}", _arp(ARP_REPLY, arp_tpa=ip))
    yield InBandRule("g", f"{address}", _arp(ARP_REQUEST, arp_spa=ip))
    yield InBandRule("j", f"{address}", _arp(ARP_REQUEST, arp_tpa=ip))
    yield InBandRule("k", f"{address}", _arp(ARP_REPLY, arp_spa=ip))


def for_endpoint(address: IpAddress, port: int) -> Iterator[InBandRule]:
    """(h), (i): the TCP connection itself."""
    if address.version != 4:
        return
    ip = int(address)
    tcp = {"eth_type": ETH_IPV4, "ip_proto": IP_TCP}
    yield InBandRule("h", f"{address}:{port}", Match.of(**tcp, ipv4_dst=ip, tcp_dst=port))
    yield InBandRule("i", f"{address}:{port}", Match.of(**tcp, ipv4_src=ip, tcp_src=port))


def needs_rules(address: IpAddress) -> bool:
    """Whether a remote's traffic can be in-band at all: never for loopback, multicast or no address."""
    return not (address.is_loopback or address.is_multicast or address.is_unspecified)


def _arp(operation: int, **fields: int) -> Match:
    return Match.of(eth_type=ETH_ARP, arp_op=operation, **fields)


def _dhcp_request(local_mac: Mac) -> Match:
    udp = {"eth_type": ETH_IPV4, "ip_proto": IP_UDP, "udp_src": DHCP_CLIENT, "udp_dst": DHCP_SERVER}
    return Match.of(in_port=LOCAL, eth_src=local_mac, **udp)
