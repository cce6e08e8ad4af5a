"""A frame's bytes become a flow key: what the packet is, in the one integer that flows are matched against.

This runs for every packet that no cache knows, so it is one pass over the headers with precompiled structs, and
each header's fields are joined while they are small: an ``|`` on the whole key of some 1,700 bits costs ten times one
on the hundred bits of a header.

It never raises. As in Open vSwitch's flow extraction, fields are taken as far as the headers are whole and make
sense, the rest stay 0, and eth_type stays what the frame said; ``parse_checked`` names what was wrong, for counters.

Where we go beyond Open vSwitch: eth_type is the type after all VLAN tags (OpenFlow 1.3.5, 7.2.3.8), not after the
first two; the target of a neighbour solicitation or advertisement stays when an option behind it is broken, because
to miss a control packet is the worse error (in-band control, principle 4).

It is not a validator: checksums are not looked at, and a header it does not know is not a fault.
"""

from __future__ import annotations

from struct import Struct

from inband.flow.fields import FIELDS, FRAG_ANY, FRAG_LATER, INNER_VLAN, VLAN_PRESENT, FlowKey
from inband.packet import ipv6
from inband.vocabulary.numbers import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_MPLS,
    ETH_MPLS_MC,
    ETH_PBB,
    ETH_QINQ,
    ETH_VLAN,
    IP_ICMP,
    IP_ICMPV6,
    IP_SCTP,
    IP_TCP,
    IP_UDP,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
)

# The type of a frame without one: a length field, and no SNAP header behind it (OFP_DL_TYPE_NOT_ETH_TYPE,
# OpenFlow 1.0, 3.4). Type fields below 0x600 are lengths (IEEE 802.3, 3.2.6).
NO_ETH_TYPE = 0x05FF
MIN_ETH_TYPE = 0x0600
VLAN_TYPES = (ETH_VLAN, ETH_QINQ)

# More tags than any network stacks; without a bound a frame of nothing but tags would cost a millisecond.
MAX_VLAN_TAGS = 16

# A longer packet has 0 as its length: a TCP segment that waits to be cut (Linux's BIG TCP).
MAX_IPV4_TOTAL = 0xFFFF

# The PCP is beside the VID in a key.
_VID_BITS = FIELDS["vlan_vid"].bits

# LLC and SNAP header announcing an Ethernet type (IEEE 802-2014, 9.2).
SNAP = b"\xaa\xaa\x03\x00\x00\x00"

# Hardware type Ethernet, protocol IPv4, and their address lengths: the start of every ARP message we read (RFC 826).
ARP_ETHERNET_IPV4 = b"\x00\x01\x08\x00\x06\x04"

_ETHERNET = Struct(">HIHIH")
_TAG = Struct(">HH")
_IPV4 = Struct(">BBH2xHBB2xII")
_IPV6 = Struct(">IHBBQQQQ")
_PORTS = Struct(">HH")
_TCP = Struct(">HH8xH")
_ARP = Struct(">HHIIHII")
_WORD = Struct(">I")
_ADDRESS = Struct(">QQ")
_LINK_ADDRESS = Struct(">HI")

SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS = 1, 2
# The option of each neighbour discovery message that OpenFlow has a field for (RFC 4861, 4.3 and 4.4).
ND_LINK_ADDRESS = {NEIGHBOUR_SOLICITATION: SOURCE_LINK_ADDRESS, NEIGHBOUR_ADVERTISEMENT: TARGET_LINK_ADDRESS}

