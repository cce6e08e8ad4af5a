"""The chain of IPv6 extension headers: where it ends, and what OpenFlow wants to know of it.

Parser, editor and checksums all need the same answer to "where does the transport header start", so it is given
here once. A chain is walked to its end however long it is; every step moves at least 8 bytes on, so the work is
bounded by the frame.

A packet of more than 64 kB, which waits to be cut (Linux's BIG TCP), has 0 as its length. Linux may put a hop-by-hop
header with the length in front (RFC 2675), which no segment will have: it is not there for us either.

A later fragment has no transport header. Its protocol is reported as 44 (fragment), as Open vSwitch does: the number
in its fragment header names what the first fragment starts with, which this packet does not hold.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.fields import FRAG_ANY, FRAG_LATER

HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AUTH, NO_NEXT, DESTINATION = 0, 43, 44, 50, 51, 59, 60
EXTENSIONS = frozenset((HOP_BY_HOP, ROUTING, FRAGMENT, ESP, AUTH, NO_NEXT, DESTINATION))

MAX_PAYLOAD = 0xFFFF
"""What the length field can say."""
_JUMBO_SIZE, _JUMBO_OPTION = 8, b"\x00\xc2\x04"  # of the length byte 0 of a header of eight bytes, and type and size

# OFPIEH_* (OpenFlow 1.3.5, 7.2.3.8).
BITS = {NO_NEXT: 1, ESP: 2, AUTH: 4, DESTINATION: 8, FRAGMENT: 16, ROUTING: 32, HOP_BY_HOP: 64}
REPEATED = 128
OUT_OF_ORDER = 256

# The order RFC 8200, 4.1 recommends. Destination options may be at 1 (with a routing header to come) or last.
_RANKS = {HOP_BY_HOP: 0, ROUTING: 2, FRAGMENT: 3, AUTH: 4, ESP: 5, NO_NEXT: 7}
_FIRST_DESTINATION, _LAST_DESTINATION = 1, 6


class Chain(NamedTuple):
    """The end of a chain. ``proto`` is at byte ``at``; for a cut chain it is the header that is cut.

    ``named_at`` is the byte that holds ``proto``: the next-header field of the header before it.
    ``exthdr`` is OpenFlow's ipv6_exthdr, ``frag`` our ip_frag. ``routed``: a routing header has segments left, so
    the destination address is not the one that transport checksums cover (RFC 8200, 8.1).
    """

    proto: int
    at: int
    named_at: int
    exthdr: int = 0
    frag: int = 0
    routed: bool = False
    fault: str | None = None


def walk(data: bytes | bytearray, start: int, end: int) -> Chain:
    """Follow the chain of the IPv6 header at byte ``start``; nothing at or after ``end`` is read."""
    named_at, at = start + 6, start + 40
    if has_jumbo_header(data, start, end):
        named_at, at = at, at + _JUMBO_SIZE
    proto = data[named_at]
    frag = 0
    routed = False
    seen: list[int] = []
    while proto in EXTENSIONS:
        seen.append(proto)
        if proto in (ESP, NO_NEXT):
            break
        if at + 8 > end:
            return Chain(proto, at, named_at, _exthdr(seen), frag, routed, "short ipv6 extension header")
        if proto == FRAGMENT:
            offset_and_more = data[at + 2] << 8 | data[at + 3]
            if offset_and_more & 0xFFF9:  # the two bits between are reserved
                frag = FRAG_ANY
            if offset_and_more & 0xFFF8:
                return Chain(FRAGMENT, at + 8, named_at, _exthdr(seen), FRAG_ANY | FRAG_LATER, routed)
        elif proto == ROUTING and data[at + 3]:
            routed = True
        size = _size(proto, data[at + 1])
        if at + size > end:
            return Chain(proto, at, named_at, _exthdr(seen), frag, routed, "short ipv6 extension header")
        proto, named_at, at = data[at], at, at + size
    return Chain(proto, at, named_at, _exthdr(seen), frag, routed)


def has_jumbo_header(data: bytes | bytearray, start: int, end: int) -> bool:
    """Whether an IPv6 header that ends in byte ``end`` is followed by nothing but a length (RFC 2675, 2)."""
    at = start + 40
    return end - at > MAX_PAYLOAD and data[start + 6] == HOP_BY_HOP and data[at + 1 : at + 4] == _JUMBO_OPTION


def without_jumbo_header(data: bytes, start: int) -> bytes:
    """The frame whose IPv6 header at byte ``start`` has one, without it."""
    at = start + 40
    return data[: start + 6] + data[at : at + 1] + data[start + 7 : at] + data[at + _JUMBO_SIZE :]


def payload_length(named: int, rest: int) -> int:
    """The payload's bytes where the length field says ``named`` and ``rest`` bytes follow: 0 may mean all of them."""
    return named or (rest if rest > MAX_PAYLOAD else 0)


def _size(proto: int, length: int) -> int:
    """Bytes of a header whose length byte is ``length`` (RFC 8200, 4.3 to 4.6; RFC 4302, 2.2 counts differently)."""
    if proto == FRAGMENT:
        return 8
    return (length + 2) * 4 if proto == AUTH else (length + 1) * 8


def _exthdr(seen: list[int]) -> int:
    """OpenFlow's ipv6_exthdr bits for headers in this order."""
    bits = 0
    highest = 0
    for proto in seen:
        bit = BITS[proto]
        rank = _RANKS.get(proto, _FIRST_DESTINATION if highest <= _FIRST_DESTINATION else _LAST_DESTINATION)
        if bits & bit and not _may_repeat(proto, highest, bits):
            bits |= REPEATED
        if rank < highest:
            bits |= OUT_OF_ORDER
        bits |= bit
        highest = max(highest, rank)
    return bits


def _may_repeat(proto: int, highest: int, bits: int) -> bool:
    """Destination options alone may come twice: before a routing header and at the end (RFC 8200, 4.1)."""
    return proto == DESTINATION and bool(bits & BITS[ROUTING]) and highest < _LAST_DESTINATION
