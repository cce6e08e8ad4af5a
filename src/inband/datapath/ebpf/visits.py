"""What a flow does on a packet's way through the tables (``pipeline.visits``) becomes ops of its rule (``bpf/walk.h``).

The program collects them, rule after rule, and follows with the packet's key what they do. So each op stands for
itself: queues are set where the flow says so, not where an output needs them. An action of the action set has its
place there by its kind, and an op before it that says which. Registers and moves: ``moves``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from inband.datapath.ebpf.layout import MAX_OPS, MAX_TABLES, OP, OpKind
from inband.datapath.ebpf.moves import move_ops, set_ops
from inband.datapath.ebpf.ops import NO_METERS, UnfitError, edit_ops, priority_of
from inband.flow.actions import (
    Action,
    DecNwTtl,
    Group,
    HeaderAction,
    Meter,
    MoveField,
    Output,
    PopQueue,
    PopVlan,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    SetVlanPcp,
    SetVlanVid,
)
from inband.flow.fields import PIPELINE_FIELDS
from inband.flow.match import ANY, Match
from inband.flow.ports import IN_PORT, NORMAL, PortNo
from inband.pipeline.visits import Branch, Step, Visit

# The order in which they run (pipeline.action_set); fields of which one op says all.
_SETTABLE = (
    *("eth_dst", "eth_src", "vlan_vid", "vlan_pcp", "ip_dscp", "ip_ecn", "ip_ttl", "ipv4_src", "ipv4_dst"),
    *("ipv6_flabel", "tcp_src", "tcp_dst", "udp_src", "udp_dst"),
)
_KINDS: tuple[type[Action], ...] = (PopVlan, PushVlan, DecNwTtl, SetNwTtl, SetQueue, PopQueue, Group, Output)
_FIRST_FIELD = 3
_PLACES: dict[type[Action] | str, int] = {
    **{kind: at for at, kind in enumerate(_KINDS[:_FIRST_FIELD])},
    **{name: at for at, name in enumerate(_SETTABLE, start=_FIRST_FIELD)},
    **{kind: at for at, kind in enumerate(_KINDS[_FIRST_FIELD:], start=_FIRST_FIELD + len(_SETTABLE))},
}
_ONLY_WITHOUT_TAG = 1
_CLEAR = OP.pack(OpKind.CLEAR, 0, 0, 0)
_BRANCH, _JOIN = OP.pack(OpKind.BRANCH, 0, 0, 0), OP.pack(OpKind.JOIN, 0, 0, 0)
_NOTHING = bytes(OP.size)


class Known(NamedTuple):
    """What is known when steps are compiled: slots of ports, the program's meters, and what all packets match."""

    slot_of: Callable[[PortNo], int]
    meters: Mapping[int, bool] = NO_METERS
    match: Match = ANY


def compile_visit(visit: Visit, known: Known, groups: Container[int]) -> bytes | None:
    """A visit's ops, packed; None if the program cannot do it. ``groups``: those that it knows."""
    if not all(group_id in groups for group_id in visit.groups):
        return None
    if visit.next_table is not None and visit.next_table >= MAX_TABLES:
        return None
    try:
        ops = [op for action in visit.applied for op in _ops(action, known)]
        if visit.clears:
            ops.append(_CLEAR)
        for action in visit.written:
            ops += _written(action, known)
    except UnfitError:
        return None
    return b"".join(ops) if len(ops) <= MAX_OPS else None


def compile_bucket(steps: Iterable[Step], known: Known) -> bytes | None:
    """A bucket's ops, as ``compile_visit``."""
    try:
        ops = [op for step in steps for op in _ops(step, known)]
    except UnfitError:
        return None
    return b"".join(ops) if len(ops) <= MAX_OPS else None


def _written(action: Action | None, known: Known) -> list[bytes]:
    if action is None:
        return [OP.pack(OpKind.WRITE, _PLACES[Output], 0, 0), _NOTHING]
    place = _PLACES.get(action.field if isinstance(action, SetField) else type(action))
    if place is None:
        raise UnfitError
    ops = _ops(action, known)
    if len(ops) != 1:
        raise UnfitError  # a place holds one
    return [OP.pack(OpKind.WRITE, place, 0, 0), *ops]


def _ops(action: Step, known: Known) -> list[bytes]:
    match action:
        case Branch(applied):
            return [_BRANCH, *(op for step in applied for op in _ops(step, known)), _JOIN]
        case Group(group_id):
            return [OP.pack(OpKind.GROUP, 0, 0, group_id)]
        case Output(port) if port == NORMAL:
            return [OP.pack(OpKind.NORMAL, 0, 0, 0)]
        case Output(port) if port == IN_PORT:
            return [OP.pack(OpKind.SEND_BACK, 0, 0, 0)]
        case Output(port):
            return [OP.pack(OpKind.OUTPUT, 0, known.slot_of(port), 0)]
        case SetQueue(queue):
            return [OP.pack(OpKind.SET_QUEUE, 0, 0, priority_of(queue))]
        case PopQueue():
            return [OP.pack(OpKind.SET_QUEUE, 0, 0, 0)]
        case Meter(meter_id) if meter_id in known.meters:
            return [OP.pack(OpKind.METER, 0, 0, meter_id)]
        case SetVlanVid(vid):
            return [_tag_if_none(), *edit_ops(SetField("vlan_vid", vid))]
        case SetVlanPcp(pcp):
            return [_tag_if_none(), *edit_ops(SetField("vlan_pcp", pcp))]
        case MoveField():
            return move_ops(action, known.match)
        case SetField(name, value, mask) if name in PIPELINE_FIELDS:
            return set_ops(name, value, mask)
        case _ if isinstance(action, HeaderAction):
            return edit_ops(action)
        case _:
            raise UnfitError


def _tag_if_none() -> bytes:
    return OP.pack(OpKind.PUSH_VLAN, _ONLY_WITHOUT_TAG, PushVlan().eth_type, 0)
