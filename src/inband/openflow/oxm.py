"""Flow match fields on the wire: OXM (OpenFlow 1.3.5, 7.2.3) and NXM (Nicira), one table for both.

Each row of WIRE_FIELDS is a way to write a field: a 32-bit header, the size of a value, and where its bits are in
a flow key. The rows of OXM follow from ``inband.flow.fields.FIELDS``; NXM's are listed here, because NXM has its
own numbers, 16-bit ports, and writes DSCP as a TOS byte and VLAN id and priority as one TCI. FIELDS keeps vlan_vid
and vlan_pcp side by side, so that a TCI is 16 bits of the key like any other field.

Decoding takes either kind anywhere, as Open vSwitch does, in any order: the specification wants a prerequisite to
come first, but nothing goes wrong when it comes later, so prerequisites are checked when all fields are there.
Encoding writes one kind, in the order in which Open vSwitch writes them, which is one that satisfies the rule.

The cookie of Nicira's messages travels as if it were a field; here it is above the bits of the key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from inband.errors import UsageError
from inband.flow.fields import FIELDS, KEY_BITS, PREREQUISITES, VLAN_PRESENT
from inband.flow.match import Match
from inband.openflow.errors import MalformedError
from inband.openflow.layout import is_narrow, narrow_port, widen_port
from inband.vocabulary.openflow_errors import BadMatch

OXM_BASIC = 0x8000
NXM_0 = 0x0000
NXM_1 = 0x0001
_IN_PORT_MASK = FIELDS["in_port"].mask


@dataclass(frozen=True, slots=True)
class WireField:
    """One way to write a field.

    ``allowed`` are the bits that a value of ``size`` bytes may have; its lowest bit is bit ``shift`` of the key.
    ``mask`` is what an exact match covers in the key. ``wide`` says that a value is a 16-bit port number.
    ``needs`` are prerequisites as (bits of the key, values of these bits; empty: any).
    """

    name: str
    header: int
    size: int
    shift: int
    allowed: int
    mask: int
    maskable: bool
    needs: tuple[tuple[int, frozenset[int]], ...]
    wide: bool = False


def _header(klass: int, number: int, size: int) -> int:
    return klass << 16 | number << 9 | size


def _row(name: str, klass: int, number: int) -> WireField:
    field = FIELDS[name]
    header = _header(klass, number, field.size)
    # NXM masks whatever it can; what the specification says of OXM holds where there is OXM.
    maskable = field.maskable
    return WireField(name, header, field.size, field.shift, field.all_ones, field.mask, maskable, PREREQUISITES[name])


def _nxm_rows() -> Iterable[WireField]:
    """NXM_OF_* and NXM_NX_* (Nicira's extensible match)."""
    port, vid, pcp, dscp = FIELDS["in_port"], FIELDS["vlan_vid"], FIELDS["vlan_pcp"], FIELDS["ip_dscp"]
    tci = vid.mask | pcp.mask
    yield WireField("in_port", _header(NXM_0, 0, 2), 2, port.shift, 0xFFFF, port.mask, False, (), wide=True)
    yield WireField("vlan_tci", _header(NXM_0, 4, 2), 2, vid.shift, 0xFFFF, tci, True, ())
    yield WireField("ip_tos", _header(NXM_0, 5, 1), 1, dscp.shift - 2, 0xFC, dscp.mask, False, PREREQUISITES["ip_dscp"])
    yield WireField("cookie", _header(NXM_1, 30, 8), 8, KEY_BITS, (1 << 64) - 1, ((1 << 64) - 1) << KEY_BITS, True, ())
    for name, number in _NXM_OF:
        yield _row(name, NXM_0, number)
    for name, number in _NXM_NX:
        yield _row(name, NXM_1, number)


_NXM_OF = (
    ("eth_dst", 1),
    ("eth_src", 2),
    ("eth_type", 3),
    ("ip_proto", 6),
    ("ipv4_src", 7),
    ("ipv4_dst", 8),
    ("tcp_src", 9),
    ("tcp_dst", 10),
    ("udp_src", 11),
    ("udp_dst", 12),
    ("icmpv4_type", 13),
    ("icmpv4_code", 14),
    ("arp_op", 15),
    ("arp_spa", 16),
    ("arp_tpa", 17),
)
_NXM_NX = (
    *((f"reg{i}", i) for i in range(8)),
    ("tunnel_id", 16),
    ("arp_sha", 17),
    ("arp_tha", 18),
    ("ipv6_src", 19),
    ("ipv6_dst", 20),
    ("icmpv6_type", 21),
    ("icmpv6_code", 22),
    ("ipv6_nd_target", 23),
    ("ipv6_nd_sll", 24),
    ("ipv6_nd_tll", 25),
    ("ip_frag", 26),
    ("ipv6_flabel", 27),
    ("ip_ecn", 28),
    ("ip_ttl", 29),
    ("mpls_ttl", 30),
    ("tcp_flags", 34),
)

_OXM_ROWS = tuple(_row(field.name, OXM_BASIC, field.oxm) for field in FIELDS.values() if field.oxm is not None)
_NXM_ROWS = tuple(_nxm_rows())
WIRE_FIELDS = (*_OXM_ROWS, *_NXM_ROWS)
"""Every way to write a field."""

HEADERS: dict[int, WireField] = {row.header: row for row in WIRE_FIELDS}
"""Rows by their header without a mask."""


def _masked_header(row: WireField) -> int:
    return row.header & ~0xFF | 0x100 | row.size * 2


_EXACT = HEADERS
MASKED_HEADERS: dict[int, WireField] = {_masked_header(row): row for row in WIRE_FIELDS if row.maskable}
"""Rows by their header with a mask."""

# Addresses before the rest of IP, IP before transport, pipeline fields last: the order of Open vSwitch.
_LATE = ("ip_frag", "ip_dscp", "ip_tos", "ip_ecn", "ip_ttl", "ip_proto")
_LATER = ("tcp_", "udp_", "sctp_", "icmpv")
_LATEST = ("ipv6_nd", "tunnel_id", "reg", "metadata", "cookie")


def _rank(row: WireField) -> tuple[int, int]:
    if row.name.startswith(_LATEST):
        return 3, 0
    if row.name.startswith(_LATER):
        return 2, 0
    return (1, _LATE.index(row.name)) if row.name in _LATE else (0, 0)


def _plan(first: tuple[WireField, ...], second: tuple[WireField, ...]) -> tuple[WireField, ...]:
    """One row per field, from ``first`` where that has one."""
    covered = 0
    for row in first:
        covered |= row.mask
    rows = [*first, *(row for row in second if not row.mask & covered)]
    return tuple(sorted(rows, key=_rank))


_OXM_PLAN = _plan(_OXM_ROWS, _NXM_ROWS)
_NXM_PLAN = _plan(_NXM_ROWS, _OXM_ROWS)

_PCP, _TCI = FIELDS["vlan_pcp"].mask, FIELDS["vlan_pcp"].mask | FIELDS["vlan_vid"].mask
_TAG = VLAN_PRESENT << FIELDS["vlan_vid"].shift
# OXM's vlan_pcp needs a tag to be there. NXM's TCI does not, so it says what OXM cannot.
_WITHOUT_TAG_PLAN = _plan(tuple(row for row in WIRE_FIELDS if row.name == "vlan_tci"), _OXM_PLAN)
_BY_NAME = {row.name: row for row in reversed((*_OXM_PLAN, *_NXM_PLAN))}


def field_header(name: str, *, masked: bool = False) -> int:
    """The 32-bit header of a field of FIELDS, OXM's where there is one (for TABLE_FEATURES)."""
    row = _BY_NAME[name]
    return _masked_header(row) if masked else row.header


def field_row(name: str, *, nxm: bool = False) -> WireField:
    """The way to write a field of FIELDS that is told apart by name; NXM's on request, where there is a whole one."""
    for row in _NXM_ROWS if nxm else ():
        if row.name == name and not row.wide:
            return row
    return _BY_NAME[name]


def decode_fields(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read OXM or NXM fields at ``pos`` up to ``end``: (value, mask), the cookie above KEY_BITS.

    Raises MalformedError with OFPBMC_*: BAD_FIELD, BAD_LEN, BAD_MASK, BAD_WILDCARDS, BAD_VALUE, DUP_FIELD, BAD_PREREQ.
    """
    value = mask = seen = 0
    dependent: list[WireField] = []
    while pos < end:
        header = int.from_bytes(data[pos : pos + 4], "big")
        exact = _EXACT.get(header)
        row = exact or MASKED_HEADERS.get(header)
        start = pos + 4
        if row is None or start > end:
            _refuse(header, end - pos)
        pos = start + (header & 0xFF)
        if pos > end:
            raise MalformedError(BadMatch.BAD_LEN, f"match field {row.name} is cut off")
        middle = start + row.size
        number = int.from_bytes(data[start:middle], "big")
        if exact:
            bits = row.mask
        else:
            bits = _mask_bits(row, number, int.from_bytes(data[middle:pos], "big"))
        if number & ~row.allowed:
            raise MalformedError(BadMatch.BAD_VALUE, f"{number:#x} is no value of match field {row.name}")
        if seen & row.mask:
            raise MalformedError(BadMatch.DUP_FIELD, f"match field {row.name} is there twice")
        seen |= row.mask
        value |= (widen_port(number) if row.wide else number) << row.shift
        mask |= bits
        if row.needs:
            dependent.append(row)
    for row in dependent:
        for bits, allowed in row.needs:
            if mask & bits != bits or (allowed and value & bits not in allowed):
                raise MalformedError(BadMatch.BAD_PREREQ, f"match field {row.name} without what it depends on")
    if mask & _TCI == _TCI and not value & _TCI:
        mask &= ~_PCP  # untagged: there is no priority to compare
    return value, mask


def _mask_bits(row: WireField, number: int, bits: int) -> int:
    if number & ~bits:
        raise MalformedError(BadMatch.BAD_WILDCARDS, f"match field {row.name} has value bits outside its mask")
    if bits & ~row.allowed:
        raise MalformedError(BadMatch.BAD_MASK, f"{bits:#x} is no mask of match field {row.name}")
    return bits << row.shift


def _refuse(header: int, left: int) -> NoReturn:
    """Say what is wrong with a header that is in no table."""
    if left < 4:
        raise MalformedError(BadMatch.BAD_LEN, f"{left} bytes are too short for a match field")
    for row in WIRE_FIELDS:
        if (row.header ^ header) >> 9 == 0:
            if not header & 0x100 or row.maskable:
                raise MalformedError(BadMatch.BAD_LEN, f"match field {row.name} has length {header & 0xFF}")
            raise MalformedError(BadMatch.BAD_MASK, f"match field {row.name} takes no mask")
    raise MalformedError(BadMatch.BAD_FIELD, f"match field with header {header:#010x} is not known")


def encode_fields(value: int, mask: int, *, nxm: bool = False) -> bytes:
    """Write (value, mask) as OXM or NXM fields; what has no form of that kind takes the other's."""
    out = []
    lacks_tag = bool(mask & _PCP) and not value & mask & _TAG
    for row, bits in _rows_under(mask, nxm, lacks_tag):
        number, size = (value & bits) >> row.shift, row.size
        if bits == row.mask:
            if row.wide:
                row, number = (row, narrow_port(number)) if is_narrow(number) else (_BY_NAME[row.name], number)
                size = row.size
            out.append((row.header << size * 8 | number).to_bytes(4 + size, "big"))
        else:
            head = _masked_header(row) << size * 16
            out.append((head | number << size * 8 | bits >> row.shift).to_bytes(4 + size * 2, "big"))
    return b"".join(out)


@lru_cache(1024)  # flows have few different masks, and dumps have many flows
def _rows_under(mask: int, nxm: bool, lacks_tag: bool) -> tuple[tuple[WireField, int], ...]:
    """The fields that a mask asks for, in the order in which they are written, with its bits of each."""
    plan = _NXM_PLAN if nxm else _WITHOUT_TAG_PLAN if lacks_tag else _OXM_PLAN
    return tuple((row, bits) for row in plan if (bits := mask & row.mask))


def decode_match(data: bytes, pos: int) -> tuple[Match, int]:
    """Read an ofp_match with its padding (1.3.5, 7.2.3.1): the match and where the next thing starts.

    Raises MalformedError with OFPBMC_BAD_TYPE, BAD_LEN and what decode_fields raises.
    """
    head = int.from_bytes(data[pos : pos + 4], "big")
    kind, length = head >> 16, head & 0xFFFF
    end = pos + (length + 7) // 8 * 8
    if len(data) < pos + 4 or length < 4 or end > len(data):
        raise MalformedError(BadMatch.BAD_LEN, f"a match of {length} bytes where {len(data) - pos} are left")
    if kind != 1:  # OFPMT_OXM
        raise MalformedError(BadMatch.BAD_TYPE, f"match type {kind} is not OXM")
    value, mask = decode_fields(data, pos + 4, pos + length)
    if mask >> KEY_BITS:
        raise MalformedError(BadMatch.BAD_FIELD, "the cookie is no field of an OpenFlow match")
    return Match(value, mask), end


_IN_PORT_HEAD = ((1 << 16 | 12) << 32 | _header(OXM_BASIC, 0, 4)) << 64


def encode_match(match: Match) -> bytes:
    """Write an ofp_match with its padding."""
    if match.mask == _IN_PORT_MASK:  # every PACKET_IN without metadata: worth not walking through the plan
        return (_IN_PORT_HEAD | match.value >> FIELDS["in_port"].shift << 32).to_bytes(16, "big")
    fields = encode_fields(match.value, match.mask)
    length = 4 + len(fields)
    return (1 << 16 | length).to_bytes(4, "big") + fields + bytes(-length % 8)


def decode_nxm(data: bytes, pos: int, length: int) -> tuple[Match, int, int, int]:
    """Read ``length`` bytes of NXM and the padding to 8: match, cookie, cookie mask, where the next thing starts."""
    end = pos + (length + 7) // 8 * 8
    if end > len(data):
        raise MalformedError(BadMatch.BAD_LEN, f"an NXM match of {length} bytes where {len(data) - pos} are left")
    value, mask = decode_fields(data, pos, pos + length)
    low = (1 << KEY_BITS) - 1
    return Match(value & low, mask & low), value >> KEY_BITS, mask >> KEY_BITS, end


def encode_nxm(match: Match, cookie: int = 0, cookie_mask: int = 0) -> tuple[bytes, int]:
    """Write NXM with the padding to 8; also its length without padding."""
    value = match.value | (cookie & cookie_mask) << KEY_BITS
    fields = encode_fields(value, match.mask | cookie_mask << KEY_BITS, nxm=True)
    return fields + bytes(-len(fields) % 8), len(fields)


def locate(row: WireField, offset: int, bits: int) -> tuple[str, int]:
    """Which field of FIELDS, from which of its bits, are ``bits`` bits from ``offset`` of a wire field?

    Raises UsageError when they are not within one field.
    """
    span = ((1 << bits) - 1) << row.shift + offset
    for field in FIELDS.values():
        if span and span & field.mask == span & row.mask == span:
            return field.name, row.shift + offset - field.shift
    raise UsageError(f"bits {offset} to {offset + bits - 1} of {row.name} are not within one field")
