"""OpenFlow 1.0's fixed match of 40 bytes (1.0, 5.2.3) as a Match, and back.

A field counts only where its wildcard bit is clear AND the packets it could belong to are asked for: nw_src without
dl_type 0x0800 or 0x0806 says nothing, tp_dst without a transport in nw_proto neither. What says nothing is dropped on
the way in, so such a match comes out again with the wildcard bits set. A Match that says more than 1.0 can (IPv6
addresses, masks on MAC addresses, port 65280) loses that on the way out, as a 1.0 controller would see from any switch.

Two things that decide nothing come back as they were sent, as a Surplus: the priority of untagged packets and the upper
eight bits of ICMP's type and code. Of a VLAN and its priority the lower 12 and 3 bits count, as in Open vSwitch.

1.0 names IPv4 and its TCP, UDP and ICMP only. Controllers of its time match on protocol, ToS and ports of IPv6 and SCTP
too (dl_type 0x86dd, nw_proto 132), Open vSwitch understands them, and the os-ken suite asks for it; so do we.
"""

from __future__ import annotations

import struct

from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.match import NO_SURPLUS, Match, Surplus
from inband.openflow.errors import MalformedError
from inband.openflow.layout import is_narrow, narrow_port, widen_port
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_ICMP, IP_ICMPV6, IP_SCTP, IP_TCP, IP_UDP
from inband.vocabulary.openflow_errors import BadMatch

_STRUCT = struct.Struct("!IH6s6sHBxHBB2xIIHH")
SIZE = _STRUCT.size
ALL_WILDCARDS = 0x3FFFFF  # OFPFW_ALL
NO_VLAN = 0xFFFF  # OFP_VLAN_NONE
_IN_PORT, _VLAN, _SRC, _DST, _TYPE, _PROTO, _TP_SRC, _TP_DST = (1 << bit for bit in range(8))
_NW_SRC_SHIFT, _NW_DST_SHIFT = 8, 14
_PCP, _TOS = 1 << 20, 1 << 21
# Wildcard bits after everything was said: 32 is how "no bit of the address" is written (any value from 32 is).
_NOTHING = ALL_WILDCARDS & ~(0x1F << _NW_SRC_SHIFT | 0x1F << _NW_DST_SHIFT)

_Fields = dict[str, int | tuple[int, int]]
_PORTS = {IP_TCP: ("tcp_src", "tcp_dst"), IP_UDP: ("udp_src", "udp_dst"), IP_SCTP: ("sctp_src", "sctp_dst")}
_TRANSPORT = {
    ETH_IPV4: {**_PORTS, IP_ICMP: ("icmpv4_type", "icmpv4_code")},
    ETH_IPV6: {**_PORTS, IP_ICMPV6: ("icmpv6_type", "icmpv6_code")},
}
# What is in nw_proto, and in nw_src and nw_dst where they are wide enough.
_NETWORK: dict[int, tuple[str, ...]] = {
    ETH_IPV4: ("ip_proto", "ipv4_src", "ipv4_dst"),
    ETH_IPV6: ("ip_proto",),
    ETH_ARP: ("arp_op", "arp_spa", "arp_tpa"),
}


def decode_match10(data: bytes, pos: int) -> Match:
    """Read the 40 bytes at ``pos``. Raises MalformedError: OFPBMC_BAD_LEN."""
    return decode_flow_match10(data, pos)[0]


def decode_flow_match10(data: bytes, pos: int) -> tuple[Match, Surplus, bool]:
    """The same, what else the bytes say, and whether they wildcard nothing: such a flow is above all others (3.4)."""
    if len(data) - pos < SIZE:
        raise MalformedError(BadMatch.BAD_LEN, f"a match of {SIZE} bytes where {len(data) - pos} are left")
    wild, in_port, src, dst, vlan, pcp, kind, tos, proto, nw_src, nw_dst, tp_src, tp_dst = _STRUCT.unpack_from(
        data, pos
    )
    fields: _Fields = {}
    surplus = NO_SURPLUS
    if not wild & _IN_PORT:
        fields["in_port"] = widen_port(in_port)
    if not wild & _SRC:
        fields["eth_src"] = int.from_bytes(src, "big")
    if not wild & _DST:
        fields["eth_dst"] = int.from_bytes(dst, "big")
    _read_vlan(fields, None if wild & _VLAN else vlan, None if wild & _PCP else pcp)
    if not wild & (_VLAN | _PCP) and vlan == NO_VLAN:
        surplus = Surplus(pcp)
    if not wild & _TYPE:
        fields["eth_type"] = kind
        if kind in _NETWORK:
            addresses = (nw_src, _prefix(wild, _NW_SRC_SHIFT)), (nw_dst, _prefix(wild, _NW_DST_SHIFT))
            _read_network(fields, kind, None if wild & _PROTO else proto, addresses)
        if kind in _TRANSPORT:
            if not wild & _TOS:
                fields["ip_dscp"] = tos >> 2
            if not wild & _PROTO:
                ports = None if wild & _TP_SRC else tp_src, None if wild & _TP_DST else tp_dst
                surplus = _read_transport(fields, _TRANSPORT[kind].get(proto, ()), ports, surplus)
    return Match.of(**fields), surplus, not wild & ALL_WILDCARDS


