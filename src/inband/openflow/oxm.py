"""Match fields read and written: OXM (OpenFlow 1.3.5, 7.2.3) and NXM (Nicira), by the table in ``wire_fields``.

Decoding takes either kind anywhere, as Open vSwitch does, in any order: the specification wants a prerequisite to
come first, but nothing goes wrong when it comes later, so prerequisites are checked when all fields are there.
Encoding writes one kind, in the order in which Open vSwitch writes them, which is one that satisfies the rule.

Matches like those that came before are read by their shape (``shapes``). What is said here of a match is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NoReturn

from inband.flow.fields import FIELDS, KEY_BITS, VLAN_PRESENT
from inband.flow.match import Match
from inband.openflow.errors import MalformedError
from inband.openflow.layout import is_narrow, narrow_port, widen_port
from inband.openflow.shapes import Shapes, WritingPlan, writing_plan
from inband.openflow.wire_fields import (
    BY_NAME,
    HEADERS,
    MASKED_HEADERS,
    NXM_PLAN,
    OXM_PLAN,
    WIRE_FIELDS,
    WITHOUT_TAG_PLAN,
    WireField,
    field_row,
    masked_header,
)
from inband.vocabulary.openflow_errors import BadMatch

_IN_PORT_MASK = FIELDS["in_port"].mask
_PCP, _TCI = FIELDS["vlan_pcp"].mask, FIELDS["vlan_pcp"].mask | FIELDS["vlan_vid"].mask
_TAG = VLAN_PRESENT << FIELDS["vlan_vid"].shift
# packet_type of OpenFlow 1.5 (7.2.3.8), four bytes. ovs-ofctl sends it, 0 for Ethernet, where it has taken all other
# fields out of a match (`tp_dst=80` without `tcp`) and for the word `eth`. Every packet here is Ethernet.
_ETHERNET = (0x80005804 << 32).to_bytes(8, "big")
_shapes = Shapes[None]()


def _nothing() -> None:
    """What matches of a shape have in common besides their fields."""


def decode_fields(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read OXM or NXM fields at ``pos`` up to ``end``: (value, mask), the cookie above KEY_BITS.

    Raises MalformedError as ``decode_fields_one_by_one`` does.
    """
    fields = data[pos:end]
    found = _shapes.read(fields)
    if found is not None:
        return found[0], found[1].mask
    value, mask = decode_fields_one_by_one(data, pos, end)
    _shapes.learn(fields, value, mask, _nothing)
    return value, mask


def decode_fields_one_by_one(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read fields of any shape.

    Raises MalformedError with OFPBMC_*: BAD_FIELD, BAD_LEN, BAD_MASK, BAD_WILDCARDS, BAD_VALUE, DUP_FIELD, BAD_PREREQ.
    """
    value = mask = seen = 0
    dependent: list[WireField] = []
    while pos < end:
        header = int.from_bytes(data[pos : pos + 4], "big")
        exact = HEADERS.get(header)
        row = exact or MASKED_HEADERS.get(header)
        start = pos + 4
        if data[pos : min(pos + 8, end)] == _ETHERNET:
            pos += 8
            continue
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
    _check_needs(dependent, value, mask)
    if mask & _TCI == _TCI and not value & _TCI:
        mask &= ~_PCP  # untagged: there is no priority to compare
    return value, mask


def _check_needs(rows: Sequence[WireField], value: int, mask: int) -> None:
    for row in rows:
        for bits, allowed in row.needs:
            if mask & bits != bits or (allowed and value & bits not in allowed):
                raise MalformedError(BadMatch.BAD_PREREQ, f"match field {row.name} without what it depends on")


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
    plan = _plan(mask, nxm, lacks_tag(value, mask))
    return encode_fields_one_by_one(value, mask, nxm=nxm) if plan is None else plan.write(value)


def lacks_tag(value: int, mask: int) -> bool:
    """Whether a VLAN priority is asked for and a tag is not."""
    return bool(mask & _PCP) and not value & mask & _TAG


@lru_cache(1024)  # flows have few different masks, and dumps have many flows
def _plan(mask: int, nxm: bool, without_tag: bool) -> WritingPlan | None:
    return writing_plan(_rows_under(mask, nxm, without_tag))


def encode_fields_one_by_one(value: int, mask: int, *, nxm: bool = False) -> bytes:
    """Write fields of any kind, those too whose form depends on their value."""
    out = []
    for row, bits in _rows_under(mask, nxm, lacks_tag(value, mask)):
        number, size = (value & bits) >> row.shift, row.size
        if bits == row.mask:
            if row.wide:
                row, number = (row, narrow_port(number)) if is_narrow(number) else (BY_NAME[row.name], number)
                size = row.size
            out.append((row.header << size * 8 | number).to_bytes(4 + size, "big"))
        else:
            head = masked_header(row) << size * 16
            out.append((head | number << size * 8 | bits >> row.shift).to_bytes(4 + size * 2, "big"))
    return b"".join(out)


@lru_cache(1024)
def _rows_under(mask: int, nxm: bool, without_tag: bool) -> tuple[tuple[WireField, int], ...]:
    """The fields that a mask asks for, in the order in which they are written, with its bits of each."""
    plan = NXM_PLAN if nxm else WITHOUT_TAG_PLAN if without_tag else OXM_PLAN
    return tuple((row, bits) for row in plan if (bits := mask & row.mask))


def decode_match(data: bytes, pos: int) -> tuple[Match, int]:
    """Read an ofp_match with its padding (1.3.5, 7.2.3.1): the match and where the next thing starts.

    Raises MalformedError with OFPBMC_BAD_TYPE, BAD_LEN and what decode_fields raises.
    """
    head = int.from_bytes(data[pos : pos + 4], "big")
    kind, length = head >> 16, head & 0xFFFF
    end = pos + (length + 7 & ~7)
    if length < 4 or end > len(data):
        raise MalformedError(BadMatch.BAD_LEN, f"a match of {length} bytes where {len(data) - pos} are left")
    if kind != 1:  # OFPMT_OXM
        raise MalformedError(BadMatch.BAD_TYPE, f"match type {kind} is not OXM")
    value, mask = decode_fields(data, pos + 4, pos + length)
    if mask >> KEY_BITS:
        raise MalformedError(BadMatch.BAD_FIELD, "the cookie is no field of an OpenFlow match")
    return Match(value, mask), end


_IN_PORT_HEAD = ((1 << 16 | 12) << 32 | field_row("in_port").header) << 64


def encode_match(match: Match) -> bytes:
    """Write an ofp_match with its padding."""
    if match.mask == _IN_PORT_MASK:  # every PACKET_IN without metadata: worth not walking through the plan
        return (_IN_PORT_HEAD | match.value >> FIELDS["in_port"].shift << 32).to_bytes(16, "big")
    value, mask = match.value, match.mask
    return _match_plan(mask, lacks_tag(value, mask)).write(value)


@lru_cache(1024)
def _match_plan(mask: int, without_tag: bool) -> WritingPlan:
    plan = _plan(mask, False, without_tag)
    assert plan is not None, "OXM has no field whose form depends on its value"
    length = 4 + plan.size
    return plan.between((1 << 16 | length).to_bytes(4, "big"), -length % 8)


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
