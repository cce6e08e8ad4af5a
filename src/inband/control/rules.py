"""The rules of in-band control by letter, and the whole wanted set as one pure function.

    letter  one per                packets (IPv4)                          packets (IPv6)
    a       bridge                 DHCP requests from LOCAL                DHCPv6, router solicitations and
                                                                           listener reports from LOCAL
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
    l       local IPv6 address     -                                       solicitations, advertisements for that target
    m       DNS server IP          UDP and TCP to its port 53              the same
    n       DNS server IP          UDP and TCP from its port 53            the same

(a), (b), (c) of IPv6 are there once IPv6 is in use: the local port has an IPv6 address, or a remote is one. (l) is
ours. A host that has our address already says so to all nodes, not to our MAC, and duplicate address detection must
hear it; one that wants our address asks for it, and must hear that it is taken. And a gateway whose MAC changed asks
for us from its link-local address, which nobody here knows ((g) does not match): until it hears from us nothing comes
through it, not even what would make us doubt it.

Listener reports are among (a) because a switch on the way may send multicast only where somebody is known to listen,
and neighbour solicitations are multicast: without them nobody there could look for us.

(a) to (i) carry this switch's own channel and that of switches behind it once they know their next hop. (j) and (k),
and (f), (g) for a next hop, let a switch behind this one find out who its next hop is: without them its first
question is dropped here and a row of switches never starts.

(m) and (n) are there while a remote has a name, and the server's IP and next hop have (d) to (g), (j), (k) like those
of a remote. They decide only for questions for remotes' names and the answers to them: the name stands in the payload,
which the pipeline looks at (``pipeline.dns_hook``).

``wanted`` computes the set from nothing. The engine keeps the same set up to date change by change; a property test
compares the two after every event. Nothing here knows what is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import NamedTuple

from inband.flow.actions import ApplyActions, Instruction, Output, SetQueue
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL
from inband.flow.priority import HiddenPriority
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.numbers import (
    ARP_REPLY,
    ARP_REQUEST,
    DHCP_CLIENT,
    DHCP_SERVER,
    DHCPV6_CLIENT,
    DHCPV6_SERVER,
    DNS_PORT,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    IP_ICMPV6,
    IP_TCP,
    IP_UDP,
    LISTENER_DONE,
    LISTENER_REPORT,
    LISTENER_REPORT_2,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    ROUTER_SOLICITATION,
)

# Open vSwitch numbers its in-band rules from 180000; the same numbers let people read either dump.
FIRST_PRIORITY = 180_000
# Reports and ends of version 1 (RFC 2710, 3.1) and reports of version 2 (RFC 3810, 4): which groups a host listens to.
LISTENER_MESSAGES = (LISTENER_REPORT, LISTENER_DONE, LISTENER_REPORT_2)


class InBandRule(NamedTuple):
    """One hidden flow: its letter, for whom it is (for people), and what it matches. Equal rules are the same rule.

    A tuple of plain values: ten thousand remotes are sixty thousand rules, each of them looked up several times.
    """

    letter: str
    subject: str
    value: int
    mask: int

    @property
    def match(self) -> Match:
        """What it matches."""
        return Match(self.value, self.mask)

    @property
    def priority(self) -> HiddenPriority:
        """180000 for (a), 180001 for (b), and so on."""
        return HiddenPriority(FIRST_PRIORITY + ord(self.letter) - ord("a"))


class Pattern:
    """A row of the table above: fixed fields, and a field or two that each rule of the letter fills in."""

    def __init__(self, letter: str, fixed: Mapping[str, int], *given: str) -> None:
        whole = Match.of(**fixed, **dict.fromkeys(given, 0))
        self._letter = letter
        self._value = whole.value
        self._mask = whole.mask
        self._shifts = [FIELDS[name].shift for name in given]

    def rule(self, subject: str, *values: int) -> InBandRule:
        """The rule with these values in the given fields, in their order."""
        value = self._value
        for shift, number in zip(self._shifts, values, strict=True):
            value |= number << shift
        return InBandRule(self._letter, subject, value, self._mask)


_REQUEST, _REPLY = ({"eth_type": ETH_ARP, "arp_op": operation} for operation in (ARP_REQUEST, ARP_REPLY))
_ICMPV6 = {"eth_type": ETH_IPV6, "ip_proto": IP_ICMPV6}
_SOLICITATION = {**_ICMPV6, "icmpv6_type": NEIGHBOUR_SOLICITATION}
_ADVERTISEMENT = {**_ICMPV6, "icmpv6_type": NEIGHBOUR_ADVERTISEMENT}
_TCP4, _TCP6 = ({"eth_type": eth_type, "ip_proto": IP_TCP} for eth_type in (ETH_IPV4, ETH_IPV6))
_UDP4, _UDP6 = ({"eth_type": eth_type, "ip_proto": IP_UDP} for eth_type in (ETH_IPV4, ETH_IPV6))
_DHCP = {**_UDP4, "udp_src": DHCP_CLIENT, "udp_dst": DHCP_SERVER}
_DHCPV6 = {**_UDP6, "udp_src": DHCPV6_CLIENT, "udp_dst": DHCPV6_SERVER}

BRIDGE = {
    4: (
        Pattern("a", {**_DHCP, "in_port": LOCAL}, "eth_src"),
        Pattern("b", _REPLY, "eth_dst"),
        Pattern("c", _REQUEST, "eth_src"),
    ),
    6: (
        Pattern("a", {**_DHCPV6, "in_port": LOCAL}, "eth_src"),
        *(
            Pattern("a", {**_ICMPV6, "icmpv6_type": kind, "in_port": LOCAL}, "eth_src")
            for kind in (ROUTER_SOLICITATION, *LISTENER_MESSAGES)
        ),
        Pattern("b", _ADVERTISEMENT, "eth_dst"),
        Pattern("c", _SOLICITATION, "eth_src"),
    ),
}
HOP_MAC = {
    4: (Pattern("d", _REPLY, "eth_dst"), Pattern("e", _REQUEST, "eth_src")),
    6: (Pattern("d", _ADVERTISEMENT, "eth_dst"), Pattern("e", _SOLICITATION, "eth_src")),
}
ADDRESS = {
    4: (
        Pattern("f", _REPLY, "arp_tpa"),
        Pattern("g", _REQUEST, "arp_spa"),
        Pattern("j", _REQUEST, "arp_tpa"),
        Pattern("k", _REPLY, "arp_spa"),
    ),
    6: (
        Pattern("f", _ADVERTISEMENT, "ipv6_dst"),
        Pattern("g", _SOLICITATION, "ipv6_src"),
        Pattern("j", _SOLICITATION, "ipv6_nd_target"),
        Pattern("k", _ADVERTISEMENT, "ipv6_nd_target"),
    ),
}
ENDPOINT = {
    4: (Pattern("h", _TCP4, "ipv4_dst", "tcp_dst"), Pattern("i", _TCP4, "ipv4_src", "tcp_src")),
    6: (Pattern("h", _TCP6, "ipv6_dst", "tcp_dst"), Pattern("i", _TCP6, "ipv6_src", "tcp_src")),
}
SERVER = {
    4: (
        Pattern("m", {**_UDP4, "udp_dst": DNS_PORT}, "ipv4_dst"),
        Pattern("m", {**_TCP4, "tcp_dst": DNS_PORT}, "ipv4_dst"),
        Pattern("n", {**_UDP4, "udp_src": DNS_PORT}, "ipv4_src"),
        Pattern("n", {**_TCP4, "tcp_src": DNS_PORT}, "ipv4_src"),
    ),
    6: (
        Pattern("m", {**_UDP6, "udp_dst": DNS_PORT}, "ipv6_dst"),
        Pattern("m", {**_TCP6, "tcp_dst": DNS_PORT}, "ipv6_dst"),
        Pattern("n", {**_UDP6, "udp_src": DNS_PORT}, "ipv6_src"),
        Pattern("n", {**_TCP6, "tcp_src": DNS_PORT}, "ipv6_src"),
    ),
}
LOCAL_ADDRESS = (Pattern("l", _SOLICITATION, "ipv6_nd_target"), Pattern("l", _ADVERTISEMENT, "ipv6_nd_target"))


@dataclass(frozen=True, slots=True)
class State:
    """All that decides which rules there are.

    ``endpoints`` are (address, TCP port) of remotes; ``hops`` the next-hop addresses in use; ``hop_macs`` their known
    MAC addresses, with the IP version (4 or 6) that they are used for. ``local_mac`` is None while it is unknown.
    ``local_addresses`` are the local port's IPv6 addresses, tentative ones too. ``servers`` are the DNS servers that
    remotes' names are asked of.
    """

    enabled: bool
    local_mac: Mac | None
    endpoints: frozenset[tuple[IpAddress, int]]
    hops: frozenset[IpAddress]
    hop_macs: frozenset[tuple[int, Mac]]
    local_addresses: frozenset[IPv6Address] = frozenset()
    servers: frozenset[IpAddress] = frozenset()

    @property
    def uses_ipv6(self) -> bool:
        """Whether anything here speaks IPv6: a bridge without it needs no rules for it."""
        remotes = (*(address for address, _ in self.endpoints), *self.servers)
        return bool(self.local_addresses) or any(address.version == 6 for address in remotes)


def wanted(state: State) -> frozenset[InBandRule]:
    """The whole set for a state: at most 11, 2 a local address, 4 a MAC, 4 an address, 2 an endpoint, 4 a server."""
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
    for address in {address for address, _ in state.endpoints} | state.hops | state.servers:
        rules.update(for_address(address))
    for address, port in state.endpoints:
        rules.update(for_endpoint(address, port))
    for server in state.servers:
        rules.update(for_server(server))
    return frozenset(rules)


def instructions(queue: int | None) -> tuple[Instruction, ...]:
    """What every in-band rule does: ``[set_queue:Q,] NORMAL``."""
    if queue is None:
        return (ApplyActions((Output(NORMAL),)),)
    return (ApplyActions((SetQueue(queue), Output(NORMAL))),)


def for_bridge(local_mac: Mac, version: int) -> list[InBandRule]:
    """(a), (b), (c): for the local port, whose MAC must be known and not 0, and this version of IP."""
    return [pattern.rule(str(local_mac), local_mac) for pattern in BRIDGE[version]]


def for_hop_mac(mac: Mac, version: int) -> list[InBandRule]:
    """(d), (e): for a next hop's MAC, known and not 0, used for this version of IP."""
    return [pattern.rule(str(mac), mac) for pattern in HOP_MAC[version]]


