"""Doing what a sender left to its network card: finish the checksum, cut the segments.

Frames from veth interfaces come with a transport checksum that holds only the pseudo-header's sum, and as TCP segments
of up to 64 kB (``inband.packet.frame``). On the way to another veth they may stay so; on the way to a controller, to
a capture or through an action that a card would not understand the work has to be done, here.

Both trust the offload for where the checksum is, as the kernel does, and look at the headers only to cut. Offload that
does not fit the frame is dropped: it came from our own kernel or it is rubbish.
"""

from __future__ import annotations

from dataclasses import replace

from inband.packet import ipv6, sums
from inband.packet.frame import Frame, GsoType, Offload
from inband.packet.headers import Data, innermost_ip, ipv4_header_size, locate, u16

_TCP_SUM, _UDP_SUM, _SCTP_SUM = 16, 6, 8

# What the length fields of IPv4 and UDP can say.
_MAX_PACKET = 0xFFFF

_FIN, _PSH, _CWR = 0x01, 0x08, 0x80


def complete(frame: Frame) -> Frame:
    """The frame with its checksum finished and no offload left.

    A frame that waits to be cut becomes one whole packet with a right checksum; ``segment`` cuts it.
    """
    offload = frame.offload
    if offload is None:
        return frame
    start, at = offload.csum_start, offload.csum_start + offload.csum_offset
    if start < 0 or at + 2 > len(frame.data):
        return Frame(frame.data)
    data = bytearray(frame.data)
    if _is_sctp(data, offload):
        end = locate(data).end
        data[at : at + 4] = bytes(4)
        data[at : at + 4] = sums.crc32c(memoryview(data)[start:end]).to_bytes(4, "big")
    else:
        # The field's own content, the pseudo-header's sum, is part of what is summed.
        value = sums.checksum(memoryview(data)[start:])
        data[at : at + 2] = _written(value, offload.csum_offset).to_bytes(2, "big")
    return Frame(bytes(data))


def _written(value: int, csum_offset: int) -> int:
    """UDP writes a sum of 0 as 0xffff, for 0 means that there is none (RFC 768)."""
    return value or 0xFFFF if csum_offset == _UDP_SUM else value


def _is_sctp(data: Data, offload: Offload) -> bool:
    """Linux leaves SCTP's CRC to the card as well, and a virtio header cannot tell it from an Internet checksum."""
    return offload.csum_offset == _SCTP_SUM and locate(data).places.get("sctp") == offload.csum_start


def segment(frame: Frame) -> list[Frame]:
    """The finished frames that a card would send for this one: none has offload left.

    TCP over IPv4 and IPv6, of more than 64 kB too, and UDP_L4 are cut into payloads of ``gso_size`` bytes, below MPLS
    and PBB too; IPv4 identifications count up, CWR stays with the first, FIN and PSH with the last segment. Anything
    else comes back as one complete frame.
    """
    offload = frame.offload
    if offload is None:
        return [frame]
    data, offload = _without_jumbo_header(frame.data, offload)
    ip_at, payload_at = _headers(data, offload)
    count = -(-(len(data) - payload_at) // offload.gso_size) if payload_at else 1
    if count <= 1:
        return [complete(frame)]
    return [_segment(data, offload, ip_at, payload_at, index, count) for index in range(count)]


def _without_jumbo_header(data: bytes, offload: Offload) -> tuple[bytes, Offload]:
    """A frame and its offload without the header that only packets of more than 64 kB have, as no segment is."""
    ip_at = innermost_ip(data) if len(data) > ipv6.MAX_PAYLOAD else 0
    if not ip_at or data[ip_at] >> 4 != 6 or not ipv6.has_jumbo_header(data, ip_at, len(data)):
        return data, offload
    shorter = ipv6.without_jumbo_header(data, ip_at)
    moved = len(data) - len(shorter)
    header = max(0, offload.hdr_len - moved)
    return shorter, replace(offload, csum_start=offload.csum_start - moved, hdr_len=header)


def _headers(data: bytes, offload: Offload) -> tuple[int, int]:
    """Where the IP header and the payload of a frame to be cut start; zeros if it cannot be cut as its offload says."""
    start, size = offload.csum_start, offload.gso_size
    header = _header_size(data, start, offload.gso_type & ~GsoType.ECN, offload.csum_offset) if start > 0 else 0
    ip_at = innermost_ip(data) if header and size > 0 else 0
    if not ip_at:
        return 0, 0
    ip_header = ipv4_header_size(data, ip_at) if data[ip_at] >> 4 == 4 else 40
    payload_at = start + header
    if start < ip_at + ip_header or payload_at - ip_at + size > _MAX_PACKET:
        return 0, 0
    return ip_at, payload_at


def _header_size(data: bytes, at: int, kind: int, csum_offset: int) -> int:
    """Bytes of the transport header at a byte, or 0 if the frame cannot be cut as its GSO type says."""
    if kind in (GsoType.TCPV4, GsoType.TCPV6) and csum_offset == _TCP_SUM and len(data) >= at + 20:
        size = (data[at + 12] >> 4) * 4
        return size if size >= 20 and at + size <= len(data) else 0
    if kind == GsoType.UDP_L4 and csum_offset == _UDP_SUM and len(data) >= at + 8:
        return 8
    return 0


def _segment(data: bytes, offload: Offload, ip_at: int, payload_at: int, index: int, count: int) -> Frame:
    """One of ``count`` segments. Lengths in the pseudo-header's sum are corrected, not summed anew, as Linux does:
    with a routing header the addresses in sight are not the ones it covers.
    """
    start, size = offload.csum_start, offload.gso_size
    payload = data[payload_at + index * size : payload_at + (index + 1) * size]
    packet = bytearray(data[:payload_at] + payload)
    shorter = len(data) - len(packet)
    is_udp = offload.csum_offset == _UDP_SUM
    if is_udp:
        _put16(packet, start + 4, len(packet) - start)
    else:
        _write_tcp(packet, start, index * size, is_first=index == 0, is_last=index == count - 1)
    _write_ip(packet, ip_at, index)
    at = start + offload.csum_offset
    _put16(packet, at, (u16(packet, at) - shorter) % 0xFFFF)
    _put16(packet, at, _written(sums.checksum(memoryview(packet)[start:]), offload.csum_offset))
    return Frame(bytes(packet))


def _write_tcp(packet: bytearray, at: int, sent: int, *, is_first: bool, is_last: bool) -> None:
    sequence = int.from_bytes(packet[at + 4 : at + 8], "big") + sent & 0xFFFFFFFF
    packet[at + 4 : at + 8] = sequence.to_bytes(4, "big")
    if not is_first:
        packet[at + 13] &= ~_CWR
    if not is_last:
        packet[at + 13] &= ~(_FIN | _PSH)


def _write_ip(packet: bytearray, at: int, index: int) -> None:
    if packet[at] >> 4 == 6:
        _put16(packet, at + 4, len(packet) - at - 40)
        return
    _put16(packet, at + 2, len(packet) - at)
    _put16(packet, at + 4, u16(packet, at + 4) + index & 0xFFFF)
    _put16(packet, at + 10, 0)
    header_end = at + ipv4_header_size(packet, at)
    _put16(packet, at + 10, sums.checksum(memoryview(packet)[at:header_end]))


def _put16(data: bytearray, at: int, value: int) -> None:
    data[at : at + 2] = value.to_bytes(2, "big")
