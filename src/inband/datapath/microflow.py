"""Which flow a frame belongs to, from a few header bytes: the key of the cache in front of the megaflow cache.

A flow key costs several microseconds to parse; a switched frame in Python costs about as much in total. So TCP and
UDP frames are recognised by the bytes that make their flow, read by one precompiled struct: everything in the headers
except lengths, identification, checksums, and TCP's sequence numbers, flags and window.

Invariants: two frames with equal microflow keys have flow keys that differ at most in BLIND_BITS, whatever
rubbish they carry; a property test holds this against ``packet.parse``. Hence the length checks: a frame whose lengths
do not fit, a fragment, one with IPv4 options or IPv6 extension headers has no microflow key (None) and takes
the slower way. A megaflow that depends on BLIND_BITS must not be reached by a microflow key.

Not here: the cache itself, and anything but TCP and UDP: what else is common enough to be worth it is small.
"""

from __future__ import annotations

from struct import Struct

from inband.flow.fields import FIELDS
from inband.vocabulary.numbers import IP_TCP, IP_UDP

BLIND_BITS = FIELDS["tcp_flags"].mask
"""Bits of a flow key that two frames with the same microflow key may differ in."""

MicroflowKey = tuple[int, ...]

# Ethernet addresses and type, version to TOS; total length; fragment word, TTL, protocol; addresses, ports.
_IPV4 = Struct(">QQH2xI2xQI")
# Ethernet addresses and type, version to flow label; payload length, next header, hop limit; addresses, ports.
_IPV6 = Struct(">QQHHBBQQQQI")
# As _IPV4 with an 802.1Q tag before the type.
_TAGGED_IPV4 = Struct(">QQIH2xI2xQI")

_MIN_TOTAL = {IP_TCP: 20 + 20, IP_UDP: 20 + 8}
_MIN_PAYLOAD = {IP_TCP: 20, IP_UDP: 8}
# Larger than any length field: a protocol without microflows never fits.
_NEVER = 1 << 16

# What the words hold for IPv4 without options, as seen under the masks below.
_ETHERTYPE_VERSION_IHL, _PLAIN_IPV4 = 0xFFFFFF00, 0x08004500
_ETHERTYPE_VERSION, _PLAIN_IPV6 = 0xFFFFF000, 0x86DD6000
_ETHERTYPE, _DOT1Q = 0xFFFF0000, 0x81000000
_FRAGMENT = 0x3FFF0000

SPARE = _IPV6.size
"""Bytes that must be readable behind ``start``, however short the frame is."""


def microflow_key(buffer: bytes | bytearray, start: int, end: int) -> MicroflowKey | None:
    """The key of the frame ``buffer[start:end]``, or None if it has none.

    ``buffer`` must reach SPARE bytes behind ``start``; bytes behind ``end`` decide nothing. Keys of different kinds of
    frames differ in length or in their ethertype.
    """
    a, b, total, c, d, e = _IPV4.unpack_from(buffer, start)
    if b & _ETHERTYPE_VERSION_IHL == _PLAIN_IPV4:
        if c & _FRAGMENT or not _MIN_TOTAL.get(c & 0xFF, _NEVER) <= total <= end - start - 14:
            return None
        return a, b, c, d, e
    if b & _ETHERTYPE_VERSION == _PLAIN_IPV6:
        return _ipv6_key(buffer, start, end)
    if b & _ETHERTYPE == _DOT1Q:
        return _tagged_key(buffer, start, end)
    return None


def _ipv6_key(buffer: bytes | bytearray, start: int, end: int) -> MicroflowKey | None:
    a, b, flow_label, payload, proto, hop_limit, c, d, e, f, ports = _IPV6.unpack_from(buffer, start)
    if not _MIN_PAYLOAD.get(proto, _NEVER) <= payload <= end - start - 54:
        return None
    return a, b, flow_label, proto, hop_limit, c, d, e, f, ports


def _tagged_key(buffer: bytes | bytearray, start: int, end: int) -> MicroflowKey | None:
    a, b, head, total, c, d, e = _TAGGED_IPV4.unpack_from(buffer, start)
    if head & _ETHERTYPE_VERSION_IHL != _PLAIN_IPV4 or c & _FRAGMENT:
        return None
    if not _MIN_TOTAL.get(c & 0xFF, _NEVER) <= total <= end - start - 18:
        return None
    return a, b, head, c, d, e
