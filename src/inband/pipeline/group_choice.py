"""Which buckets of a group a packet takes (OpenFlow 1.3.5, 5.6.1): all, the one, one by hash, or the first live one.

A select group's choice must hold for every packet that a cached decision serves, so it is a function of the packet's
addresses and ports only, and depends on exactly the bits that were hashed. It is weighted rendezvous hashing: each
bucket draws a number from the hash, the highest wins. A bucket that dies or comes back moves only its own share of the
flows, and the same flow takes the same bucket after a restart.

Fragments are hashed without ports, which only the first of them has: the pieces of a datagram stay together.
"""

from __future__ import annotations

from math import log
from zlib import crc32

from inband.flow import ports
from inband.flow.fields import FIELD_BITS, FIELDS
from inband.flow.groups import Bucket
from inband.pipeline.packet_state import PacketState
from inband.pipeline.ports import PortTable
from inband.table.groups import GroupBucket, GroupEntry, GroupTable
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_SCTP, IP_TCP, IP_UDP
from inband.vocabulary.openflow import ANY_GROUP, GroupType


def _bits(*names: str) -> int:
    return sum(FIELDS[name].mask for name in names)


_ETHERNET = _bits("eth_src", "eth_dst", "eth_type", "vlan_vid")
_NETWORK = {
    ETH_IPV4: _bits("ipv4_src", "ipv4_dst", "ip_proto"),
    ETH_IPV6: _bits("ipv6_src", "ipv6_dst", "ip_proto"),
    ETH_ARP: _bits("arp_spa", "arp_tpa"),
}
_TRANSPORT = {
    IP_TCP: _bits("tcp_src", "tcp_dst"),
    IP_UDP: _bits("udp_src", "udp_dst"),
    IP_SCTP: _bits("sctp_src", "sctp_dst"),
}
_ETH_TYPE, _IP_PROTO, _IP_FRAG = FIELDS["eth_type"], FIELDS["ip_proto"], FIELDS["ip_frag"]
_KEY_BYTES = (FIELD_BITS + 7) // 8


# Groups watched by one another, looked at to find out whether a bucket is live; more of them count as dead. The bound
# is for a controller that means harm: every packet of the slow path pays for the search.
_MAX_WATCHED = 64


def choose(
    group: GroupEntry, packet: PacketState, port_table: PortTable, groups: GroupTable
) -> tuple[GroupBucket, ...]:
    """The buckets that a packet takes, in order; notes on the packet what that depends on."""
    found = candidates(group, port_table, groups)
    return found if group.type is not GroupType.SELECT else _select(group.group_id, found, packet)


def candidates(group: GroupEntry, port_table: PortTable, groups: GroupTable) -> tuple[GroupBucket, ...]:
    """The buckets that all packets take, or of a select group those of which each packet takes one."""
    if group.type in (GroupType.ALL, GroupType.INDIRECT):
        return group.buckets
    live = (bucket for bucket in group.buckets if _is_live(bucket.bucket, port_table, groups))
    if group.type is GroupType.FF:
        first = next(live, None)
        return () if first is None else (first,)
    return tuple(bucket for bucket in live if bucket.bucket.weight)


def _select(group_id: int, buckets: tuple[GroupBucket, ...], packet: PacketState) -> tuple[GroupBucket, ...]:
    """One of them, by the packet's flow, in proportion to the weights."""
    if len(buckets) < 2:
        return buckets
    bits = _hashed(packet)
    packet.depend_on(bits)
    flow = crc32((packet.key & bits).to_bytes(_KEY_BYTES, "big"), group_id)
    return (max(buckets, key=lambda bucket: _draw(flow, bucket)),)


def _hashed(packet: PacketState) -> int:
    """The bits of a packet that say which flow it belongs to."""
    bits = _ETHERNET | _NETWORK.get(packet.get(_ETH_TYPE), 0)
    if bits & _IP_PROTO.mask and not packet.get(_IP_FRAG):
        bits |= _TRANSPORT.get(packet.get(_IP_PROTO), 0)
    return bits


def _draw(flow: int, bucket: GroupBucket) -> float:
    """A bucket's number for a flow: of several, the highest is a bucket's as often as its weight says."""
    uniform = (_mix(flow ^ bucket.identity) + 0.5) / (1 << 32)
    return -bucket.bucket.weight / log(uniform)


def _mix(number: int) -> int:
    """Spread a CRC, whose bits follow linearly from its input's (the finaliser of MurmurHash3)."""
    number = (number ^ number >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    number = (number ^ number >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ number >> 16


def _is_live(bucket: Bucket, port_table: PortTable, groups: GroupTable) -> bool:
    """Whether a bucket watches nothing, a live port, or a group with a live bucket (6.5, "Liveness")."""
    to_see = [bucket]
    seen: set[int] = set()
    while to_see:
        bucket = to_see.pop()
        watches_port, watches_group = bucket.watch_port != ports.ANY, bucket.watch_group != ANY_GROUP
        if not (watches_port or watches_group) or (watches_port and port_table.is_live(bucket.watch_port)):
            return True
        group = groups.get(bucket.watch_group) if watches_group else None
        if group is not None and group.group_id not in seen and len(seen) < _MAX_WATCHED:
            seen.add(group.group_id)
            to_see.extend(other.bucket for other in group.buckets)
    return False
