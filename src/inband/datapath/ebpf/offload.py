"""What a sender left to its card, told by what the program can say of a frame: where the checksum is that is not
finished, and how large the segments are to be.

The checksum's place shows whose it is: one of the transports with a checksum has it there, right behind an IP header
that names it. That finds headers in tunnels and below labels too, where the program does not look.

The program finds the place by cutting the frame, for most kernels cut none before the end of that field. Linux 6.1 of
Debian 12 cuts down to the transport header: then the end of the field seems to be where the header begins.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.packet.frame import GsoType, Offload
from inband.packet.headers import innermost_ip, locate
from inband.vocabulary.numbers import IP_SCTP, IP_TCP, IP_UDP

# Where in its header each transport has its checksum, and what ``locate`` calls it.
_CHECKSUM_AT = {IP_UDP: 6, IP_TCP: 16, IP_SCTP: 8}
_FIELD_SIZE = 2  # as far as the kernel looks, of SCTP too
_NAMES = {"tcp": IP_TCP, "udp": IP_UDP, "sctp": IP_SCTP}

_TCP_SIZE_AT, _TCP_FLAGS_AT, _CWR = 12, 13, 0x80
_IPV4_PROTOCOL_AT, _IPV6_NEXT_HEADER_AT = 9, 6


class Transport(NamedTuple):
    """A transport header: its protocol, its first byte, and that of the IP header."""

    proto: int
    at: int
    ip_at: int


def describe_offload(data: bytes, checksum_at: int, gso_size: int) -> tuple[Offload | None, bool]:
    """The offload of a frame, and whether it says all.

    ``checksum_at`` is the byte of the checksum field that was left to the card (0: none was), ``gso_size`` the payload
    of a segment (0: not to be cut). What no vnet header can say is left out: how to cut what is in a tunnel, or SCTP.
    """
    if not checksum_at and not gso_size:
        return None, True
    found = _find_transport(data, checksum_at) if checksum_at else _outermost_transport(data)
    if found is None and checksum_at:
        found = _transport_at(data, checksum_at + _FIELD_SIZE)
    if found is None:
        return None, False
    offset = _CHECKSUM_AT[found.proto]
    if not gso_size:
        return Offload(found.at, offset), True
    header = _header_size(data, found)
    if not header or innermost_ip(data) != found.ip_at:
        return (Offload(found.at, offset) if checksum_at else None), False
    return Offload(found.at, offset, _gso_type(data, found), gso_size, found.at + header), True


def _find_transport(data: bytes, checksum_at: int) -> Transport | None:
    """The header whose checksum is at a byte: one with an IP header before it that names it."""
    for proto, offset in _CHECKSUM_AT.items():
        found = _named(data, proto, checksum_at - offset)
        if found is not None:
            return found
    found = _outermost_transport(data)  # behind extension headers
    return found if found is not None and found.at + _CHECKSUM_AT[found.proto] == checksum_at else None


def _transport_at(data: bytes, at: int) -> Transport | None:
    """The header that begins at a byte: one with an IP header before it that names it."""
    for proto in _CHECKSUM_AT:
        found = _named(data, proto, at)
        if found is not None:
            return found
    found = _outermost_transport(data)
    return found if found is not None and found.at == at else None


def _named(data: bytes, proto: int, at: int) -> Transport | None:
    """A transport's header at a byte, if right before it is an IP header that names it."""
    for size in range(20, min(60, at) + 1, 4):
        ip_at = at - size
        if data[ip_at] == 0x40 | size >> 2 and data[ip_at + _IPV4_PROTOCOL_AT] == proto:
            return Transport(proto, at, ip_at)
    if at >= 40 and data[at - 40] >> 4 == 6 and data[at - 40 + _IPV6_NEXT_HEADER_AT] == proto:
        return Transport(proto, at, at - 40)
    return None


def _outermost_transport(data: bytes) -> Transport | None:
    places = locate(data).places
    for name, proto in _NAMES.items():
        if name in places:
            return Transport(proto, places[name], places.get("ipv4") or places["ipv6"])
    return None


def _header_size(data: bytes, transport: Transport) -> int:
    """Bytes of a header that a card repeats in each segment; 0 for a transport that is not cut so."""
    if transport.proto == IP_UDP:
        return 8
    return (data[transport.at + _TCP_SIZE_AT] >> 4) * 4 if transport.proto == IP_TCP else 0


def _gso_type(data: bytes, transport: Transport) -> int:
    if transport.proto == IP_UDP:
        return GsoType.UDP_L4
    kind = GsoType.TCPV4 if data[transport.ip_at] >> 4 == 4 else GsoType.TCPV6
    return kind | GsoType.ECN if data[transport.at + _TCP_FLAGS_AT] & _CWR else kind
