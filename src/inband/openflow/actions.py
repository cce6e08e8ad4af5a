"""Action lists on the wire: the frame they share, and OpenFlow 1.3's own actions (1.3.5, 7.2.5).

Every action in every version starts with a type and its length. What 1.0 and Nicira add is in ``actions10`` and
``nicira``; this module puts the three together: ``decode_actions`` and ``encode_actions`` for a version.

Only bytes are judged here: types, lengths, values that do not fit their field. Whether an action can be carried out,
and whether it fits a flow's match, is for ``inband.agent.validate`` to say.
"""

from __future__ import annotations

from inband.errors import UsageError
from inband.flow import actions as a
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.ports import PortNo
from inband.openflow import actions10, nicira_actions
from inband.openflow.constants import NICIRA, ActionType
from inband.openflow.errors import MalformedError
from inband.openflow.layout import Layout
from inband.openflow.wire_fields import HEADERS, MASKED_HEADERS, field_row
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import BadAction, BadRequest, OnfError

_OUTPUT, _SET_FIELD, _EXPERIMENTER = 0, 25, 0xFFFF

# What follows type and length, for every action of fixed size.
_LAYOUTS: dict[int, Layout[a.Action]] = {
    ActionType.OUTPUT: Layout(a.Output, "port:port max_len:H 6x"),
    ActionType.COPY_TTL_OUT: Layout(a.CopyTtlOut, "4x"),
    ActionType.COPY_TTL_IN: Layout(a.CopyTtlIn, "4x"),
    ActionType.SET_MPLS_TTL: Layout(a.SetMplsTtl, "ttl:B 3x"),
    ActionType.DEC_MPLS_TTL: Layout(a.DecMplsTtl, "4x"),
    ActionType.PUSH_VLAN: Layout(a.PushVlan, "eth_type:H 2x"),
    ActionType.POP_VLAN: Layout(a.PopVlan, "4x"),
    ActionType.PUSH_MPLS: Layout(a.PushMpls, "eth_type:H 2x"),
    ActionType.POP_MPLS: Layout(a.PopMpls, "eth_type:H 2x"),
    ActionType.SET_QUEUE: Layout(a.SetQueue, "queue_id:I"),
    ActionType.GROUP: Layout(a.Group, "group_id:I"),
    ActionType.SET_NW_TTL: Layout(a.SetNwTtl, "ttl:B 3x"),
    ActionType.DEC_NW_TTL: Layout(a.DecNwTtl, "4x"),
    ActionType.PUSH_PBB: Layout(a.PushPbb, "eth_type:H 2x"),
    ActionType.POP_PBB: Layout(a.PopPbb, "4x"),
}
_TYPES: dict[type, int] = {layout.cls: number for number, layout in _LAYOUTS.items()}


def decode_actions(data: bytes, pos: int, end: int, version: int) -> tuple[a.Action, ...]:
    """Read the actions that fill ``data`` from ``pos`` to ``end``.

    Raises MalformedError: OFPBRC_BAD_LEN for a list that is no multiple of 8 bytes, and with OFPBAC_*: BAD_TYPE,
    BAD_LEN, BAD_EXPERIMENTER, BAD_EXP_TYPE, BAD_ARGUMENT, BAD_SET_TYPE, BAD_SET_LEN, BAD_SET_ARGUMENT, BAD_SET_MASK.
    """
    if (end - pos) % 8:
        raise MalformedError(BadRequest.BAD_LEN, f"{end - pos} bytes of actions, which is no multiple of 8")
    decode = _decode_13 if version == OFP13 else actions10.decode_action
    out: list[a.Action] = []
    while pos < end:
        kind, length = int.from_bytes(data[pos : pos + 2], "big"), int.from_bytes(data[pos + 2 : pos + 4], "big")
        stop = pos + length
        if length < 8 or length % 8 or stop > end:
            raise MalformedError(BadAction.BAD_LEN, f"an action of {length} bytes where {end - pos} are left")
        if kind == _OUTPUT and decode is _decode_13 and length == 16:  # nearly every list has one
            port = PortNo(int.from_bytes(data[pos + 4 : pos + 8], "big"))
            out.append(a.Output(port, int.from_bytes(data[pos + 8 : pos + 10], "big")))
        elif kind == _EXPERIMENTER:
            vendor = int.from_bytes(data[pos + 4 : pos + 8], "big")
            if vendor != NICIRA:
                raise MalformedError(BadAction.BAD_EXPERIMENTER, f"no action of experimenter {vendor:#x} is known")
            out.extend(nicira_actions.decode_action(data[pos + 8 : stop]))
        else:
            out.extend(decode(kind, data[pos + 4 : stop]))
        pos = stop
    return tuple(out)


