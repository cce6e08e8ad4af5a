"""OpenFlow 1.0's actions (1.0, 5.2.4) as the version-neutral ones, and back.

- ``enqueue`` is SetQueue, Output, PopQueue, and is written when these three are side by side.
- ``set_tp_src`` changes whichever transport port a packet has: it is a SetField of tcp_src AND one of udp_src (the
  one that does not fit the packet does nothing), and is written when the two are side by side.
- ``set_vlan_vid`` and ``set_vlan_pcp`` add a tag where there is none (1.0, 3.3), so they are no SetFields. A 1.3
  flow's SetField of the same is shown as one all the same: that is the nearest that 1.0 can say.
- What 1.0 has no action for is written in Nicira's form where there is one.
"""

from __future__ import annotations

import struct

from inband.errors import UsageError
from inband.flow import actions as a
from inband.flow import ports
from inband.openflow import nicira_actions
from inband.openflow.errors import MalformedError
from inband.openflow.layout import is_narrow, narrow_port, widen_port
from inband.vocabulary.openflow_errors import BadAction

_OUTPUT, _SET_VLAN_VID, _SET_VLAN_PCP, _STRIP_VLAN = 0, 1, 2, 3
_SET_NW_TOS, _SET_TP_SRC, _SET_TP_DST, _ENQUEUE = 8, 9, 10, 11

# type -> (field, bytes of the value, lowest bit of the value in them, highest value allowed there)
_SETS: dict[int, tuple[str, int, int, int]] = {
    _SET_VLAN_VID: ("vlan_vid", 2, 0, 0xFFF),
    _SET_VLAN_PCP: ("vlan_pcp", 1, 0, 7),
    4: ("eth_src", 6, 0, (1 << 48) - 1),
    5: ("eth_dst", 6, 0, (1 << 48) - 1),
    6: ("ipv4_src", 4, 0, 0xFFFFFFFF),
    7: ("ipv4_dst", 4, 0, 0xFFFFFFFF),
    _SET_NW_TOS: ("ip_dscp", 1, 2, 0xFC),
    _SET_TP_SRC: ("tcp_src", 2, 0, 0xFFFF),
    _SET_TP_DST: ("tcp_dst", 2, 0, 0xFFFF),
}
_SET_TYPES = {field: kind for kind, (field, *_) in _SETS.items()}
_SIZES = {_OUTPUT: 8, _STRIP_VLAN: 8, 4: 16, 5: 16, _ENQUEUE: 16}
_TWIN = {"tcp_src": "udp_src", "tcp_dst": "udp_dst"}
_VLAN: dict[str, type[a.SetVlanVid] | type[a.SetVlanPcp]] = {"vlan_vid": a.SetVlanVid, "vlan_pcp": a.SetVlanPcp}
_ENQUEUE_BODY = struct.Struct("!H6xI")


def decode_action(kind: int, body: bytes) -> tuple[a.Action, ...]:
    """Read one action from what follows its type and length. Raises MalformedError with OFPBAC_*."""
    if kind not in _SETS and kind not in _SIZES:
        raise MalformedError(BadAction.BAD_TYPE, f"action type {kind} is not known in OpenFlow 1.0")
    if len(body) + 4 != _SIZES.get(kind, 8):
        raise MalformedError(BadAction.BAD_LEN, f"action type {kind} has length {len(body) + 4}")
    if kind in _SETS:
        return _decode_set(kind, body)
    if kind == _STRIP_VLAN:
        return (a.PopVlan(),)
    port = widen_port(int.from_bytes(body[:2], "big"))
    if kind == _OUTPUT:
        return (a.Output(port, int.from_bytes(body[2:4], "big")),)
    if not _has_queues(port):  # once it is three actions, it cannot be told from an output that may go there
        raise MalformedError(BadAction.BAD_OUT_PORT, f"an enqueue to port {port}")
    return a.SetQueue(_ENQUEUE_BODY.unpack(body)[1]), a.Output(port), a.PopQueue()


def _decode_set(kind: int, body: bytes) -> tuple[a.Action, ...]:
    field, size, shift, highest = _SETS[kind]
    value = int.from_bytes(body[:size], "big")
    if value & ~highest:
        raise MalformedError(BadAction.BAD_ARGUMENT, f"{value:#x} is no {field}")
    value >>= shift
    if field in _TWIN:
        return a.SetField(field, value), a.SetField(_TWIN[field], value)
    if field in _VLAN:
        return (_VLAN[field](value),)
    return (a.SetField(field, value),)


def encode_actions(actions: tuple[a.Action, ...], *, lenient: bool) -> bytes:
    """Write actions. Raises UsageError for one without a form, which ``lenient`` leaves out instead."""
    out, index = [], 0
    while index < len(actions):
        match actions[index : index + 3]:
            case (a.SetQueue(queue_id), a.Output(port, a.WHOLE_PACKET), a.PopQueue()) if _has_queues(port):
                out.append(struct.pack("!HHH6xI", _ENQUEUE, 16, narrow_port(port), queue_id))
                index += 3
            case (a.SetField("tcp_src" | "tcp_dst" as field, value, None), a.SetField(twin, same, None), *_) if (
                _TWIN[field] == twin and value == same
            ):
                out.append(_encode_set(_SET_TYPES[field], value))
                index += 2
            case _:
                data = _encode(actions[index])
                if data is None and not lenient:
                    raise UsageError(f"{type(actions[index]).__name__} has no form in OpenFlow 1.0")
                out.append(data or b"")
                index += 1
    return b"".join(out)


def _has_queues(port: ports.PortNo) -> bool:
    """Whether enqueue may name a port (1.0, 5.2.4)."""
    return 0 < port <= ports.HIGHEST or port in (ports.IN_PORT, ports.LOCAL)


def _encode(action: a.Action) -> bytes | None:
    match action:
        case a.Output(port, max_len):
            if not is_narrow(port):
                return None
            return struct.pack("!HHHH", _OUTPUT, 8, narrow_port(port), max_len)
        case a.PopVlan():
            return struct.pack("!HH4x", _STRIP_VLAN, 8)
        case a.SetVlanVid(vid):
            return _encode_set(_SET_VLAN_VID, vid)
        case a.SetVlanPcp(pcp):
            return _encode_set(_SET_VLAN_PCP, pcp)
        case a.SetField(field, value, None) if field in _SET_TYPES and field not in _TWIN:
            return _encode_set(_SET_TYPES[field], value)
        case _:
            return nicira_actions.encode_action(action, nxm=True)


def _encode_set(kind: int, value: int) -> bytes:
    _, size, shift, highest = _SETS[kind]
    length = _SIZES.get(kind, 8)
    body = (value << shift & highest).to_bytes(size, "big")
    return struct.pack("!HH", kind, length) + body + bytes(length - 4 - size)
