"""struct virtio_net_hdr, in which Linux gives and takes offload on AF_PACKET sockets (PACKET_VNET_HDR, packet(7)).

Ten bytes in the machine's own byte order (not virtio 1.0's little endian, unless the socket was told so): flags, GSO
type, bytes of headers, GSO size, checksum start, checksum offset (include/uapi/linux/virtio_net.h).

AF_PACKET delivers VLAN tags beside the frame (PACKET_AUXDATA) and counts the offsets as if there were none;
``restore_vlan`` puts the tag back and ``shift_offload`` makes the offsets right again.
"""

from __future__ import annotations

from struct import Struct

from inband.errors import WireError
from inband.packet.frame import GsoType, Offload
from inband.packet.tags import insert_vlan, shift_offload

_HEADER = Struct("=BBHHHH")
VNET_SIZE = _HEADER.size

_NEEDS_CSUM = 1

VLAN_TAG_SIZE = 4
"""By how much ``restore_vlan`` makes a frame longer."""

NOTHING_LEFT = bytes(VNET_SIZE)
"""The header of a frame that is as it is to be."""


def parse_vnet(header: bytes | bytearray | memoryview) -> Offload | None:
    """The offload in the first 10 bytes of ``header``; None if nothing is left to do. WireError when it is cut."""
    if len(header) < VNET_SIZE:
        raise WireError(f"virtio_net_hdr: {len(header)} bytes where {VNET_SIZE} are needed")
    if not header[0] & _NEEDS_CSUM and not header[1]:  # nearly always
        return None
    flags, gso_type, hdr_len, gso_size, csum_start, csum_offset = _HEADER.unpack_from(header)
    if not flags & _NEEDS_CSUM:
        csum_start, csum_offset = -1, 0
    if gso_type == GsoType.NONE:
        hdr_len = gso_size = 0  # hdr_len alone says how much of a frame is linear memory: nothing left to do
    return Offload(csum_start, csum_offset, gso_type, gso_size, hdr_len)


def build_vnet(offload: Offload | None) -> bytes:
    """The 10 bytes that ask the kernel for this work. Numbers that do not fit 16 bits are cut to them."""
    if offload is None:
        return NOTHING_LEFT
    gso = (offload.gso_type & 0xFF, offload.hdr_len & 0xFFFF, offload.gso_size & 0xFFFF)
    if offload.csum_start < 0:
        return _HEADER.pack(0, *gso, 0, 0)
    return _HEADER.pack(_NEEDS_CSUM, *gso, offload.csum_start & 0xFFFF, offload.csum_offset & 0xFFFF)


def restore_vlan(data: bytes, tci: int, tpid: int) -> bytes:
    """The frame with the tag that the kernel had taken out (tp_vlan_tci, tp_vlan_tpid) back in its place."""
    return insert_vlan(data, tci, tpid)


def restore_vlan_offload(offload: Offload | None) -> Offload | None:
    """The offload that fits the frame ``restore_vlan`` made."""
    return shift_offload(offload, VLAN_TAG_SIZE)