def _decode_13(kind: int, body: bytes) -> tuple[a.Action, ...]:
    if kind == _SET_FIELD:
        return (_decode_set_field(body),)
    layout = _LAYOUTS.get(kind)
    if layout is None:
        raise MalformedError(BadAction.BAD_TYPE, f"action type {kind} is not known")
    if len(body) != layout.size:
        raise MalformedError(BadAction.BAD_LEN, f"{layout.cls.__name__} has length {len(body) + 4}")
    return (layout.read(body),)


def _decode_set_field(body: bytes) -> a.SetField:
    header = int.from_bytes(body[:4], "big")
    row = HEADERS.get(header)
    if row is None:
        if header in MASKED_HEADERS:
            raise MalformedError(OnfError.BAD_SET_MASK, f"set_field with header {header:#010x} has a mask")
        if any((known ^ header) >> 8 == 0 for known in HEADERS):
            raise MalformedError(BadAction.BAD_SET_LEN, f"set_field with header {header:#010x} has a wrong length")
        raise MalformedError(BadAction.BAD_SET_TYPE, f"set_field with header {header:#010x} is not known")
    if row.name not in FIELDS:  # one of NXM's that are several fields, or none of the packet's
        raise MalformedError(BadAction.BAD_SET_TYPE, f"{row.name} cannot be set")
    if len(body) != (4 + row.size + 4 + 7) // 8 * 8 - 4:
        raise MalformedError(BadAction.BAD_SET_LEN, f"set_field {row.name} in an action of {len(body) + 4} bytes")
    value = int.from_bytes(body[4 : 4 + row.size], "big")
    if value & ~row.allowed:
        raise MalformedError(BadAction.BAD_SET_ARGUMENT, f"{value:#x} is no value of {row.name}")
    return a.SetField(row.name, value)


def encode_actions(actions: tuple[a.Action, ...], version: int, *, lenient: bool = False) -> bytes:
    """Write actions. ``lenient`` leaves out what the version cannot say (as a dump for a 1.0 controller must).

    Raises UsageError for such an action otherwise.
    """
    if version == OFP10:
        return actions10.encode_actions(actions, lenient=lenient)
    return b"".join([_encode_13(action) for action in actions])


def _encode_13(action: a.Action) -> bytes:
    kind = _TYPES.get(type(action))
    if kind is not None:
        body = _LAYOUTS[kind].write(action)
        return (kind << 16 | len(body) + 4).to_bytes(4, "big") + body
    if isinstance(action, a.SetField) and action.mask is None and FIELDS[action.field].oxm is not None:
        return _encode_set_field(action)
    if isinstance(action, a.SetVlanVid | a.SetVlanPcp):
        return _encode_vlan(action)
    data = nicira_actions.encode_action(action)
    if data is None:
        raise UsageError(f"{type(action).__name__} has no form in OpenFlow 1.3")
    return data


def _encode_vlan(action: a.SetVlanVid | a.SetVlanPcp) -> bytes:
    """What 1.0's action does to an untagged packet; "push if there is none" cannot be said, as in Open vSwitch."""
    if isinstance(action, a.SetVlanVid):
        change = a.SetField("vlan_vid", action.vid | VLAN_PRESENT)
    else:
        change = a.SetField("vlan_pcp", action.pcp)
    return _encode_13(a.PushVlan()) + _encode_13(change)


def _encode_set_field(action: a.SetField) -> bytes:
    row = field_row(action.field)
    body = row.header.to_bytes(4, "big") + action.value.to_bytes(row.size, "big")
    body += bytes(-(len(body) + 4) % 8)
    return (ActionType.SET_FIELD << 16 | len(body) + 4).to_bytes(4, "big") + body