def for_address(address: IpAddress) -> list[InBandRule]:
    """(f), (g), (j), (k): for the IP address of a remote or of a next hop."""
    ip, subject = int(address), str(without_scope(address))
    return [pattern.rule(subject, ip) for pattern in ADDRESS[address.version]]


def for_endpoint(address: IpAddress, port: int) -> list[InBandRule]:
    """(h), (i): the TCP connection itself."""
    ip, host = int(address), str(without_scope(address))
    subject = f"{host}:{port}" if address.version == 4 else f"[{host}]:{port}"
    return [pattern.rule(subject, ip, port) for pattern in ENDPOINT[address.version]]


def for_server(address: IpAddress) -> list[InBandRule]:
    """(m), (n): what goes to and comes from a DNS server (RFC 1035, 4.2; RFC 7766: TCP as well as UDP)."""
    ip, subject = int(address), str(without_scope(address))
    return [pattern.rule(subject, ip) for pattern in SERVER[address.version]]


def for_local_address(address: IPv6Address) -> list[InBandRule]:
    """(l): for an address of the local port: who asks for it, and who says to have it (RFC 4862, 5.4.3 and 5.4.4)."""
    ip, subject = int(address), str(without_scope(address))
    return [pattern.rule(subject, ip) for pattern in LOCAL_ADDRESS]


def without_scope(address: IpAddress) -> IpAddress:
    """The address as packets have it: an interface's name behind a link-local one is the host's own business."""
    return IPv6Address(int(address)) if address.version == 6 else address


def needs_rules(address: IpAddress) -> bool:
    """Whether a remote's traffic can be in-band at all: never for loopback, multicast or no address."""
    return not (address.is_loopback or address.is_multicast or address.is_unspecified)
