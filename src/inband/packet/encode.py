"""Headers as bytes, one function per header, checksums right: what everything that makes packets builds on.

Innermost first: a function takes the payload and returns it with its header in front. Numbers must fit their fields;
these are for our own packets, so a number that does not fit is the caller's defect (struct.error, OverflowError).
"""

from __future__ import annotations

from struct import Struct

from inband.packet import sums
from inband.packet.parse import MIN_ETH_TYPE, NO_ETH_TYPE
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.numbers import ETH_IPV4, ETH_IPV6, ETH_VLAN, IP_ICMPV6, IP_TCP, IP_UDP

_IPV4 = Struct(">BBHHHBBH4s4s")
_IPV6 = Struct(">IHBB16s16s")
_TCP = Struct(">HHIIHHHH")
_UDP = Struct(">HHHH")
_SCTP = Struct(">HHII")
_TCP_HEADER_WORDS = 5


def ethernet(dst: int, src: int, eth_type: int, payload: bytes, *, vlan: int | None = None) -> bytes:
    """An Ethernet frame without FCS or padding; ``vlan`` is the TCI of an 802.1Q tag.

    With NO_ETH_TYPE it is an 802.3 frame, whose type field is its length.
    """
    if eth_type == NO_ETH_TYPE:
        eth_type = min(len(payload), MIN_ETH_TYPE - 1)
    tag = b"" if vlan is None else ETH_VLAN.to_bytes(2, "big") + vlan.to_bytes(2, "big")
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + tag + eth_type.to_bytes(2, "big") + payload


def eth_type_of(address: IpAddress) -> int:
    """The ethertype of packets with such addresses."""
    return ETH_IPV4 if address.version == 4 else ETH_IPV6


def ip(
    src: IpAddress, dst: IpAddress, proto: int, payload: bytes, *, ttl: int = 64, tos: int = 0, flow_label: int = 0
) -> bytes:
    """An IPv4 or IPv6 packet, as its addresses are; ``tos`` is DSCP and ECN, ``flow_label`` is for IPv6 only."""
    if src.version == 4:
        return ipv4(src, dst, proto, payload, ttl=ttl, tos=tos)
    first = 6 << 28 | tos << 20 | flow_label
    return _IPV6.pack(first, len(payload), proto, ttl, src.packed, dst.packed) + payload


def ipv4(
    src: IpAddress,
    dst: IpAddress,
    proto: int,
    payload: bytes,
    *,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 0,
    fragment: int = 0,
) -> bytes:
    """An IPv4 packet (RFC 791, 3.1); ``fragment`` is the word of flags and offset."""
    total = 20 + len(payload)
    header = bytearray(
        _IPV4.pack(0x45, tos, total, identification, fragment, ttl, proto, 0, src.packed, dst.packed),
    )
    header[10:12] = sums.checksum(header).to_bytes(2, "big")
    return bytes(header) + payload


def pseudo_header_sum(src: IpAddress, dst: IpAddress, proto: int, length: int) -> int:
    """What a transport checksum covers besides the packet, as a sum not folded (RFC 9293, 3.1; RFC 8200, 8.1)."""
    return sums.word_sum(src.packed + dst.packed) + proto + length


def tcp(
    src: IpAddress,
    dst: IpAddress,
    src_port: int,
    dst_port: int,
    payload: bytes = b"",
    *,
    flags: int = 0x02,
    sequence: int = 0,
    acknowledgement: int = 0,
    window: int = 0xFFFF,
) -> bytes:
    """A TCP segment without options (RFC 9293, 3.1); ``flags`` are 12 bits, SYN unless said."""
    offset_and_flags = _TCP_HEADER_WORDS << 12 | flags
    header = _TCP.pack(src_port, dst_port, sequence, acknowledgement, offset_and_flags, window, 0, 0)
    return _with_sum(header + payload, 16, pseudo_header_sum(src, dst, IP_TCP, len(header) + len(payload)))


def udp(src: IpAddress, dst: IpAddress, src_port: int, dst_port: int, payload: bytes = b"") -> bytes:
    """A UDP datagram (RFC 768)."""
    length = _UDP.size + len(payload)
    datagram = _UDP.pack(src_port, dst_port, length, 0) + payload
    summed = _with_sum(datagram, 6, pseudo_header_sum(src, dst, IP_UDP, length))
    return summed if summed[6:8] != b"\0\0" else summed[:6] + b"\xff\xff" + payload


def sctp(src_port: int, dst_port: int, chunks: bytes = b"") -> bytes:
    """An SCTP packet (RFC 9260, 3.1) with verification tag 0."""
    packet = _SCTP.pack(src_port, dst_port, 0, 0) + chunks
    return packet[:8] + sums.crc32c(packet).to_bytes(4, "big") + chunks


def icmpv4(kind: int, code: int, body: bytes = bytes(4)) -> bytes:
    """An ICMP message (RFC 792); ``body`` is all behind the checksum."""
    return _with_sum(bytes((kind, code, 0, 0)) + body, 2, 0)


def icmpv6(src: IpAddress, dst: IpAddress, kind: int, code: int, body: bytes = bytes(4)) -> bytes:
    """An ICMPv6 message (RFC 4443, 2.1); ``body`` is all behind the checksum."""
    message = bytes((kind, code, 0, 0)) + body
    return _with_sum(message, 2, pseudo_header_sum(src, dst, IP_ICMPV6, len(message)))


def _with_sum(packet: bytes, at: int, pseudo_header: int) -> bytes:
    return packet[:at] + sums.checksum(packet, pseudo_header).to_bytes(2, "big") + packet[at + 2 :]
