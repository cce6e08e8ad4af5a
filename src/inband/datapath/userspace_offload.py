"""The virtio_net_hdr in front of a received frame, read and mended in place (virtio 1.2, 5.1.6).

The switching loop works on one buffer: vnet header, then frame. Frames that need no other treatment are sent with
the header they came with, so it is mended here rather than turned into an Offload; ``packet.vnet`` does that for
frames that leave the loop.
"""

from __future__ import annotations

from struct import Struct

from inband.packet.frame import GsoType

VNET_SIZE = 10
TAG_SIZE = 4

# flags, gso_type, hdr_len, gso_size, csum_start; in the machine's byte order on a packet socket.
_VNET = Struct("=BBHHH")
_HDR_LEN = Struct("=H")
_NEEDS_CSUM = 1
# VIRTIO_NET_HDR_GSO_ECN may be set beside the type.
_GSO_TYPE = 0x7F


def shift_offload(buffer: bytearray) -> None:
    """Offsets count from the frame's start: a tag was put in before what they point at."""
    flags, gso_type, header_size, gso_size, checksum_start = _VNET.unpack_from(buffer)
    if flags & _NEEDS_CSUM:
        checksum_start += TAG_SIZE
    if gso_type:
        header_size += TAG_SIZE
    _VNET.pack_into(buffer, 0, flags, gso_type, header_size, gso_size, checksum_start)


def count_segments(buffer: bytearray, end: int) -> int:
    """Packets on a wire that the frame ``buffer[VNET_SIZE:end]`` will be.

    The kernel's hdr_len tells how its memory is laid out, not how long the headers are; it is corrected here, so that
    counting by it is right.
    """
    fields: tuple[int, ...] = _VNET.unpack_from(buffer)
    flags, gso_type, header_size, gso_size, transport = fields
    if not gso_type or not gso_size:
        return 1
    if flags & _NEEDS_CSUM and VNET_SIZE + transport + 13 <= end:
        is_udp = gso_type & _GSO_TYPE in (GsoType.UDP, GsoType.UDP_L4)
        header_size = transport + (8 if is_udp else (buffer[VNET_SIZE + transport + 12] >> 4) * 4)
        _HDR_LEN.pack_into(buffer, 2, header_size)
    return max(1, -(-(end - VNET_SIZE - header_size) // gso_size))
