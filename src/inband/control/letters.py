"""The letters of in-band control's rules: one table, which code, dumps, traces and documents read.

The design is in docs/in-band.md, "The rules".

A new letter for something that rules exist for already (see Per) is a row at the end of LETTERS, and in the documents'
tables the line that the test of letters asks for. A letter for something new is a member of Per besides, with what
``rules`` makes of it.

Letters, like priorities, are for people: all rules do the same, so it does not matter which of two that match decides,
but that those that work beside the flow table come after all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from inband.flow.fields import FIELDS, FRAG_ANY, FRAG_LATER
from inband.flow.match import Match
from inband.flow.origin import About, Origin, Owner, PayloadCheck
from inband.flow.ports import LOCAL
from inband.flow.priority import HiddenPriority
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
    ICMP_ECHO_REPLY,
    ICMP_ECHO_REQUEST,
    ICMP_UNREACHABLE,
    ICMPV6_ECHO_REPLY,
    ICMPV6_ECHO_REQUEST,
    ICMPV6_PACKET_TOO_BIG,
    ICMPV6_UNREACHABLE,
    IP_ICMP,
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


class Per(Enum):
    """What a rule is for; the value is the word that documents have for it. Its numbers fill in the rule's pattern."""

    BRIDGE = "bridge"
    """The local port, by its MAC address."""
    HOP_MAC = "next hop's MAC"
    """A MAC address."""
    ADDRESS = "remote's or next hop's IP"
    """An IP address."""
    ENDPOINT = "controller's IP and port"
    """An IP address and a TCP port."""
    LOCAL_ADDRESS = "the bridge's own IP"
    """An IP address of the local port."""
    SERVER = "DNS server's IP"
    """An IP address."""
    SERVICE = "manager's IP and port"
    """A port; an IP address and one of the switches' networks."""
    CALLER = "calling host's IP and port here"
    """A port; the caller's network, often of one address, and one of the switches' networks."""
    CALLER_PLACE = "calling host's IP"
    """The caller's network and one of the switches' networks."""
    NEAR_CALLERS = "calling hosts' network, where it is a switches' network too"
    """The part of the callers' network that is in one of the switches' networks, and that network."""
    NETWORK = "switches' network"
    """One of the switches' networks."""
    CLIENT = "MAC of LOCAL of a switch behind, by word"
    """A MAC address."""


_SENT_BY_OTHERS = (Per.HOP_MAC, Per.ADDRESS, Per.LOCAL_ADDRESS, Per.NEAR_CALLERS)
_OF_LOCAL = (Per.BRIDGE, Per.LOCAL_ADDRESS, Per.NETWORK)


class Prefix(NamedTuple):
    """A network in a field: its address and its netmask."""

    value: int
    mask: int


