"""Pushing and popping VLAN tags, MPLS shims and PBB tags.

New headers go where OpenFlow 1.3.5 wants them: directly behind the Ethernet addresses, before whatever tags are
there (7.2.5 and 5.12), so an MPLS shim pushed on a tagged frame hides the tag, and popping it with ethertype 0x8100
shows it again. Fields of a new header are copied from the next header that has them, else 0 (5.12.1).

What the sender left to its network card moves with the bytes behind the change (``shift_offload``).

Frames that lack what a pop asks for, or the 14 bytes a push needs, stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

from inband.packet.frame import Frame, Offload
from inband.packet.headers import MPLS_TYPES, locate, u16
from inband.packet.parse import MIN_ETH_TYPE, VLAN_TYPES
from inband.packet.set_field import SLOTS, read_field
from inband.vocabulary.numbers import ETH_PBB

# Where the ethertype is: right behind the two addresses.
_TYPE_AT = 12


def shift_offload(offload: Offload | None, moved: int) -> Offload | None:
    """The offload of a frame whose headers became ``moved`` bytes longer (negative: shorter), all before csum_start."""
    if offload is None:
        return None
    return replace(
        offload,
        csum_start=max(0, offload.csum_start + moved) if offload.csum_start >= 0 else -1,
        hdr_len=max(0, offload.hdr_len + moved) if offload.hdr_len else 0,
    )


def _changed(frame: Frame, data: bytes) -> Frame:
    return Frame(data, shift_offload(frame.offload, len(data) - len(frame.data)))


def insert_vlan(data: bytes, tci: int, eth_type: int) -> bytes:
    """``data`` with a tag of this TCI and ethertype behind its addresses."""
    return data[:_TYPE_AT] + eth_type.to_bytes(2, "big") + tci.to_bytes(2, "big") + data[_TYPE_AT:]


def count_vlan_tags(data: bytes) -> int:
    """How many VLAN tags are in front of what a frame carries."""
    at = _TYPE_AT
    while int.from_bytes(data[at : at + 2], "big") in VLAN_TYPES:
        at += 4
    return (at - _TYPE_AT) // 4


def push_vlan(frame: Frame, eth_type: int) -> Frame:
    """A new outermost tag with the VID and PCP of the one that was outermost."""
    places = locate(frame.data).places
    if not places:
        return frame
    tci = u16(frame.data, places["vlan"]) & 0xEFFF if "vlan" in places else 0
    return _changed(frame, insert_vlan(frame.data, tci, eth_type))


def pop_vlan(frame: Frame) -> Frame:
    """Without the outermost tag."""
    data = frame.data
    if "vlan" not in locate(data).places:
        return frame
    return _changed(frame, data[:_TYPE_AT] + data[_TYPE_AT + 4 :])


def push_mpls(frame: Frame, eth_type: int) -> Frame:
    """A new outermost shim: label, TC and TTL of the one that was outermost, else TTL of the IP header."""
    data = frame.data
    if len(data) < 14 or u16(data, _TYPE_AT) < MIN_ETH_TYPE:
        return frame  # an 802.3 frame has no type that the shim's could take the place of
    mpls_at = locate(data).places.get("mpls")
    if mpls_at is not None:
        entry = int.from_bytes(data[mpls_at : mpls_at + 4], "big") & ~_BOTTOM
    else:
        entry = read_field(data, "ip_ttl") or 0
    if u16(data, _TYPE_AT) not in MPLS_TYPES:
        entry |= _BOTTOM
    return _changed(frame, data[:_TYPE_AT] + eth_type.to_bytes(2, "big") + entry.to_bytes(4, "big") + data[14:])


_BOTTOM = 1 << SLOTS["mpls_bos"][0].shift


def pop_mpls(frame: Frame, eth_type: int) -> Frame:
    """Without the outermost shim; what remains is of type ``eth_type``."""
    data = frame.data
    places = locate(data).places
    if "mpls" not in places:
        return frame
    type_at, mpls_at = places["eth_type"], places["mpls"]
    return _changed(frame, data[:type_at] + eth_type.to_bytes(2, "big") + data[mpls_at + 4 :])


def push_pbb(frame: Frame, eth_type: int = ETH_PBB) -> Frame:
    """A new Ethernet header with an I-TAG around the whole frame; addresses, I-SID and PCP copied from it."""
    data = frame.data
    if len(data) < 14:
        return frame
    isid = read_field(data, "pbb_isid") or 0
    pcp = read_field(data, "vlan_pcp") or 0
    return _changed(frame, data[:12] + eth_type.to_bytes(2, "big") + (pcp << 29 | isid).to_bytes(4, "big") + data)


def pop_pbb(frame: Frame) -> Frame:
    """The customer's frame from inside; VLAN tags that stood before the I-TAG stay in front."""
    data = frame.data
    pbb_at = locate(data).places.get("pbb")
    if pbb_at is None or len(data) < pbb_at + 4 + 14:
        return frame
    inner_at = pbb_at + 4
    outer_tags = data[_TYPE_AT : pbb_at - 2]
    return _changed(frame, data[inner_at : inner_at + 12] + outer_tags + data[inner_at + 12 :])
