"""A frame as the switch holds it: bytes, and what the sender left for its network card to finish.

A frame from a veth interface often carries only the pseudo-header sum as its TCP or UDP checksum, and may be a TCP
segment of 64 kB that a card would cut. Offload says so; the sender of the frame must pass it on or do the
work (``inband.packet.checksum``). ``data`` always has its VLAN tags in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class GsoType(IntEnum):
    """VIRTIO_NET_HDR_GSO_* (virtio 1.2, 5.1.6). ECN is a bit beside the type: the first segment has TCP's CWR flag."""

    NONE = 0
    TCPV4 = 1
    UDP = 3
    TCPV6 = 4
    UDP_L4 = 5
    ECN = 0x80


@dataclass(frozen=True, slots=True)
class Offload:
    """Work left to the sender (virtio 1.2, 5.1.6, struct virtio_net_hdr).

    ``csum_start`` and ``csum_offset`` count bytes from the frame's start and from csum_start (-1: the checksum is
    complete). ``gso_size`` is the payload bytes per segment, ``hdr_len`` the bytes of headers before it.
    """

    csum_start: int = -1
    csum_offset: int = 0
    gso_type: int = GsoType.NONE
    gso_size: int = 0
    hdr_len: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame without its FCS."""

    data: bytes
    offload: Offload | None = None

    @property
    def segments(self) -> int:
        """How many packets on a wire this frame is (1 unless it waits to be cut)."""
        offload = self.offload
        if offload is None or not offload.gso_size:
            return 1
        return max(1, -(-(len(self.data) - offload.hdr_len) // offload.gso_size))