_ETH_DST = FIELDS["eth_dst"].shift
_ETH_SRC = FIELDS["eth_src"].shift
_ETH_TYPE = FIELDS["eth_type"].shift
_VLAN_VID = FIELDS["vlan_vid"].shift
_INNER_VLAN = INNER_VLAN.shift
_IP_DSCP = FIELDS["ip_dscp"].shift
_IP_ECN = FIELDS["ip_ecn"].shift
_IP_PROTO = FIELDS["ip_proto"].shift
_IPV4_SRC = FIELDS["ipv4_src"].shift
_IPV4_DST = FIELDS["ipv4_dst"].shift
_TCP_SRC, _TCP_DST = FIELDS["tcp_src"].shift, FIELDS["tcp_dst"].shift
_UDP_SRC, _UDP_DST = FIELDS["udp_src"].shift, FIELDS["udp_dst"].shift
_SCTP_SRC, _SCTP_DST = FIELDS["sctp_src"].shift, FIELDS["sctp_dst"].shift
_ICMPV4_TYPE, _ICMPV4_CODE = FIELDS["icmpv4_type"].shift, FIELDS["icmpv4_code"].shift
_ICMPV6_TYPE, _ICMPV6_CODE = FIELDS["icmpv6_type"].shift, FIELDS["icmpv6_code"].shift
_ARP_OP = FIELDS["arp_op"].shift
_ARP_SPA, _ARP_TPA = FIELDS["arp_spa"].shift, FIELDS["arp_tpa"].shift
_ARP_SHA, _ARP_THA = FIELDS["arp_sha"].shift, FIELDS["arp_tha"].shift
_IPV6_SRC, _IPV6_DST = FIELDS["ipv6_src"].shift, FIELDS["ipv6_dst"].shift
_IPV6_FLABEL = FIELDS["ipv6_flabel"].shift
_IPV6_EXTHDR = FIELDS["ipv6_exthdr"].shift
_ND_TARGET = FIELDS["ipv6_nd_target"].shift
_ND_SLL, _ND_TLL = FIELDS["ipv6_nd_sll"].shift, FIELDS["ipv6_nd_tll"].shift
_MPLS_LABEL, _MPLS_TC = FIELDS["mpls_label"].shift, FIELDS["mpls_tc"].shift
_MPLS_BOS, _MPLS_TTL = FIELDS["mpls_bos"].shift, FIELDS["mpls_ttl"].shift
_PBB_ISID = FIELDS["pbb_isid"].shift
_IP_FRAG, _IP_TTL = FIELDS["ip_frag"].shift, FIELDS["ip_ttl"].shift
_TCP_FLAGS = FIELDS["tcp_flags"].shift

_Parsed = tuple[int, str | None]
"""Bits of a key, and the first fault met."""


def parse(frame: bytes, in_port: int) -> FlowKey:
    """The flow key of an Ethernet frame (without FCS); fields of headers that are cut or senseless are 0."""
    return parse_checked(frame, in_port)[0]


def parse_checked(frame: bytes, in_port: int) -> tuple[FlowKey, str | None]:
    """As ``parse``, and what was wrong first, or None. The faults are few and fixed: they name counters."""
    if len(frame) < 14:
        return FlowKey(in_port), "short ethernet"
    dst_high, dst_low, src_high, src_low, eth_type = _ETHERNET.unpack_from(frame)
    key = in_port | (dst_high << 32 | dst_low) << _ETH_DST | (src_high << 32 | src_low) << _ETH_SRC
    at = 14
    fault = None
    if eth_type in VLAN_TYPES:
        bits, eth_type, at, fault = _vlan(frame, eth_type)
        key |= bits
    if eth_type < MIN_ETH_TYPE:
        eth_type, at = _snap(frame, at)
    key |= eth_type << _ETH_TYPE
    reader = _READERS.get(eth_type)
    if reader is not None and fault is None:
        bits, fault = reader(frame, at)
        key |= bits
    return FlowKey(key), fault


def _vlan(frame: bytes, eth_type: int) -> tuple[int, int, int, str | None]:
    """Bits of the two outermost tags, the type behind all tags, and where that type's header starts."""
    at = 14
    bits = 0
    shift = _VLAN_VID
    for _ in range(MAX_VLAN_TAGS):
        if eth_type not in VLAN_TYPES:
            break
        if len(frame) < at + 4:
            return bits, eth_type, at, "short vlan"
        tci, eth_type = _TAG.unpack_from(frame, at)
        at += 4
        if shift:
            bits |= (tci & 0xFFF | VLAN_PRESENT | tci >> 13 << _VID_BITS) << shift
            shift = _INNER_VLAN if shift == _VLAN_VID else 0
    return bits, eth_type, at, None