class Pattern:
    """What a rule matches: fixed fields, and some that each rule fills in with a value or (``within``) a prefix.

    Untagged packets: ``InBandRule.in_vlan`` makes them those of a VLAN.
    """

    def __init__(self, fixed: Mapping[str, int], *given: str, within: Sequence[str] = ()) -> None:
        whole = Match.of(**fixed, **dict.fromkeys(given, 0)).in_vlan(None)
        self.ip_proto = fixed.get("ip_proto")
        self._mask = whole.mask
        self._value = whole.value
        self._shifts = [FIELDS[name].shift for name in given]
        self._prefix_shifts = [FIELDS[name].shift for name in within]

    @property
    def takes_values(self) -> bool:
        """Whether a rule fills in more than prefixes."""
        return bool(self._shifts)

    def fill(self, values: Sequence[int], prefixes: Sequence[Prefix] = ()) -> tuple[int, int]:
        """The match's value and mask with these in the fields to be filled in, in their order."""
        value, mask = self._value, self._mask
        for shift, number in zip(self._shifts, values, strict=True):
            value |= number << shift
        for shift, prefix in zip(self._prefix_shifts, prefixes, strict=True):
            value |= prefix.value << shift
            mask |= prefix.mask << shift
        return value, mask


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RuleKind:
    """All that the rules of one letter have in common.

    ``ipv4`` and ``ipv6`` say for people which packets they match, ``reason`` why they are needed; the rest is as in
    ``Origin``.
    """

    letter: str
    per: Per
    ipv4: str
    ipv6: str
    reason: str
    ipv4_patterns: tuple[Pattern, ...]
    ipv6_patterns: tuple[Pattern, ...]
    check: PayloadCheck | None = field(default=None, kw_only=True)
    shows_place: bool = field(default=False, kw_only=True)
    beside: bool = field(default=False, kw_only=True)
    is_from_remote: bool = field(default=False, kw_only=True)
    by_word: bool = field(default=False, kw_only=True)

    def __repr__(self) -> str:
        return f"({self.letter})"

    def origin(self, subject: str) -> Origin:
        """What a flow of this kind says of itself: it is control, and passes closed ports."""
        return Origin(
            Owner.IN_BAND,
            self.letter,
            subject,
            overrides_ports=True,
            check=self.check,
            shows_place=self.shows_place,
            beside=self.beside,
            has_budget=self.per in _SENT_BY_OTHERS,
            is_stream=self.per is Per.ENDPOINT,
            is_from_remote=self.is_from_remote,
            by_word=self.by_word,
            about=About.LOCAL if self.per in _OF_LOCAL else About.REMOTE,
        )

    @property
    def priority(self) -> HiddenPriority:
        """180000 for (a), 180001 for (b), and so on."""
        return _PRIORITIES[self.letter]


_REQUEST, _REPLY = ({"eth_type": ETH_ARP, "arp_op": operation} for operation in (ARP_REQUEST, ARP_REPLY))
_ICMPV6 = {"eth_type": ETH_IPV6, "ip_proto": IP_ICMPV6}
_SOLICITATION = {**_ICMPV6, "icmpv6_type": NEIGHBOUR_SOLICITATION}
_ADVERTISEMENT = {**_ICMPV6, "icmpv6_type": NEIGHBOUR_ADVERTISEMENT}
_TCP4, _TCP6 = ({"eth_type": eth_type, "ip_proto": IP_TCP} for eth_type in (ETH_IPV4, ETH_IPV6))
_UDP4, _UDP6 = ({"eth_type": eth_type, "ip_proto": IP_UDP} for eth_type in (ETH_IPV4, ETH_IPV6))
_DHCP = {**_UDP4, "udp_src": DHCP_CLIENT, "udp_dst": DHCP_SERVER, "in_port": LOCAL}
_DHCPV6 = {**_UDP6, "udp_src": DHCPV6_CLIENT, "udp_dst": DHCPV6_SERVER, "in_port": LOCAL}
# Pieces of a datagram behind the first have no ports.
_LATER4, _LATER6 = ({**udp, "ip_frag": FRAG_ANY | FRAG_LATER} for udp in (_UDP4, _UDP6))
_V4, _V6 = (("ipv4_src", "ipv4_dst"), ("ipv6_src", "ipv6_dst"))
_ECHO4, _ECHO_ANSWER4 = (
    {"eth_type": ETH_IPV4, "ip_proto": IP_ICMP, "icmpv4_type": kind} for kind in (ICMP_ECHO_REQUEST, ICMP_ECHO_REPLY)
)
_ECHO6, _ECHO_ANSWER6 = ({**_ICMPV6, "icmpv6_type": kind} for kind in (ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY))
_UNREACHABLE = {"eth_type": ETH_IPV4, "ip_proto": IP_ICMP, "icmpv4_type": ICMP_UNREACHABLE}
# Reports and ends of version 1 (RFC 2710, 3.1) and reports of version 2 (RFC 3810, 4): which groups a host listens to.
# Those of LOCAL of a switch behind come in by another port.
_CLIENT4, _CLIENT6 = ({name: value for name, value in each.items() if name != "in_port"} for each in (_DHCP, _DHCPV6))
_LISTENER_MESSAGES = (LISTENER_REPORT, LISTENER_DONE, LISTENER_REPORT_2)

