"""Setting a field in a frame's bytes, with every checksum that covers it kept right.

The table SLOTS says where each field of a flow key is; one function writes any of them. Checksums are updated from
the difference, never computed anew: that costs the same for 64 bytes and 64 kB, and a checksum that was wrong stays
wrong, so a switch never turns a damaged packet into a good one.

A checksum that the sender left to its network card (``Offload.csum_start``) is different: its field holds the
sum of the pseudo-header, not complemented, and the card will cover the rest. There only changes to the pseudo-header
count, and they count with the other sign.

A field that the packet does not have, or that no packet has (metadata, ip_frag), is left alone.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.fields import FIELDS
from inband.packet import sums
from inband.packet.frame import Frame, Offload
from inband.packet.headers import Layout, locate, u16


class Slot(NamedTuple):
    """A field's ``bits`` are ``shift`` bits from the right end of ``size`` bytes at ``offset`` in a header.

    All slots start at an even byte of what checksums cover and are even in size, so that a change of the bytes as a
    number is the change of their sum (ipv6_proto, one byte, is summed as a number by itself: RFC 8200, 8.1).
    """

    header: str
    offset: int
    size: int
    shift: int = 0
    bits: int = 0

    def read(self, data: bytes | bytearray, at: int) -> int:
        """The field's value, its header standing at ``at``."""
        number = int.from_bytes(data[at + self.offset : at + self.offset + self.size], "big")
        return number >> self.shift & (1 << self.bits) - 1


_PLACES: dict[str, tuple[Slot, ...]] = {
    "eth_dst": (Slot("ethernet", 0, 6),),
    "eth_src": (Slot("ethernet", 6, 6),),
    "eth_type": (Slot("eth_type", 0, 2),),
    "vlan_vid": (Slot("vlan", 0, 2, bits=12),),  # OFPVID_PRESENT is not on the wire
    "vlan_pcp": (Slot("vlan", 0, 2, shift=13),),
    "ip_dscp": (Slot("ipv4", 0, 2, shift=2), Slot("ipv6", 0, 2, shift=6)),
    "ip_ecn": (Slot("ipv4", 0, 2), Slot("ipv6", 0, 2, shift=4)),
    "ip_proto": (Slot("ipv4", 8, 2), Slot("ipv6_proto", 0, 1)),
    "ip_ttl": (Slot("ipv4", 8, 2, shift=8), Slot("ipv6", 6, 2)),
    "ipv4_src": (Slot("ipv4", 12, 4),),
    "ipv4_dst": (Slot("ipv4", 16, 4),),
    "tcp_src": (Slot("tcp", 0, 2),),
    "tcp_dst": (Slot("tcp", 2, 2),),
    "tcp_flags": (Slot("tcp", 12, 2),),
    "udp_src": (Slot("udp", 0, 2),),
    "udp_dst": (Slot("udp", 2, 2),),
    "sctp_src": (Slot("sctp", 0, 2),),
    "sctp_dst": (Slot("sctp", 2, 2),),
    "icmpv4_type": (Slot("icmpv4", 0, 2, shift=8),),
    "icmpv4_code": (Slot("icmpv4", 0, 2),),
    "arp_op": (Slot("arp", 6, 2),),
    "arp_sha": (Slot("arp", 8, 6),),
    "arp_spa": (Slot("arp", 14, 4),),
    "arp_tha": (Slot("arp", 18, 6),),
    "arp_tpa": (Slot("arp", 24, 4),),
    "ipv6_src": (Slot("ipv6", 8, 16),),
    "ipv6_dst": (Slot("ipv6", 24, 16),),
    "ipv6_flabel": (Slot("ipv6", 0, 4),),
    "icmpv6_type": (Slot("icmpv6", 0, 2, shift=8),),
    "icmpv6_code": (Slot("icmpv6", 0, 2),),
    "ipv6_nd_target": (Slot("nd", 8, 16),),
    "ipv6_nd_sll": (Slot("nd_sll", 0, 6),),
    "ipv6_nd_tll": (Slot("nd_tll", 0, 6),),
    "mpls_label": (Slot("mpls", 0, 4, shift=12),),
    "mpls_tc": (Slot("mpls", 0, 4, shift=9),),
    "mpls_bos": (Slot("mpls", 0, 4, shift=8),),
    "mpls_ttl": (Slot("mpls", 0, 4),),
    "pbb_isid": (Slot("pbb", 0, 4),),
}

