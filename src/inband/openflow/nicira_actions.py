"""Nicira's actions (vendor 0x2320), the ones that ovs-ofctl writes for what OpenFlow has no action for.

Learning, connection tracking, bundles, stacks and the like are refused with OFPBAC_BAD_EXP_TYPE: a switch that
took them and did something else would be worse than one that says no.

Setting a field's bits (reg_load) is SetField with a mask; NXM's TCI and TOS are taken apart into vlan_vid, vlan_pcp
and ip_dscp, which is why one action on the wire may be two.
"""

from __future__ import annotations

import struct
from typing import assert_never

from inband.errors import UsageError
from inband.flow import actions as a
from inband.flow import ports
from inband.flow.fields import FIELDS, key_fields
from inband.openflow.constants import NICIRA
from inband.openflow.errors import MalformedError
from inband.openflow.layout import Layout, is_narrow, narrow_port, widen_port
from inband.openflow.wire_fields import HEADERS, WireField, field_row, locate
from inband.vocabulary.openflow_errors import BadAction, BadMatch

_RESUBMIT, _SET_TUNNEL, _REG_MOVE, _REG_LOAD, _SET_TUNNEL64, _RESUBMIT_TABLE = 1, 2, 6, 7, 9, 14
_SET_MPLS_LABEL, _SET_MPLS_TC = 30, 31
_SAME_TABLE = 255

# What follows vendor and subtype, for the actions whose form says all.
_LAYOUTS: dict[int, Layout[a.Action]] = {
    4: Layout(a.SetQueue, "2x queue_id:I"),
    5: Layout(a.PopQueue, "6x"),
    18: Layout(a.DecNwTtl, "6x"),
    20: Layout(a.SendToController, "max_len:H controller_id:H reason:wanted_reason x"),
    23: Layout(a.PushMpls, "eth_type:H 4x"),
    24: Layout(a.PopMpls, "eth_type:H 4x"),
    25: Layout(a.SetMplsTtl, "ttl:B 5x"),
    26: Layout(a.DecMplsTtl, "6x"),
}
_SUBTYPES: dict[type, int] = {layout.cls: number for number, layout in _LAYOUTS.items()}

# The others: subtype -> struct of what follows.
_STRUCTS = {
    _RESUBMIT: struct.Struct("!HB3x"),
    _RESUBMIT_TABLE: struct.Struct("!HB3x"),
    _SET_TUNNEL: struct.Struct("!2xI"),
    _SET_TUNNEL64: struct.Struct("!6xQ"),
    _REG_MOVE: struct.Struct("!HHHII"),
    _REG_LOAD: struct.Struct("!HIQ"),
    _SET_MPLS_LABEL: struct.Struct("!2xI"),
    _SET_MPLS_TC: struct.Struct("!B5x"),
}
_SIMPLE_SETS = {
    _SET_TUNNEL: "tunnel_id",
    _SET_TUNNEL64: "tunnel_id",
    _SET_MPLS_LABEL: "mpls_label",
    _SET_MPLS_TC: "mpls_tc",
}


def decode_action(data: bytes) -> tuple[a.Action, ...]:
    """Read one action from what follows its vendor number. Raises MalformedError with OFPBAC_*."""
    subtype, body = int.from_bytes(data[:2], "big"), data[2:]
    layout = _LAYOUTS.get(subtype)
    form = layout or _STRUCTS.get(subtype)
    if form is None:
        raise MalformedError(BadAction.BAD_EXP_TYPE, f"Nicira's action {subtype} is not supported")
    if len(body) != form.size:
        raise MalformedError(BadAction.BAD_LEN, f"Nicira's action {subtype} has length {len(data) + 8}")
    if layout:
        return (layout.read(body),)
    values = _STRUCTS[subtype].unpack(body)
    if subtype in _SIMPLE_SETS:
        return (_decode_simple(_SIMPLE_SETS[subtype], values[0]),)
    if subtype == _REG_LOAD:
        return _decode_load(*values)
    if subtype == _REG_MOVE:
        return (_decode_move(*values),)
    return (_decode_resubmit(subtype, *values),)


def _decode_simple(field: str, value: int) -> a.SetField:
    if value > FIELDS[field].all_ones:
        raise MalformedError(BadAction.BAD_ARGUMENT, f"{value:#x} is no {field}")
    return a.SetField(field, value)


def _decode_resubmit(subtype: int, in_port: int, table: int) -> a.Resubmit:
    port = widen_port(in_port)
    current = subtype == _RESUBMIT or table == _SAME_TABLE
    return a.Resubmit(None if port == ports.IN_PORT else port, None if current else table)


def _row_of(header: int) -> WireField:
    row = HEADERS.get(header)
    if row is None:
        raise MalformedError(BadAction.BAD_SET_TYPE, f"field header {header:#010x} is not known")
    return row


