"""The fields of a match on the wire: OXM (OpenFlow 1.3.5, 7.2.3) and NXM (Nicira), one table for both.

Each row of WIRE_FIELDS is a way to write a field: a 32-bit header, the size of a value, and where its bits are in
a flow key. The rows of OXM follow from ``inband.flow.fields.FIELDS``; NXM's are listed here, because NXM has its
own numbers, 16-bit ports, and writes DSCP as a TOS byte and VLAN id and priority as one TCI. FIELDS keeps vlan_vid
and vlan_pcp side by side, so that a TCI is 16 bits of the key like any other field.

The cookie of Nicira's messages travels as if it were a field; here it is above the bits of the key.

What is done with the table, reading and writing, is in ``oxm`` and ``shapes``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inband.errors import UsageError
from inband.flow.fields import FIELDS, KEY_BITS, PREREQUISITES, VLAN_PRESENT

OXM_BASIC = 0x8000
NXM_0 = 0x0000
NXM_1 = 0x0001


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


def masked_header(row: WireField) -> int:
    return row.header & ~0xFF | 0x100 | row.size * 2


MASKED_HEADERS: dict[int, WireField] = {masked_header(row): row for row in WIRE_FIELDS if row.maskable}
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


OXM_PLAN = _plan(_OXM_ROWS, _NXM_ROWS)
NXM_PLAN = _plan(_NXM_ROWS, _OXM_ROWS)

_PCP, _TCI = FIELDS["vlan_pcp"].mask, FIELDS["vlan_pcp"].mask | FIELDS["vlan_vid"].mask
_TAG = VLAN_PRESENT << FIELDS["vlan_vid"].shift
# OXM's vlan_pcp needs a tag to be there. NXM's TCI does not, so it says what OXM cannot.
WITHOUT_TAG_PLAN = _plan(tuple(row for row in WIRE_FIELDS if row.name == "vlan_tci"), OXM_PLAN)
BY_NAME = {row.name: row for row in reversed((*OXM_PLAN, *NXM_PLAN))}


def field_header(name: str, *, masked: bool = False) -> int:
    """The 32-bit header of a field of FIELDS, OXM's where there is one (for TABLE_FEATURES)."""
    row = BY_NAME[name]
    return masked_header(row) if masked else row.header


def field_row(name: str, *, nxm: bool = False) -> WireField:
    """The way to write a field of FIELDS that is told apart by name; NXM's on request, where there is a whole one."""
    for row in _NXM_ROWS if nxm else ():
        if row.name == name and not row.wide:
            return row
    return BY_NAME[name]


def locate(row: WireField, offset: int, bits: int) -> tuple[str, int]:
    """Which field of FIELDS, from which of its bits, are ``bits`` bits from ``offset`` of a wire field?

    Raises UsageError when they are not within one field.
    """
    span = ((1 << bits) - 1) << row.shift + offset
    for field in FIELDS.values():
        if span and span & field.mask == span & row.mask == span:
            return field.name, row.shift + offset - field.shift
    raise UsageError(f"bits {offset} to {offset + bits - 1} of {row.name} are not within one field")