SLOTS: dict[str, tuple[Slot, ...]] = {
    name: tuple(slot._replace(bits=slot.bits or FIELDS[name].bits) for slot in slots) for name, slots in _PLACES.items()
}
"""Where each field is; of several, the one whose header the packet has."""

_PSEUDO_HEADER = ("ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "ip_proto")

# Where the checksum is in a transport header, and whether a pseudo-header is part of it.
_SUMS = {"tcp": (16, True), "udp": (6, True), "icmpv6": (2, True), "icmpv4": (2, False)}
_IN_TRANSPORT = {"tcp", "udp", "icmpv4", "icmpv6", "nd", "nd_sll", "nd_tll"}


def set_field(frame: Frame, name: str, value: int, mask: int | None = None) -> Frame:
    """The frame with the bits of ``mask`` (None: all) of a field set; the same frame if it has no such field."""
    layout = locate(frame.data)
    found = find_slot(layout, name)
    if found is None:
        return frame
    slot, at = found
    at += slot.offset
    old = int.from_bytes(frame.data[at : at + slot.size], "big")
    ones = (1 << slot.bits) - 1
    bits = (ones if mask is None else mask & ones) << slot.shift
    new = old & ~bits | value << slot.shift & bits
    if new == old:
        return frame
    data = bytearray(frame.data)
    data[at : at + slot.size] = new.to_bytes(slot.size, "big")
    _update_sums(data, layout, frame.offload, name, slot, at, old, new)
    return Frame(bytes(data), frame.offload)


def read_field(data: bytes, name: str) -> int | None:
    """A field's value in a frame, or None if the frame has no such field."""
    found = find_slot(locate(data), name)
    return found[0].read(data, found[1]) if found else None


def find_slot(layout: Layout, name: str) -> tuple[Slot, int] | None:
    """Where a field is in this frame: its slot and its header's first byte."""
    for slot in SLOTS.get(name, ()):
        at = layout.places.get(slot.header)
        if at is not None:
            return slot, at
    return None


def _update_sums(
    data: bytearray, layout: Layout, offload: Offload | None, name: str, slot: Slot, at: int, old: int, new: int
) -> None:
    """Correct every checksum that covers the ``slot.size`` bytes at ``at``, now ``new`` and ``old`` before."""
    change = new - old
    if slot.header == "ipv4":
        update_ipv4_header(data, layout.places["ipv4"], change)
    if slot.header == "sctp":
        _update_crc(data, layout, offload, at, old ^ new)
    elif name in _PSEUDO_HEADER:
        # What the last hop will see as the destination is in the routing header (RFC 8200, 8.1).
        if not (name == "ipv6_dst" and layout.routed):
            _update_transport(data, layout, offload, change, in_pseudo_header=True)
    elif slot.header in _IN_TRANSPORT:
        _update_transport(data, layout, offload, change, in_pseudo_header=False)


def update_ipv4_header(data: bytearray, at: int, change: int) -> None:
    """Correct the header checksum of the IPv4 header at ``at`` for a change of its sum."""
    _put16(data, at + 10, sums.update(u16(data, at + 10), change))


def _update_transport(
    data: bytearray, layout: Layout, offload: Offload | None, change: int, *, in_pseudo_header: bool
) -> None:
    for name, (offset, has_pseudo_header) in _SUMS.items():
        start = layout.places.get(name)
        if start is None or (in_pseudo_header and not has_pseudo_header):
            continue
        at = start + offset
        old = u16(data, at)
        if offload is not None and (offload.csum_start, offload.csum_offset) == (start, offset):
            if in_pseudo_header:
                _put16(data, at, sums.fold(old + change))
        elif name != "udp":
            _put16(data, at, sums.update(old, change))
        elif old:  # 0: the sender sent none (RFC 768); a sum of 0 is sent as 0xffff
            _put16(data, at, sums.update(old, change) or 0xFFFF)


def _update_crc(data: bytearray, layout: Layout, offload: Offload | None, at: int, delta: int) -> None:
    """SCTP's CRC32c for two bytes changed by ``delta`` (old XOR new); a CRC left to the card covers them anyway."""
    start = layout.places["sctp"]
    if offload is not None and offload.csum_start == start:
        return
    crc = int.from_bytes(data[start + 8 : start + 12], "big")
    crc ^= sums.crc32c_change(delta.to_bytes(2, "big"), layout.end - at - 2)
    data[start + 8 : start + 12] = crc.to_bytes(4, "big")


def _put16(data: bytearray, at: int, value: int) -> None:
    data[at : at + 2] = value.to_bytes(2, "big")