_ROWS = (
    RuleKind(
        "a",
        Per.BRIDGE,
        "DHCP requests from LOCAL",
        "DHCPv6 requests, router solicitations and listener reports from LOCAL",
        "the bridge's interface gets its address and its routes; a switch on the way that sends multicast only where "
        "it is listened to lets neighbour solicitations come back",
        (Pattern(_DHCP, "eth_src"),),
        (
            Pattern(_DHCPV6, "eth_src"),
            *(
                Pattern({**_ICMPV6, "icmpv6_type": kind, "in_port": LOCAL}, "eth_src")
                for kind in (ROUTER_SOLICITATION, *_LISTENER_MESSAGES)
            ),
        ),
    ),
    RuleKind(
        "b",
        Per.BRIDGE,
        "ARP replies to the bridge's MAC",
        "neighbour advertisements to it",
        "this switch hears the answers to its questions",
        (Pattern(_REPLY, "eth_dst"),),
        (Pattern(_ADVERTISEMENT, "eth_dst"),),
    ),
    RuleKind(
        "c",
        Per.BRIDGE,
        "ARP requests from the bridge's MAC",
        "neighbour solicitations from it",
        "this switch asks for its next hop",
        (Pattern(_REQUEST, "eth_src"),),
        (Pattern(_SOLICITATION, "eth_src"),),
    ),
    RuleKind(
        "d",
        Per.HOP_MAC,
        "ARP replies to it",
        "neighbour advertisements to it",
        "the next hop hears the answers of this switch and of switches behind it",
        (Pattern(_REPLY, "eth_dst"),),
        (Pattern(_ADVERTISEMENT, "eth_dst"),),
    ),
    RuleKind(
        "e",
        Per.HOP_MAC,
        "ARP requests from it",
        "neighbour solicitations from it",
        "the next hop asks for this switch and for switches behind it",
        (Pattern(_REQUEST, "eth_src"),),
        (Pattern(_SOLICITATION, "eth_src"),),
    ),
    RuleKind(
        "f",
        Per.ADDRESS,
        "ARP replies whose target it is",
        "neighbour advertisements sent to it",
        "a remote or gateway hears answers, also while its MAC is not known here",
        (Pattern(_REPLY, "arp_tpa"),),
        (Pattern(_ADVERTISEMENT, "ipv6_dst"),),
    ),
    RuleKind(
        "g",
        Per.ADDRESS,
        "ARP requests whose sender it is",
        "neighbour solicitations sent from it",
        "a remote or gateway asks, also while its MAC is not known here",
        (Pattern(_REQUEST, "arp_spa"),),
        (Pattern(_SOLICITATION, "ipv6_src"),),
        shows_place=True,
    ),
    RuleKind(
        "h",
        Per.ENDPOINT,
        "TCP to it",
        "TCP to it",
        "the connection, of this switch and of switches behind it",
        (Pattern(_TCP4, "ipv4_dst", "tcp_dst"),),
        (Pattern(_TCP6, "ipv6_dst", "tcp_dst"),),
    ),
    RuleKind(
        "i",
        Per.ENDPOINT,
        "TCP from it",
        "TCP from it",
        "the other direction of it",
        (Pattern(_TCP4, "ipv4_src", "tcp_src"),),
        (Pattern(_TCP6, "ipv6_src", "tcp_src"),),
        is_from_remote=True,
    ),
    RuleKind(
        "j",
        Per.ADDRESS,
        "ARP requests for it",
        "neighbour solicitations for it",
        "a switch behind this one asks for its next hop: without this its first question is dropped here, and a row "
        "of switches never starts",
        (Pattern(_REQUEST, "arp_tpa"),),
        (Pattern(_SOLICITATION, "ipv6_nd_target"),),
        beside=True,
    ),
    RuleKind(
        "k",
        Per.ADDRESS,
        "ARP replies from it",
        "neighbour advertisements for it",
        "the answer to that",
        (Pattern(_REPLY, "arp_spa"),),
        (Pattern(_ADVERTISEMENT, "ipv6_nd_target"),),
        shows_place=True,
        beside=True,
    ),
    RuleKind(
        "l",
        Per.LOCAL_ADDRESS,
        "ARP requests for it and replies from it",
        "neighbour solicitations and advertisements for it",
        "whoever has to send to this switch asks for it, from an address that is not known here: a router on the way "
        "back, a pair of routers that share a gateway's address, a DHCP server; duplicate address detection hears and "
        "is heard",
        (Pattern(_REQUEST, "arp_tpa"), Pattern(_REPLY, "arp_spa")),
        (Pattern(_SOLICITATION, "ipv6_nd_target"), Pattern(_ADVERTISEMENT, "ipv6_nd_target")),
    ),
    RuleKind(
        "m",
        Per.SERVER,
        "UDP and TCP to its port 53",
        "the same",
        "questions for remotes' names, of this switch and of switches behind it, and no others",
        (
            Pattern({**_UDP4, "udp_dst": DNS_PORT}, "ipv4_dst"),
            Pattern({**_TCP4, "tcp_dst": DNS_PORT}, "ipv4_dst"),
        ),
        (
            Pattern({**_UDP6, "udp_dst": DNS_PORT}, "ipv6_dst"),
            Pattern({**_TCP6, "tcp_dst": DNS_PORT}, "ipv6_dst"),
        ),
        check=PayloadCheck.DNS,
    ),
    RuleKind(
        "n",
        Per.SERVER,
        "UDP and TCP from its port 53",
        "the same",
        "the answers to them",
        (
            Pattern({**_UDP4, "udp_src": DNS_PORT}, "ipv4_src"),
            Pattern({**_TCP4, "tcp_src": DNS_PORT}, "ipv4_src"),
        ),
        (
            Pattern({**_UDP6, "udp_src": DNS_PORT}, "ipv6_src"),
            Pattern({**_TCP6, "tcp_src": DNS_PORT}, "ipv6_src"),
        ),
        check=PayloadCheck.DNS,
    ),
    RuleKind(
        "o",
        Per.SERVICE,
        "TCP or UDP to it from the switches' networks",
        "the same",
        "time, logs, traps: what this switch and switches behind it open or send to a manager",
        (
            Pattern(_TCP4, "tcp_dst", within=_V4[::-1]),
            Pattern(_UDP4, "udp_dst", within=_V4[::-1]),
            Pattern(_LATER4, within=_V4[::-1]),
        ),
        (
            Pattern(_TCP6, "tcp_dst", within=_V6[::-1]),
            Pattern(_UDP6, "udp_dst", within=_V6[::-1]),
            Pattern(_LATER6, within=_V6[::-1]),
        ),
    ),
    RuleKind(
        "p",
        Per.SERVICE,
        "TCP or UDP from it to the switches' networks",
        "the same",
        "the answers to it",
        (Pattern(_TCP4, "tcp_src", within=_V4), Pattern(_UDP4, "udp_src", within=_V4), Pattern(_LATER4, within=_V4)),
        (Pattern(_TCP6, "tcp_src", within=_V6), Pattern(_UDP6, "udp_src", within=_V6), Pattern(_LATER6, within=_V6)),
    ),
    RuleKind(
        "q",
        Per.CALLER,
        "TCP or UDP from it to the port, in the switches' networks",
        "the same",
        "ssh, SNMP and the like into this switch and into switches behind it",
        (
            Pattern(_TCP4, "tcp_dst", within=_V4),
            Pattern(_UDP4, "udp_dst", within=_V4),
            Pattern(_LATER4, within=_V4),
        ),
        (
            Pattern(_TCP6, "tcp_dst", within=_V6),
            Pattern(_UDP6, "udp_dst", within=_V6),
            Pattern(_LATER6, within=_V6),
        ),
    ),
    RuleKind(
        "r",
        Per.CALLER,
        "TCP or UDP to it from the port, in the switches' networks",
        "the same",
        "the answers to it",
        (
            Pattern(_TCP4, "tcp_src", within=_V4[::-1]),
            Pattern(_UDP4, "udp_src", within=_V4[::-1]),
            Pattern(_LATER4, within=_V4[::-1]),
        ),
        (
            Pattern(_TCP6, "tcp_src", within=_V6[::-1]),
            Pattern(_UDP6, "udp_src", within=_V6[::-1]),
            Pattern(_LATER6, within=_V6[::-1]),
        ),
    ),
    RuleKind(
        "s",
        Per.CALLER_PLACE,
        "ICMP echo requests from it to the switches' networks",
        "the same",
        "monitoring sees the box",
        (Pattern(_ECHO4, within=_V4),),
        (Pattern(_ECHO6, within=_V6),),
    ),
    RuleKind(
        "t",
        Per.CALLER_PLACE,
        "ICMP echo replies to it from the switches' networks",
        "the same",
        "the answers to it",
        (Pattern(_ECHO_ANSWER4, within=_V4[::-1]),),
        (Pattern(_ECHO_ANSWER6, within=_V6[::-1]),),
    ),
    RuleKind(
        "u",
        Per.NETWORK,
        "ICMP unreachable to it (fragmentation needed too) that quotes a packet which a rule takes",
        "ICMP unreachable and packet too big, likewise",
        "a protected connection learns what its path can carry, and that it has ended",
        (Pattern(_UNREACHABLE, within=("ipv4_dst",)),),
        tuple(
            Pattern({**_ICMPV6, "icmpv6_type": kind}, within=("ipv6_dst",))
            for kind in (ICMPV6_UNREACHABLE, ICMPV6_PACKET_TOO_BIG)
        ),
        check=PayloadCheck.ICMP_ERROR,
    ),
    RuleKind(
        "v",
        Per.NEAR_CALLERS,
        "ARP between it and the switches' network",
        "neighbour solicitations and advertisements from it to the switches' network, and back",
        "a network of managers has no one address that (f), (g), (j), (k) could name",
        tuple(
            Pattern(kind, within=within)
            for kind in (_REQUEST, _REPLY)
            for within in (("arp_spa", "arp_tpa"), ("arp_tpa", "arp_spa"))
        ),
        (
            Pattern(_SOLICITATION, within=("ipv6_src", "ipv6_nd_target")),
            Pattern(_SOLICITATION, within=("ipv6_nd_target", "ipv6_src")),
            Pattern(_ADVERTISEMENT, within=("ipv6_dst", "ipv6_nd_target")),
            Pattern(_ADVERTISEMENT, within=("ipv6_nd_target", "ipv6_dst")),
        ),
        beside=True,
    ),
    RuleKind(
        "w",
        Per.CLIENT,
        "DHCP requests from it, on ports with neighbours of the network's key",
        "DHCPv6 requests, router solicitations and listener reports from it, likewise",
        "a switch behind this one gets its address and its routes",
        (Pattern(_CLIENT4, "eth_src"),),
        (
            Pattern(_CLIENT6, "eth_src"),
            *(
                Pattern({**_ICMPV6, "icmpv6_type": kind}, "eth_src")
                for kind in (ROUTER_SOLICITATION, *_LISTENER_MESSAGES)
            ),
        ),
        by_word=True,
    ),
)

LETTERS: Mapping[str, RuleKind] = {kind.letter: kind for kind in _ROWS}
"""Every kind of rule by its letter, in the order of letters and priorities."""

_PRIORITIES = {letter: HiddenPriority(FIRST_PRIORITY + place) for place, letter in enumerate(LETTERS)}
