"""A frame for a flow key: the packet a person means who writes down its fields ("trace in_port=1,arp,...").

``parse(frame_of_key(key), in_port)`` gives ``key`` back when the key is consistent: every field's prerequisites hold,
and eth_type is one that a frame can carry. From other keys a frame is made of the fields that fit. Checksums are
right, payloads are empty, and pipeline fields are nowhere in a frame.

IPv6 extension headers are made in the order RFC 8200 recommends, so ipv6_exthdr's bits for repeated and misplaced
headers cannot be asked for. A fragment of IPv6 has a fragment header whether ipv6_exthdr says so or not.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from inband.flow.fields import FIELDS, FRAG_ANY, FRAG_LATER, VLAN_PRESENT, key_fields
from inband.packet import encode, ipv6
from inband.packet.headers import MPLS_TYPES
from inband.packet.parse import ARP_ETHERNET_IPV4, MIN_ETH_TYPE, ND_LINK_ADDRESS, NO_ETH_TYPE
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.numbers import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ETH_PBB,
    IP_ICMP,
    IP_ICMPV6,
    IP_SCTP,
    IP_TCP,
    IP_UDP,
    NEIGHBOUR_SOLICITATION,
)

_MORE_FRAGMENTS_V4 = 0x2000
_SECOND_FRAGMENT_V4 = 1  # an offset of 8 bytes
_MORE_FRAGMENTS_V6 = 1
_SECOND_FRAGMENT_V6 = 8

_EXTENSION_ORDER = (ipv6.HOP_BY_HOP, ipv6.DESTINATION, ipv6.ROUTING, ipv6.FRAGMENT, ipv6.AUTH)

# 24 bytes, the smallest authentication header whose size is a multiple of 8, as IPv6 wants (RFC 4302, 2.2).
_AUTH_BODY = bytes((4,)) + bytes(22)
# 8 bytes: length 0, padding option PadN of 4 bytes (RFC 8200, 4.2), which is also a routing header with no segments
# left of an unknown type.
_PADDED_BODY = bytes((0, 1, 0, 0, 0, 0, 0))
_ROUTING_BODY = bytes((0, 4, 0, 0, 0, 0, 0))

Fields = dict[str, int]


def frame_of_key(key: int) -> bytes:
    """An Ethernet frame, not padded, that this key describes."""
    fields = {**dict.fromkeys(FIELDS, 0), **key_fields(key)}
    eth_type = fields["eth_type"]
    if eth_type < MIN_ETH_TYPE:
        eth_type = NO_ETH_TYPE
    vlan = None
    if fields["vlan_vid"] & VLAN_PRESENT:
        vlan = fields["vlan_pcp"] << 13 | fields["vlan_vid"] & 0xFFF
    return encode.ethernet(fields["eth_dst"], fields["eth_src"], eth_type, _body(eth_type, fields), vlan=vlan)


def _body(eth_type: int, fields: Fields) -> bytes:
    if eth_type == ETH_IPV4:
        return _ipv4(fields)
    if eth_type == ETH_IPV6:
        return _ipv6(fields)
    if eth_type == ETH_ARP:
        return _arp(fields)
    if eth_type in MPLS_TYPES:
        entry = fields["mpls_label"] << 12 | fields["mpls_tc"] << 9 | fields["mpls_bos"] << 8 | fields["mpls_ttl"]
        return entry.to_bytes(4, "big")
    if eth_type == ETH_PBB:
        return fields["pbb_isid"].to_bytes(4, "big") + bytes(14)
    return b""


def _arp(fields: Fields) -> bytes:
    sender = fields["arp_sha"].to_bytes(6, "big") + fields["arp_spa"].to_bytes(4, "big")
    target = fields["arp_tha"].to_bytes(6, "big") + fields["arp_tpa"].to_bytes(4, "big")
    return ARP_ETHERNET_IPV4 + fields["arp_op"].to_bytes(2, "big") + sender + target


def _ipv4(fields: Fields) -> bytes:
    src, dst = IPv4Address(fields["ipv4_src"]), IPv4Address(fields["ipv4_dst"])
    fragment = 0
    if fields["ip_frag"] & FRAG_LATER:
        fragment = _SECOND_FRAGMENT_V4
    elif fields["ip_frag"] & FRAG_ANY:
        fragment = _MORE_FRAGMENTS_V4
    payload = _transport(src, dst, fields) if not fields["ip_frag"] & FRAG_LATER else bytes(8)
    return encode.ipv4(src, dst, fields["ip_proto"], payload, ttl=fields["ip_ttl"], tos=_tos(fields), fragment=fragment)


def _tos(fields: Fields) -> int:
    return fields["ip_dscp"] << 2 | fields["ip_ecn"]


def _ipv6(fields: Fields) -> bytes:
    src, dst = IPv6Address(fields["ipv6_src"]), IPv6Address(fields["ipv6_dst"])
    payload = _transport(src, dst, fields)
    proto = fields["ip_proto"]
    bits = fields["ipv6_exthdr"]
    if fields["ip_frag"]:
        bits |= ipv6.BITS[ipv6.FRAGMENT]
    if fields["ip_frag"] & FRAG_LATER:
        proto, payload = ipv6.NO_NEXT, b""  # the parser never sees it, and reports "fragment"
    for extension in reversed(_EXTENSION_ORDER):
        if bits & ipv6.BITS[extension]:
            payload = bytes((proto,)) + _extension(extension, fields["ip_frag"]) + payload
            proto = extension
    return encode.ip(src, dst, proto, payload, ttl=fields["ip_ttl"], tos=_tos(fields), flow_label=fields["ipv6_flabel"])


def _extension(kind: int, frag: int) -> bytes:
    """An extension header but for its first byte, which names what follows."""
    if kind == ipv6.FRAGMENT:
        offset = _SECOND_FRAGMENT_V6 if frag & FRAG_LATER else _MORE_FRAGMENTS_V6 if frag else 0
        return bytes((0,)) + offset.to_bytes(2, "big") + bytes(4)
    if kind == ipv6.AUTH:
        return _AUTH_BODY
    return _ROUTING_BODY if kind == ipv6.ROUTING else _PADDED_BODY


def _transport(src: IpAddress, dst: IpAddress, fields: Fields) -> bytes:
    proto = fields["ip_proto"]
    if proto == IP_TCP:
        return encode.tcp(src, dst, fields["tcp_src"], fields["tcp_dst"], flags=fields["tcp_flags"])
    if proto == IP_UDP:
        return encode.udp(src, dst, fields["udp_src"], fields["udp_dst"])
    if proto == IP_SCTP:
        return encode.sctp(fields["sctp_src"], fields["sctp_dst"])
    if proto == IP_ICMP and src.version == 4:
        return encode.icmpv4(fields["icmpv4_type"], fields["icmpv4_code"])
    if proto == IP_ICMPV6 and src.version == 6:
        return _icmpv6(src, dst, fields)
    return bytes(8)


def _icmpv6(src: IpAddress, dst: IpAddress, fields: Fields) -> bytes:
    kind, code = fields["icmpv6_type"], fields["icmpv6_code"]
    body = bytes(4)
    if kind in ND_LINK_ADDRESS and not code:
        address = fields["ipv6_nd_sll" if kind == NEIGHBOUR_SOLICITATION else "ipv6_nd_tll"]
        body += fields["ipv6_nd_target"].to_bytes(16, "big")
        if address:
            body += bytes((ND_LINK_ADDRESS[kind], 1)) + address.to_bytes(6, "big")
    return encode.icmpv6(src, dst, kind, code, body)