def _snap(frame: bytes, at: int) -> tuple[int, int]:
    """The type in an 802.3 frame's SNAP header, and where that type's header starts."""
    if frame[at : at + 6] == SNAP and len(frame) >= at + 8:
        eth_type = frame[at + 6] << 8 | frame[at + 7]
        if eth_type >= MIN_ETH_TYPE:
            return eth_type, at + 8
    return NO_ETH_TYPE, at


def _ipv4(frame: bytes, at: int) -> _Parsed:
    size = len(frame) - at
    if size < 20:
        return 0, "short ipv4"
    version_and_length, tos, total, frag_word, ttl, proto, src, dst = _IPV4.unpack_from(frame, at)
    header = (version_and_length & 15) * 4
    if version_and_length >> 4 != 4:
        return 0, "bad ipv4 version"
    if header < 20:
        return 0, "bad ipv4 header length"
    if not header <= total <= size:
        if total or size <= MAX_IPV4_TOTAL:
            return 0, "bad ipv4 total length"
        total = size
    bits = tos >> 2 << _IP_DSCP | (tos & 3) << _IP_ECN | proto << _IP_PROTO | src << _IPV4_SRC | dst << _IPV4_DST
    fault = None
    if not frag_word & 0x3FFF:
        high = ttl << _IP_TTL
    elif frag_word & 0x1FFF:
        return bits | ttl << _IP_TTL | (FRAG_ANY | FRAG_LATER) << _IP_FRAG, None
    else:
        high = ttl << _IP_TTL | FRAG_ANY << _IP_FRAG
    reader = _V4_READERS.get(proto)
    if reader is not None:
        more, fault = reader(frame, at + header, at + total)
        bits |= more
    return bits | high, fault


def _ipv6(frame: bytes, at: int) -> _Parsed:
    size = len(frame) - at
    if size < 40:
        return 0, "short ipv6"
    first, payload, proto, ttl, src_high, src_low, dst_high, dst_low = _IPV6.unpack_from(frame, at)
    if first >> 28 != 6:
        return 0, "bad ipv6 version"
    if not payload:
        payload = ipv6.payload_length(payload, size - 40)
    elif payload > size - 40:
        return 0, "bad ipv6 payload length"
    end = at + 40 + payload
    bits = (first >> 22 & 63) << _IP_DSCP | (first >> 20 & 3) << _IP_ECN
    high = (src_high << 64 | src_low) << _IPV6_SRC | (dst_high << 64 | dst_low) << _IPV6_DST
    high |= (first & 0xFFFFF) << _IPV6_FLABEL | ttl << _IP_TTL
    if proto in ipv6.EXTENSIONS:
        chain = ipv6.walk(frame, at, end)
        proto, at = chain.proto, chain.at
        high |= chain.exthdr << _IPV6_EXTHDR | chain.frag << _IP_FRAG
        if chain.fault or chain.frag & FRAG_LATER:
            return bits | proto << _IP_PROTO | high, chain.fault
    else:
        at += 40
    bits |= proto << _IP_PROTO
    fault = None
    reader = _V6_READERS.get(proto)
    if reader is not None:
        more, fault = reader(frame, at, end)
        high |= more
    return bits | high, fault


def _tcp(frame: bytes, at: int, end: int) -> _Parsed:
    if end - at < 20:
        return 0, "short tcp"
    src, dst, flags = _TCP.unpack_from(frame, at)
    return src << _TCP_SRC | dst << _TCP_DST | (flags & 0xFFF) << _TCP_FLAGS, None


def _udp(frame: bytes, at: int, end: int) -> _Parsed:
    if end - at < 8:
        return 0, "short udp"
    src, dst = _PORTS.unpack_from(frame, at)
    return src << _UDP_SRC | dst << _UDP_DST, None


