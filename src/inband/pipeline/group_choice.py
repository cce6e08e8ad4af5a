"""Which buckets of a group a packet takes (OpenFlow 1.3.5, 5.6.1): all, the one, one by hash, or the first live one.

A select group's choice must hold for every packet that a cached decision serves, so it is a function of the packet's
addresses and ports only, and depends on exactly the bits that were hashed. It is weighted rendezvous hashing: each
bucket draws a number from the hash, the highest wins. A bucket that dies or comes back moves only its own share of the
flows, and the same flow takes the same bucket after a restart.

The program in the kernel (``bpf/groups.h``) chooses as well, and the same. So all is in whole numbers of up to 64 bits.

Fragments are hashed without ports, which only the first of them has: the pieces of a datagram stay together.
"""

from __future__ import annotations

from collections.abc import Iterator

from inband.flow import ports
from inband.flow.fields import FIELDS, Field
from inband.flow.groups import Bucket
from inband.pipeline.packet_state import PacketState
from inband.pipeline.ports import PortTable
from inband.table.groups import GroupBucket, GroupEntry, GroupTable
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4, ETH_IPV6, IP_SCTP, IP_TCP, IP_UDP
from inband.vocabulary.openflow import ANY_GROUP, GroupType


def _bits(*names: str) -> int:
    return sum(FIELDS[name].mask for name in names)


_ETHERNET = _bits("eth_src", "eth_dst", "eth_type", "vlan_vid")


def _fields(*names: str) -> tuple[Field, Field]:
    source, destination = (FIELDS[name] for name in names)
    return source, destination


_NETWORK = {
    ETH_IPV4: _fields("ipv4_src", "ipv4_dst"),
    ETH_IPV6: _fields("ipv6_src", "ipv6_dst"),
    ETH_ARP: _fields("arp_spa", "arp_tpa"),
}
_TRANSPORT = {
    IP_TCP: _fields("tcp_src", "tcp_dst"),
    IP_UDP: _fields("udp_src", "udp_dst"),
    IP_SCTP: _fields("sctp_src", "sctp_dst"),
}
_ETH_TYPE, _IP_PROTO, _IP_FRAG = FIELDS["eth_type"], FIELDS["ip_proto"], FIELDS["ip_frag"]
_ETH_SRC, _ETH_DST, _VLAN_VID = FIELDS["eth_src"], FIELDS["eth_dst"], FIELDS["vlan_vid"]

_32_BITS, _64_BITS = (1 << 32) - 1, (1 << 64) - 1
_GOLDEN_RATIO = 0x9E3779B97F4A7C15
"""Its digits: an odd number whose multiples are spread (Knuth, The Art of Computer Programming, volume 3, 6.4)."""
_ONE = 1 << 32
# Between two powers of two the logarithm is x + x * (1 - x) * (a - x * (b - x * c)): this is right to 0.2 % of what is
# left to the next power. Value and slope are right at both ends, the value in the middle too.
_BEND = (1901360723, 1062306863, 357749427)

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
    """One of them, by the packet's flow, in proportion to the weights; of equals the first."""
    if len(buckets) < 2:
        return buckets
    flow = _hash_of_flow(packet, group_id)
    chosen, weight, nearest = buckets[0], 0, 0
    for bucket in buckets:
        left = doublings_left(_spread(flow ^ bucket.identity))
        if not weight or left * weight < nearest * bucket.bucket.weight:
            chosen, weight, nearest = bucket, bucket.bucket.weight, left
    return (chosen,)


def _hash_of_flow(packet: PacketState, group_id: int) -> int:
    """A number of 32 bits that all packets of a flow have, by bits that the decision depends on from now on."""
    number = group_id
    for word in _words(packet):
        number = (number ^ word) * _GOLDEN_RATIO & _64_BITS
        number ^= number >> 32
    return number & _32_BITS


def _words(packet: PacketState) -> Iterator[int]:
    """What says which flow a packet belongs to, in words of 32 bits."""
    packet.depend_on(_ETHERNET)
    key = packet.key
    addresses = _ETH_DST.get(key) << 48 | _ETH_SRC.get(key)
    yield from (addresses >> 64, addresses >> 32 & _32_BITS, addresses & _32_BITS)
    eth_type = _ETH_TYPE.get(key)
    yield eth_type << 16 | _VLAN_VID.get(key)
    is_ip = eth_type in (ETH_IPV4, ETH_IPV6)
    yield packet.get(_IP_PROTO) if is_ip else 0
    transport = _TRANSPORT.get(_IP_PROTO.get(key)) if is_ip and not packet.get(_IP_FRAG) else None
    yield packet.get(transport[0]) << 16 | packet.get(transport[1]) if transport is not None else 0
    for field in _NETWORK.get(eth_type, ()):
        address = packet.get(field)
        for shift in range(field.bits - 32, -1, -32):
            yield address >> shift & _32_BITS


def doublings_left(number: int) -> int:
    """How far a number of 32 bits is from 2^32, in doublings, and these by 2^-32; never 0.

    The number is drawn, and taken in its middle. So this is exponentially distributed; of some that are divided by
    weights the least is a bucket's as often as its weight says.
    """
    odd = 2 * number + 1  # 33 bits
    left = 34 - odd.bit_length()
    fraction = (odd << left - 1) - _ONE
    a, b, c = _BEND
    bend = a - ((b - (c * fraction >> 32)) * fraction >> 32)
    return (left << 32) - fraction - ((fraction * (_ONE - fraction) >> 32) * bend >> 32)


def _spread(number: int) -> int:
    """Have all bits depend on all (the finaliser of MurmurHash3)."""
    number = (number ^ number >> 16) * 0x85EBCA6B & _32_BITS
    number = (number ^ number >> 13) * 0xC2B2AE35 & _32_BITS
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