def _prefix(wild: int, shift: int) -> int:
    """The address mask for a count of wildcarded low bits."""
    return 0xFFFFFFFF << min(32, wild >> shift & 0x3F) & 0xFFFFFFFF


def _read_vlan(fields: _Fields, vlan: int | None, pcp: int | None) -> None:
    if vlan == NO_VLAN:
        fields["vlan_vid"] = 0
        return  # a priority of no tag says nothing
    if vlan is not None:
        fields["vlan_vid"] = VLAN_PRESENT | vlan & 0xFFF
    if pcp is not None:
        fields.setdefault("vlan_vid", (VLAN_PRESENT, VLAN_PRESENT))
        fields["vlan_pcp"] = pcp & 7


def _read_network(fields: _Fields, kind: int, proto: int | None, addresses: tuple[tuple[int, int], ...]) -> None:
    proto_name, *names = _NETWORK[kind]
    if proto is not None:
        fields[proto_name] = proto
    for name, (address, mask) in zip(names, addresses, strict=False):  # IPv6 has no names here
        if mask:
            fields[name] = address, mask


def _read_transport(
    fields: _Fields, names: tuple[str, ...], ports: tuple[int | None, int | None], surplus: Surplus
) -> Surplus:
    """Read ports, or ICMP's type and code; what else they say is added to the surplus."""
    has_more = False
    for name, number in zip(names, ports, strict=False):  # no names: not a transport, so the ports say nothing
        if number is not None:
            ones = FIELDS[name].all_ones
            fields[name] = number & ones
            has_more |= number > ones
    return Surplus(surplus.pcp, *ports) if has_more else surplus


def encode_match10(match: Match, surplus: Surplus = NO_SURPLUS) -> bytes:
    """Write a match as 40 bytes, without what OpenFlow 1.0 cannot say, and with what it said besides."""
    wild = _NOTHING
    get = match.get
    in_port, src, dst, kind = get("in_port"), get("eth_src"), get("eth_dst"), get("eth_type")
    if in_port is not None and not is_narrow(in_port):
        in_port = None
    for bit, number in ((_IN_PORT, in_port), (_SRC, src), (_DST, dst), (_TYPE, kind)):
        wild &= ~bit if number is not None else -1
    proto = nw_src = nw_dst = tos = tp_src = tp_dst = 0
    if kind in _NETWORK:
        proto_name, *addresses = _NETWORK[kind]
        wild, proto = _clear(wild, _PROTO, get(proto_name))
        if addresses:
            wild, nw_src = _put_prefix(wild, _NW_SRC_SHIFT, match, addresses[0])
            wild, nw_dst = _put_prefix(wild, _NW_DST_SHIFT, match, addresses[1])
    if kind in _TRANSPORT:
        wild, tos = _clear(wild, _TOS, get("ip_dscp"))
        if not wild & _PROTO and proto in _TRANSPORT[kind]:
            src_name, dst_name = _TRANSPORT[kind][proto]
            wild, tp_src = _clear(wild, _TP_SRC, get(src_name))
            wild, tp_dst = _clear(wild, _TP_DST, get(dst_name))
    wild, vlan, pcp = _put_vlan(wild, match)
    if surplus is not NO_SURPLUS:
        wild, pcp = (wild, pcp) if surplus.pcp is None else (wild & ~_PCP, surplus.pcp)
        tp_src = tp_src if surplus.tp_src is None else surplus.tp_src
        tp_dst = tp_dst if surplus.tp_dst is None else surplus.tp_dst
    return _STRUCT.pack(
        wild,
        narrow_port(in_port or 0),
        (src or 0).to_bytes(6, "big"),
        (dst or 0).to_bytes(6, "big"),
        vlan,
        pcp,
        kind or 0,
        tos << 2,
        proto & 0xFF,
        nw_src,
        nw_dst,
        tp_src,
        tp_dst,
    )


def _clear(wild: int, bit: int, number: int | None) -> tuple[int, int]:
    """Wildcards and value with one more field, if it is given."""
    return (wild, 0) if number is None else (wild & ~bit, number)


def _put_prefix(wild: int, shift: int, match: Match, name: str) -> tuple[int, int]:
    mask = FIELDS[name].get(match.mask)
    wildcarded = 32 - mask.bit_count()
    if wildcarded == 32 or mask != 0xFFFFFFFF << wildcarded & 0xFFFFFFFF:
        return wild, 0  # nothing said, or a mask that is no prefix
    return wild & ~(0x3F << shift) | wildcarded << shift, FIELDS[name].get(match.value)


def _put_vlan(wild: int, match: Match) -> tuple[int, int, int]:
    vid, pcp = match.get("vlan_vid"), match.get("vlan_pcp")
    if vid == 0:
        return wild & ~_VLAN, NO_VLAN, 0
    vlan = 0
    if vid is not None:
        wild, vlan = wild & ~_VLAN, vid & 0xFFF
    if pcp is not None and FIELDS["vlan_vid"].get(match.value) & VLAN_PRESENT:
        wild &= ~_PCP
    else:
        pcp = 0
    return wild, vlan, pcp