def _sctp(frame: bytes, at: int, end: int) -> _Parsed:
    if end - at < 12:
        return 0, "short sctp"
    src, dst = _PORTS.unpack_from(frame, at)
    return src << _SCTP_SRC | dst << _SCTP_DST, None


def _icmpv4(frame: bytes, at: int, end: int) -> _Parsed:
    if end - at < 8:
        return 0, "short icmp"
    return frame[at] << _ICMPV4_TYPE | frame[at + 1] << _ICMPV4_CODE, None


def _icmpv6(frame: bytes, at: int, end: int) -> _Parsed:
    if end - at < 8:
        return 0, "short icmpv6"
    kind, code = frame[at], frame[at + 1]
    bits = kind << _ICMPV6_TYPE | code << _ICMPV6_CODE
    if kind not in ND_LINK_ADDRESS or code:
        return bits, None
    if end - at < 24:
        return bits, "short neighbour discovery"
    high, low = _ADDRESS.unpack_from(frame, at + 8)
    bits |= (high << 64 | low) << _ND_TARGET
    address_at, fault = find_link_address(frame, at + 24, end, ND_LINK_ADDRESS[kind])
    if address_at:
        high, low = _LINK_ADDRESS.unpack_from(frame, address_at)
        bits |= (high << 32 | low) << (_ND_SLL if kind == NEIGHBOUR_SOLICITATION else _ND_TLL)
    return bits, fault


def find_link_address(frame: bytes | bytearray, at: int, end: int, wanted: int) -> tuple[int, str | None]:
    """Where the Ethernet address in the first option of the wanted kind is (RFC 4861, 4.6.1), or 0.

    Options are from ``at`` to ``end``. When one is broken none is believed, as hosts do.
    """
    address_at = 0
    while at < end:
        size = frame[at + 1] * 8 if at + 2 <= end else 0
        if not size or at + size > end:
            return 0, "bad neighbour discovery option"
        if frame[at] == wanted and size == 8 and not address_at:
            address_at = at + 2
        at += size
    return address_at, None


def _arp(frame: bytes, at: int) -> _Parsed:
    if len(frame) < at + 28:
        return 0, "short arp"
    if frame[at : at + 6] != ARP_ETHERNET_IPV4:
        return 0, "arp not for ipv4 over ethernet"
    op, sha_high, sha_low, spa, tha_high, tha_low, tpa = _ARP.unpack_from(frame, at + 6)
    addresses = spa << _ARP_SPA | tpa << _ARP_TPA
    hosts = (sha_high << 32 | sha_low) << _ARP_SHA | (tha_high << 32 | tha_low) << _ARP_THA
    return op << _ARP_OP | addresses | hosts, None


def _mpls(frame: bytes, at: int) -> _Parsed:
    if len(frame) < at + 4:
        return 0, "short mpls"
    (entry,) = _WORD.unpack_from(frame, at)
    low = entry >> 12 << _MPLS_LABEL | (entry >> 9 & 7) << _MPLS_TC | (entry >> 8 & 1) << _MPLS_BOS
    return low | (entry & 0xFF) << _MPLS_TTL, None


def _pbb(frame: bytes, at: int) -> _Parsed:
    if len(frame) < at + 4:
        return 0, "short pbb"
    (tag,) = _WORD.unpack_from(frame, at)
    return (tag & 0xFFFFFF) << _PBB_ISID, None


_READERS = {
    ETH_IPV4: _ipv4,
    ETH_IPV6: _ipv6,
    ETH_ARP: _arp,
    ETH_MPLS: _mpls,
    ETH_MPLS_MC: _mpls,
    ETH_PBB: _pbb,
}
_V4_READERS = {IP_TCP: _tcp, IP_UDP: _udp, IP_SCTP: _sctp, IP_ICMP: _icmpv4}
_V6_READERS = {IP_TCP: _tcp, IP_UDP: _udp, IP_SCTP: _sctp, IP_ICMPV6: _icmpv6}
