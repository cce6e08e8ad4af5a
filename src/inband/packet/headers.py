"""Where the headers of a frame are: what an editor and a checksum need, as the parser sees it.

``locate`` agrees with ``inband.packet.parse``: a header has a place here exactly when the parser takes fields from
it (a test holds the two together). They are two functions because the parser runs per packet and wants values, while
an editor wants offsets and may take its time.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.fields import FRAG_LATER
from inband.packet import ipv6
from inband.packet.parse import (
    ARP_ETHERNET_IPV4,
    MAX_IPV4_TOTAL,
    MAX_VLAN_TAGS,
    MIN_ETH_TYPE,
    ND_LINK_ADDRESS,
    NO_ETH_TYPE,
    SNAP,
    VLAN_TYPES,
    find_link_address,
)
from inband.vocabulary.numbers import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_MPLS,
    ETH_MPLS_MC,
    ETH_PBB,
    IP_ICMP,
    IP_ICMPV6,
    IP_SCTP,
    IP_TCP,
    IP_UDP,
    NEIGHBOUR_SOLICITATION,
)

Data = bytes | bytearray

MPLS_TYPES = (ETH_MPLS, ETH_MPLS_MC)

# More labels or service tags than any network stacks; without a bound a frame of nothing else would be costly.
MAX_SHIMS = 16

# Name and least size of the transport headers we know, by protocol. ICMP belongs to IPv4, ICMPv6 to IPv6.
_V4_TRANSPORTS = {IP_TCP: ("tcp", 20), IP_UDP: ("udp", 8), IP_SCTP: ("sctp", 12), IP_ICMP: ("icmpv4", 8)}
_V6_TRANSPORTS = {IP_TCP: ("tcp", 20), IP_UDP: ("udp", 8), IP_SCTP: ("sctp", 12), IP_ICMPV6: ("icmpv6", 8)}


class Layout(NamedTuple):
    """Offsets from the frame's start.

    ``places`` has the first byte of each header that is there and whole: ethernet, vlan (the outermost tag's TCI),
    eth_type (behind all tags, unless there is none), arp, mpls (outermost entry), pbb (I-TAG), ipv4, ipv6, ipv6_proto
    (the byte that names the transport), tcp, udp, sctp, icmpv4, icmpv6, nd (the same byte as icmpv6), nd_sll and
    nd_tll (the addresses). For IP, the packet ends before ``end``; ``routed`` is as in ``ipv6.Chain``.
    """

    places: dict[str, int]
    end: int = 0
    routed: bool = False


def u16(data: Data, at: int) -> int:
    """The 16-bit number in network order at a byte."""
    return data[at] << 8 | data[at + 1]


def locate(data: Data) -> Layout:
    """Find the headers of a frame; a frame shorter than 14 bytes has none."""
    places: dict[str, int] = {}
    if len(data) < 14:
        return Layout(places)
    places["ethernet"] = 0
    type_at = 12
    eth_type = u16(data, 12)
    for _ in range(MAX_VLAN_TAGS):
        if eth_type not in VLAN_TYPES or len(data) < type_at + 6:
            break
        places.setdefault("vlan", type_at + 2)
        type_at += 4
        eth_type = u16(data, type_at)
    if eth_type < MIN_ETH_TYPE:
        type_at, eth_type = _snap(data, type_at)
    if eth_type != NO_ETH_TYPE:
        places["eth_type"] = type_at
    return _network(data, places, eth_type, type_at + 2)


def _snap(data: Data, type_at: int) -> tuple[int, int]:
    if len(data) >= type_at + 10 and data[type_at + 2 : type_at + 8] == SNAP:
        eth_type = u16(data, type_at + 8)
        if eth_type >= MIN_ETH_TYPE:
            return type_at + 8, eth_type
    return type_at, NO_ETH_TYPE


def _network(data: Data, places: dict[str, int], eth_type: int, at: int) -> Layout:
    if eth_type == ETH_IPV4 and (end := ipv4_end(data, at)):
        return _ipv4(data, places, at, end)
    if eth_type == ETH_IPV6 and (end := ipv6_end(data, at)):
        return _ipv6(data, places, at, end)
    if eth_type == ETH_ARP and len(data) >= at + 28 and data[at : at + 6] == ARP_ETHERNET_IPV4:
        places["arp"] = at
    elif eth_type in MPLS_TYPES and len(data) >= at + 4:
        places["mpls"] = at
    elif eth_type == ETH_PBB and len(data) >= at + 4:
        places["pbb"] = at
    return Layout(places)


def _ipv4(data: Data, places: dict[str, int], at: int, end: int) -> Layout:
    places["ipv4"] = at
    if not u16(data, at + 6) & 0x1FFF:  # later fragments have no transport header
        _transport(places, _V4_TRANSPORTS, data[at + 9], at + ipv4_header_size(data, at), end)
    return Layout(places, end)


def _ipv6(data: Data, places: dict[str, int], at: int, end: int) -> Layout:
    chain = ipv6.walk(data, at, end)
    places["ipv6"] = at
    places["ipv6_proto"] = chain.named_at
    if not chain.fault and not chain.frag & FRAG_LATER:
        _transport(places, _V6_TRANSPORTS, chain.proto, chain.at, end)
        if "icmpv6" in places:
            _neighbour_discovery(data, places, chain.at, end)
    return Layout(places, end, chain.routed)


def _transport(places: dict[str, int], transports: dict[int, tuple[str, int]], proto: int, at: int, end: int) -> None:
    name, size = transports.get(proto, ("", 0))
    if name and end - at >= size:
        places[name] = at


def _neighbour_discovery(data: Data, places: dict[str, int], at: int, end: int) -> None:
    kind = data[at]
    if kind not in ND_LINK_ADDRESS or data[at + 1] or end - at < 24:
        return
    places["nd"] = at
    address_at, _ = find_link_address(data, at + 24, end, ND_LINK_ADDRESS[kind])
    if address_at:
        places["nd_sll" if kind == NEIGHBOUR_SOLICITATION else "nd_tll"] = address_at


def ipv4_header_size(data: Data, at: int) -> int:
    """Bytes of the IPv4 header at a byte, options included."""
    return (data[at] & 15) * 4


def ipv4_end(data: Data, at: int) -> int:
    """Where the IPv4 packet at a byte ends, or 0 if there is no whole and sane header and packet."""
    if len(data) < at + 20 or data[at] >> 4 != 4:
        return 0
    header, total, rest = ipv4_header_size(data, at), u16(data, at + 2), len(data) - at
    if not total and rest > MAX_IPV4_TOTAL:
        total = rest
    return at + total if 20 <= header <= total <= rest else 0


def ipv6_end(data: Data, at: int) -> int:
    """Where the IPv6 packet at a byte ends, or 0 if there is no whole and sane header and packet."""
    if len(data) < at + 40 or data[at] >> 4 != 6:
        return 0
    rest = len(data) - at - 40
    payload = ipv6.payload_length(u16(data, at + 4), rest)
    return at + 40 + payload if payload <= rest else 0


def ip_below_mpls(data: Data, at: int) -> int:
    """Where the IP header below the label stack at a byte starts, or 0.

    The stack does not say what is below it; that it parses as IPv4 or IPv6 does.
    """
    below = _below_mpls(data, at)
    return below if below and (ipv4_end(data, below) or ipv6_end(data, below)) else 0


def _below_mpls(data: Data, at: int) -> int:
    """Where the label stack at a byte ends, or 0."""
    for entry_at in range(at, min(len(data) - 3, at + 4 * MAX_SHIMS), 4):
        if data[entry_at + 2] & 1:
            return entry_at + 4
    return 0


def _ip_below_hidden_tags(data: Data, at: int) -> int:
    """As ``ip_below_mpls`` for labels that were pushed in front of tags: the type of the first is the label's now."""
    below = _below_mpls(data, at)
    for _ in range(MAX_VLAN_TAGS if below else 0):
        if len(data) < below + 4:
            return 0
        eth_type, below = u16(data, below + 2), below + 4
        if (eth_type == ETH_IPV4 and ipv4_end(data, below)) or (eth_type == ETH_IPV6 and ipv6_end(data, below)):
            return below
        if eth_type not in VLAN_TYPES:
            return 0
    return 0


def innermost_ip(data: Data) -> int:
    """Where the IP header starts, looking below MPLS and PBB too, or 0."""
    start = 0
    for _ in range(MAX_SHIMS):
        places = locate(data[start:] if start else data).places
        if "mpls" in places:
            mpls_at = start + places["mpls"]
            return ip_below_mpls(data, mpls_at) or _ip_below_hidden_tags(data, mpls_at)
        if "pbb" not in places:
            at = places.get("ipv4") or places.get("ipv6")
            return start + at if at else 0
        start += places["pbb"] + 4
    return 0