def _decode_load(offset_bits: int, header: int, value: int) -> tuple[a.Action, ...]:
    row, offset, bits = _row_of(header), offset_bits >> 6, (offset_bits & 0x3F) + 1
    span = (1 << bits) - 1 << offset
    if span & ~row.allowed:
        raise MalformedError(BadAction.BAD_SET_LEN, f"{row.name} has no bits {offset} to {offset + bits - 1}")
    if value >> bits or row.name == _COOKIE:
        raise MalformedError(BadAction.BAD_ARGUMENT, f"cannot load {value:#x} into {bits} bits of {row.name}")
    key, mask = value << row.shift + offset, span << row.shift
    parts = []
    for name in key_fields(mask, mask):
        field = FIELDS[name]
        part = field.get(mask)
        parts.append(a.SetField(name, field.get(key), None if part == field.all_ones else part))
    return tuple(parts)


_COOKIE = "cookie"  # travels like a field, and is none of the packet's


def _decode_move(bits: int, source_offset: int, offset: int, source_header: int, header: int) -> a.MoveField:
    source, destination = _row_of(source_header), _row_of(header)
    if _COOKIE in (source.name, destination.name):
        raise MalformedError(BadMatch.BAD_FIELD, "the cookie is no field of a packet")
    try:
        source_name, source_bit = locate(source, source_offset, bits)
        name, bit = locate(destination, offset, bits)
    except UsageError as error:
        raise MalformedError(BadAction.BAD_SET_LEN, str(error)) from None
    return a.MoveField(source_name, name, bits, source_bit, bit)


def _frame(subtype: int, body: bytes) -> bytes:
    return struct.pack("!HHIH", 0xFFFF, len(body) + 10, NICIRA, subtype) + body


def encode_action(action: a.Action, *, nxm: bool = False) -> bytes | None:
    """Write an action in Nicira's form; None where it has none. ``nxm`` prefers NXM's field headers."""
    match action:
        case a.Resubmit(in_port, table_id):
            return _encode_resubmit(in_port, table_id)
        case a.MoveField(source, destination, bits, source_offset, offset):
            heads = (field_row(source).header, field_row(destination).header)
            return _frame(_REG_MOVE, _STRUCTS[_REG_MOVE].pack(bits, source_offset, offset, *heads))
        case a.SetNwTtl(ttl):
            return _encode_loads(a.SetField("ip_ttl", ttl), nxm=nxm)
        case a.SetField("tunnel_id", value, None):
            subtype = _SET_TUNNEL if value < 1 << 32 else _SET_TUNNEL64
            return _frame(subtype, _STRUCTS[subtype].pack(value))
        case a.SetField():
            return _encode_loads(action, nxm=nxm)
        case a.SetQueue() | a.PopQueue() | a.SendToController() | a.DecNwTtl() | a.SetMplsTtl() | a.DecMplsTtl():
            return _encode_layout(action)
        case a.PushMpls() | a.PopMpls():
            return _encode_layout(action)
        case a.Output() | a.Group() | a.PushVlan() | a.PopVlan() | a.SetVlanVid() | a.SetVlanPcp():
            return None  # what every version has a form of its own for, or none
        case a.PushPbb() | a.PopPbb() | a.CopyTtlOut() | a.CopyTtlIn():
            return None
        case _:
            assert_never(action)


def _encode_layout(action: a.Action) -> bytes:
    subtype = _SUBTYPES[type(action)]
    return _frame(subtype, _LAYOUTS[subtype].write(action))


def _encode_resubmit(in_port: ports.PortNo | None, table_id: int | None) -> bytes | None:
    if in_port is not None and not is_narrow(in_port):
        return None
    port = narrow_port(ports.IN_PORT if in_port is None else in_port)
    subtype = _RESUBMIT if table_id is None else _RESUBMIT_TABLE
    return _frame(subtype, _STRUCTS[subtype].pack(port, table_id or 0))


def _encode_loads(action: a.SetField, *, nxm: bool) -> bytes:
    """One reg_load per run of mask bits, of at most 64 bits each."""
    row = field_row(action.field, nxm=nxm)
    mask = FIELDS[action.field].all_ones if action.mask is None else action.mask
    out = []
    while mask:
        offset = (mask & -mask).bit_length() - 1
        bits = min(64, (~(mask >> offset) & (mask >> offset) + 1).bit_length() - 1)
        value = action.value >> offset & (1 << bits) - 1
        out.append(_frame(_REG_LOAD, _STRUCTS[_REG_LOAD].pack(offset << 6 | bits - 1, row.header, value)))
        mask &= ~((1 << bits) - 1 << offset)
    return b"".join(out)
